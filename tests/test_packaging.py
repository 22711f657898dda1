"""What setup.cfg asks for, constraints.txt pins, and binder/ takes in its CPU build."""

import configparser
import re
from pathlib import Path

import pytest

import convviz_widgets

ROOT = Path(__file__).parents[1]
PINS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
)


def required():
    """Return the name of every requirement in setup.cfg, extras included."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    lists = [setup["options"]["install_requires"], *dict(setup["options.extras_require"]).values()]
    lines = [line for text in lists for line in text.split("\n") if line]
    return sorted({re.match(r"[\w-]+", line).group() for line in lines})


@pytest.mark.parametrize("name", required())
def test_every_requirement_is_pinned(name):
    assert name.lower() in {pinned.lower() for pinned in PINS}


def test_pins_are_plain_versions():
    """No machine's luck: no path, no address, no local build."""
    assert [pin for pin in PINS.values() if not re.fullmatch(r"[0-9][0-9a-z.]*", pin)] == []


def test_binder_takes_the_same_torch():
    lines = (ROOT / "binder" / "requirements.txt").read_text("utf-8").splitlines()
    assert f"torch=={PINS['torch']}+cpu" in lines


@pytest.mark.parametrize("name", convviz_widgets.__all__)
def test_public_names_exist(name):
    assert getattr(convviz_widgets, name).__doc__
