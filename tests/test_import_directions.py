"""Imports point one way: the table in CONTRIBUTING.md, enforced over the tree's ast."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = "convviz_widgets"
TREE = Path(__file__).parents[1] / PACKAGE
ROOT = "the public names"

FLOOR = {"errors"}
FILES_AND_TENSORS = FLOOR | {"tensors", "checkpoints"}
MEASURING = {"instrument", "record", "sweep", "diagnosis"}
UP_TO_STATE = FILES_AND_TENSORS | MEASURING | {"state"}

# Each part of the package, and the other parts that it may import.
MAY_IMPORT = {
    "errors": set(),
    "tensors": FLOOR,
    "checkpoints": FLOOR,
    "instrument": FILES_AND_TENSORS,
    "record": FILES_AND_TENSORS | {"instrument"},
    "sweep": FILES_AND_TENSORS | {"instrument"},
    "diagnosis": FILES_AND_TENSORS | {"instrument", "record", "sweep"},
    "state": FILES_AND_TENSORS | MEASURING,
    "views": UP_TO_STATE,
    "apps": UP_TO_STATE | {"views"},
    "demo": {ROOT, "checkpoints"},
    ROOT: UP_TO_STATE | {"views", "apps"},
}

# A library, and the parts (or the one module) of ours that may import it.
MAY_BE_IMPORTED_BY = {
    "ipywidgets": {"views", "apps"},
    "bqplot": {"views", "apps"},
    "IPython": {"views", "apps"},
    "ipycanvas": {"views.raster"},
    "traitlets": {"state", "views", "apps"},
    "threading": {"state", "checkpoints.series"},
    "tensorboard": {"record"},
    "torch.utils.tensorboard": {"record"},
    "google_crc32c": {"record"},
    "dask": {"sweep"},
    "distributed": {"sweep"},
    "safetensors": {"checkpoints"},
    "matplotlib": {"tensors"},
    "skimage": {"demo"},
    "filelock": {"demo"},
    "notebooks": set(),
    "tests": set(),
}

# Slow to import, or not among the core dependencies.
INSIDE_A_FUNCTION = {
    "tensorboard",
    "torch.utils.tensorboard",
    "dask",
    "distributed",
    "skimage",
    "sklearn",
}


class Import(NamedTuple):
    """One imported name, absolute, and whether a function does it."""

    target: str
    in_function: bool


@cache
def parsed(source: str) -> ast.Module:
    """Return the tree of a source; the tests below look at each several times."""
    return ast.parse(source)


def imports(source: str, module: str) -> Iterator[Import]:
    def walk(node: ast.AST, in_function: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(alias.name, in_function) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                origin = absolute(child, module)
                yield from (Import(f"{origin}.{alias.name}", in_function) for alias in child.names)
            is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from walk(child, in_function or is_function)

    return walk(parsed(source), in_function=False)


def absolute(node: ast.ImportFrom, module: str) -> str:
    package = module.split(".")[: -node.level] if node.level else []
    return ".".join([*package, *([node.module] if node.module else [])])


def part_of(name: str) -> str:
    """Return the part that an absolute name of ours belongs to."""
    part = name.removeprefix(PACKAGE).lstrip(".").partition(".")[0]
    return part if part in MAY_IMPORT else ROOT


def is_within(name: str, owner: str) -> bool:
    return name == owner or name.startswith(owner + ".")


def wrong_direction(source: str, module: str) -> list[str]:
    """Return what ``module`` (dotted, ``.__init__`` included) imports against the table."""
    part, place = part_of(module), module.removeprefix(PACKAGE + ".")
    complaints = []
    for target, in_function in imports(source, module):
        if is_within(target, PACKAGE) and part_of(target) not in MAY_IMPORT[part] | {part}:
            complaints.append(f"{place} imports {target}")
        for library, owners in MAY_BE_IMPORTED_BY.items():
            if is_within(target, library) and not any(is_within(place, own) for own in owners):
                complaints.append(f"{place} imports {library}")
        for library in INSIDE_A_FUNCTION:
            if is_within(target, library) and not in_function:
                complaints.append(f"{place} imports {library} outside a function")
    return complaints


def model_in_a_view(source: str, module: str) -> list[str]:
    """Return what in a view's source touches the model instead of asking the state."""
    complaints = [
        f"{module} imports {target}"
        for target, _ in imports(source, module)
        if is_within(target, "torch.nn")
    ]
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Attribute) and re.fullmatch(
            r"nn|forward|register_\w*hook", node.attr
        ):
            complaints.append(f"{module}:{node.lineno} touches .{node.attr}")
    return complaints


