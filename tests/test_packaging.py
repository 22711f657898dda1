"""What setup.cfg asks for, constraints.txt pins, binder/ takes, and a wheel brings along."""

import ast
import configparser
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import convviz_widgets

ROOT = Path(__file__).parents[1]
PINS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
)


SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", "utf-8")

BROUGHT_ALONG = {"comm", "ipython", "traitlets"}
"""What ipywidgets is built on."""


def required(*extras):
    """Return the name of every requirement in setup.cfg that is always there, or in extras."""
    lists = [SETUP["options"]["install_requires"]]
    lists += [SETUP["options.extras_require"][extra] for extra in extras]
    lines = [line for text in lists for line in text.split("\n") if line]
    return sorted({re.match(r"[\w-]+", line).group() for line in lines})


@pytest.mark.parametrize("name", required(*SETUP["options.extras_require"]))
def test_every_requirement_is_pinned(name):
    assert name.lower() in {pinned.lower() for pinned in PINS}


def test_pins_are_plain_versions():
    """No machine's luck: no path, no address, no local build."""
    assert [pin for pin in PINS.values() if not re.fullmatch(r"[0-9][0-9a-z.]*", pin)] == []


def test_binder_takes_the_same_torch():
    lines = (ROOT / "binder" / "requirements.txt").read_text("utf-8").splitlines()
    assert f"torch=={PINS['torch']}+cpu" in lines


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The names of what is in a wheel of the package; built of a copy, it leaves nothing here."""
    copy = tmp_path_factory.mktemp("wheel")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "convviz_widgets", copy / "convviz_widgets", ignore=ignored)
    build = "from setuptools import build_meta; build_meta.build_wheel('.')"
    subprocess.run([sys.executable, "-c", build], cwd=copy, check=True)
    (built,) = copy.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        return set(archive.namelist())


@pytest.mark.parametrize("suffix", [".py", ".js", ".css", ".typed"])
def test_the_wheel_brings_every_file_of_the_package(wheel, suffix):
    files = (ROOT / "convviz_widgets").rglob(f"*{suffix}")
    names = {file.relative_to(ROOT).as_posix() for file in files}
    assert names
    assert names - wheel == set()


def imported(source):
    """Return the roots of what a module imports before any function is called."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.partition(".")[0]


def test_what_the_package_imports_is_always_installed():
    sources = (ROOT / "convviz_widgets").rglob("*.py")
    roots = {root for file in sources for root in imported(file.read_text("utf-8"))}
    others = roots - sys.stdlib_module_names - {"convviz_widgets"}
    assert {"anywidget", "torch"} <= others
    providers = packages_distributions()
    there = BROUGHT_ALONG | {name.lower() for name in required()}
    assert {root for root in others if not there & set(map(str.lower, providers[root]))} == set()


@pytest.mark.parametrize("name", convviz_widgets.__all__)
def test_public_names_exist(name):
    assert getattr(convviz_widgets, name).__doc__