def modules() -> dict[str, str]:
    """Return dotted name -> source of every module of the package."""
    return {
        ".".join(path.relative_to(TREE.parent).with_suffix("").parts): path.read_text("utf-8")
        for path in sorted(TREE.rglob("*.py"))
    }


def concrete_views(sources: dict[str, str]) -> set[str]:
    """Return the modules of views/ that define a class which the package makes public."""
    public = {
        target.rpartition(".")[2] for target, _ in imports(sources[f"{PACKAGE}.__init__"], "")
    }
    return {
        module
        for module, source in sources.items()
        if part_of(module) == "views" and module != f"{PACKAGE}.views.base"
        for node in parsed(source).body
        if isinstance(node, ast.ClassDef) and node.name in public
    }


def other_views(view: str, sources: dict[str, str]) -> list[str]:
    """Return the concrete views that ``view`` imports, from their module or from the folder's."""
    origins = {
        target if target in sources else target.rpartition(".")[0]
        for target, _ in imports(sources[view], view)
    }
    forbidden = (concrete_views(sources) | {f"{PACKAGE}.views"}) - {view}
    return [f"{view} imports {origin}" for origin in sorted(origins & forbidden)]


def test_every_folder_has_a_place_in_the_table():
    folders = {path.parent.name for path in TREE.glob("*/*.py")}
    assert folders <= MAY_IMPORT.keys()


def test_imports_point_down():
    wrong = [
        line for module, source in modules().items() for line in wrong_direction(source, module)
    ]
    assert wrong == []


def test_views_leave_the_model_to_the_state():
    views = {name: source for name, source in modules().items() if part_of(name) == "views"}
    assert [line for name, source in views.items() for line in model_in_a_view(source, name)] == []


def test_no_view_imports_another_concrete_view():
    sources = modules()
    views = {name: text for name, text in sources.items() if part_of(name) == "views"}
    views.pop(f"{PACKAGE}.views.__init__", None)
    wrong = [line for view in views for line in other_views(view, sources)]
    assert wrong == []


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("tensors.png", "from convviz_widgets.checkpoints import read", "imports convviz_widgets"),
        ("tensors.png", "from ..state import ModelState", "imports convviz_widgets.state"),
        ("tensors.png", "import convviz_widgets", "imports convviz_widgets"),
        ("record.run", "from convviz_widgets.sweep.part import Part", "imports convviz_widgets"),
        ("instrument.probe", "import traitlets", "imports traitlets"),
        ("instrument.probe", "from threading import Lock", "imports threading"),
        ("state.model_state", "def f():\n    import ipywidgets", "imports ipywidgets"),
        ("views.sketchpad", "import ipycanvas", "imports ipycanvas"),
        ("views.base", "from convviz_widgets.apps.explorer import Explorer", "imports convviz"),
        ("record.run", "import tensorboard", "outside a function"),
        ("sweep.local", "def f():\n    from torch.utils import tensorboard", "imports torch.utils"),
        ("demo.runs", "from convviz_widgets.instrument import ImageSet", "imports convviz_widgets"),
        ("__init__", "from convviz_widgets.demo import load", "imports convviz_widgets.demo"),
    ],
)
def test_a_planted_import_is_found(module, source, complaint):
    (line,) = wrong_direction(source, f"{PACKAGE}.{module}")
    assert complaint in line


@pytest.mark.parametrize(
    "source",
    ["import torch.nn as n", "h = m.register_forward_hook(f)", "torch.nn.ReLU", "m.forward(x)"],
)
def test_a_model_planted_in_a_view_is_found(source):
    assert model_in_a_view(source, "views.planted")


@pytest.mark.parametrize("line", ["from .first import First", "from . import First"])
def test_a_view_planted_in_another_is_found(line):
    sources = {
        f"{PACKAGE}.__init__": "from convviz_widgets.views import First",
        f"{PACKAGE}.views.first": "from .base import View\nclass First(View): ...",
        f"{PACKAGE}.views.second": line,
    }
    assert other_views(f"{PACKAGE}.views.second", sources)
    assert other_views(f"{PACKAGE}.views.first", sources) == []


def test_allowed_imports_pass():
    assert wrong_direction("from ipycanvas import Canvas", f"{PACKAGE}.views.raster") == []
    assert wrong_direction("from .probe import Probe", f"{PACKAGE}.instrument.layers") == []
    assert wrong_direction("import convviz_widgets as cvw", f"{PACKAGE}.demo.runs") == []
