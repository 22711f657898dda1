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

GROUND = {"errors"}
FILES_AND_TENSORS = GROUND | {"tensors", "checkpoints"}
MODEL = FILES_AND_TENSORS | {"images", "probe"}
MEASURING = {"measure", "sweeps", "record"}
UP_TO_STATE = MODEL | MEASURING | {"diagnosis", "state"}

# Each room of the package, and the other rooms that it may import.
MAY_IMPORT = {
    "errors": set(),
    "tensors": GROUND,
    "checkpoints": GROUND,
    "images": GROUND | {"tensors"},
    "probe": FILES_AND_TENSORS | {"images"},
    "measure": MODEL,
    "sweeps": MODEL,
    "record": MODEL,
    "diagnosis": GROUND | {"tensors", "images"} | MEASURING,
    "state": UP_TO_STATE,
    "widgets": GROUND | {"tensors", "images", "sweeps", "state"},
    "views": UP_TO_STATE | {"widgets"},
    "apps": UP_TO_STATE | {"widgets", "views"},
    "demo": {ROOT, "checkpoints"},
    ROOT: UP_TO_STATE | {"views", "apps"},
}

# A library, and the rooms (or the one module) of ours that may import it.
MAY_BE_IMPORTED_BY = {
    "ipywidgets": {"widgets", "views", "apps"},
    "bqplot": {"widgets", "views", "apps"},
    "IPython": {"widgets", "views", "apps"},
    "ipycanvas": {"widgets.drawing"},
    "anywidget": {"widgets"},
    "html": {"widgets.text"},  # so that every text on the page is escaped in one place
    "traitlets": {"state", "widgets", "views", "apps"},
    "threading": {"state", "checkpoints.series", "images.steady_reads"},
    "tensorboard": {"record"},
    "torch.utils.tensorboard": {"record"},
    "google_crc32c": {"record"},
    "dask": {"sweeps"},
    "distributed": {"sweeps"},
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


def room_of(name: str) -> str:
    """Return the room that an absolute name of ours belongs to."""
    room = name.removeprefix(PACKAGE).lstrip(".").partition(".")[0]
    return room if room in MAY_IMPORT else ROOT


def is_within(name: str, owner: str) -> bool:
    return name == owner or name.startswith(owner + ".")


def wrong_direction(source: str, module: str) -> list[str]:
    """Return what ``module`` (dotted, ``.__init__`` included) imports against the table."""
    room, place = room_of(module), module.removeprefix(PACKAGE + ".")
    complaints = []
    for target, in_function in imports(source, module):
        if is_within(target, PACKAGE) and room_of(target) not in MAY_IMPORT[room] | {room}:
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


def around_a_face(module: str, sources: dict[str, str]) -> list[str]:
    """Return what a module imports past another room's ``__init__``, or through its own."""
    wrong = set()
    for face in (name for name in sources if re.fullmatch(rf"{PACKAGE}\.\w+\.__init__", name)):
        room = face.removesuffix(".__init__")
        for target, _ in imports(sources[face], face):
            if is_within(target, room) and is_within(module, room):
                wrong.add(f"{room}.{target.rpartition('.')[2]}")
            elif is_within(target, room):
                wrong.add(target)
    found = [] if module.endswith(".__init__") else imports(sources[module], module)
    return [f"{module} imports {target}" for target, _ in found if target in wrong]


def modules() -> dict[str, str]:
    """Return dotted name -> source of every module of the package."""
    return {
        ".".join(path.relative_to(TREE.parent).with_suffix("").parts): path.read_text("utf-8")
        for path in sorted(TREE.rglob("*.py"))
    }


def classes_below_views(sources: dict[str, str]) -> dict[str, ast.ClassDef]:
    """Return dotted name → definition of every class below views/, whatever it derives from."""
    return {
        f"{module}.{node.name}": node
        for module, source in sources.items()
        if room_of(module) == "views"
        for node in parsed(source).body
        if isinstance(node, ast.ClassDef)
    }


def concrete_views(sources: dict[str, str]) -> set[str]:
    """Return the modules of views/ with a class that somebody can put on a page.

    Such a class is named by ``views/__init__.py``, or derives from `View` by whatever way.
    """
    face = f"{PACKAGE}.views.__init__"
    named = {target for target, _ in imports(sources.get(face, ""), face)}
    classes = classes_below_views(sources)
    shown = set(named) & classes.keys()
    while True:
        bases = {name.rpartition(".")[2] for name in shown} | {"View"}
        more = {name for name, node in classes.items() if bases & set(map(ast.unparse, node.bases))}
        if more <= shown:
            return {name.rpartition(".")[0] for name in shown}
        shown |= more


def other_views(module: str, sources: dict[str, str]) -> list[str]:
    """Return the concrete views that a module imports, from their module or from the folder's."""
    origins = {
        target if target in sources else target.rpartition(".")[0]
        for target, _ in imports(sources[module], module)
    }
    forbidden = (concrete_views(sources) | {f"{PACKAGE}.views"}) - {module}
    return [f"{module} imports {origin}" for origin in sorted(origins & forbidden)]


def parts_of_other_tabs(module: str, sources: dict[str, str]) -> list[str]:
    """Return what a module of one tab's folder imports from the folder of another."""
    tab = module.split(".")[2:-1]
    return [
        f"{module} imports {target}"
        for target, _ in imports(sources[module], module)
        if room_of(target) == "views"
        and (other := target.removeprefix(f"{PACKAGE}.views.").split(".")[:-2])
        and other != tab
    ]


def test_every_folder_has_a_place_in_the_table():
    folders = {path.parent.name for path in TREE.glob("*/*.py")}
    assert folders <= MAY_IMPORT.keys()


def test_imports_point_down():
    wrong = [
        line for module, source in modules().items() for line in wrong_direction(source, module)
    ]
    assert wrong == []


def test_names_of_another_room_come_from_its_face():
    sources = modules()
    assert [line for module in sources for line in around_a_face(module, sources)] == []


@pytest.mark.parametrize(
    ("module", "line", "complaints"),
    [
        ("probe.probe", "from convviz_widgets.tensors.png import rgb_png", 1),
        ("probe.probe", "from convviz_widgets.tensors import rgb_png", 0),
        ("probe.probe", "from convviz_widgets.tensors.png import FAST", 0),
        ("tensors.mosaic", "from convviz_widgets.tensors import rgb_png", 1),
        ("tensors.mosaic", "from convviz_widgets.tensors.png import rgb_png", 0),
    ],
)
def test_an_import_around_a_face_is_found(module, line, complaints):
    face = {f"{PACKAGE}.tensors.__init__": "from convviz_widgets.tensors.png import rgb_png"}
    name = f"{PACKAGE}.{module}"
    assert len(around_a_face(name, {**face, name: line})) == complaints


def test_views_leave_the_model_to_the_state():
    views = {name: source for name, source in modules().items() if room_of(name) == "views"}
    assert [line for name, source in views.items() for line in model_in_a_view(source, name)] == []


@pytest.mark.parametrize("against", [other_views, parts_of_other_tabs])
def test_no_view_imports_another(against):
    sources = modules()
    below = {name: text for name, text in sources.items() if room_of(name) == "views"}
    below.pop(f"{PACKAGE}.views.__init__", None)
    wrong = [line for module in below for line in against(module, sources)]
    assert wrong == []


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("tensors.png", "from convviz_widgets.checkpoints import read", "imports convviz_widgets"),
        ("tensors.png", "from ..state import ModelState", "imports convviz_widgets.state"),
        ("tensors.png", "import convviz_widgets", "imports convviz_widgets"),
        ("images.reading", "from convviz_widgets.probe.probe import Probe", "imports convviz"),
        ("record.run", "from convviz_widgets.measure import Measurement", "imports convviz"),
        ("diagnosis.report", "from convviz_widgets.probe import Probe", "imports convviz"),
        ("widgets.plot", "from convviz_widgets.views import Predictions", "imports convviz"),
        ("probe.probe", "import traitlets", "imports traitlets"),
        ("probe.probe", "from threading import Lock", "imports threading"),
        ("state.model_state", "def f():\n    import ipywidgets", "imports ipywidgets"),
        ("views.sketchpad", "import ipycanvas", "imports ipycanvas"),
        ("views.filters", "from convviz_widgets.apps import Explorer", "imports convviz"),
        ("record.run", "import tensorboard", "outside a function"),
        ("sweeps.part", "def f():\n    from torch.utils import tensorboard", "imports torch"),
        ("demo.patches", "from convviz_widgets.images import ImageSet", "imports convviz_widgets"),
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


VIEW = "from convviz_widgets.widgets.view import View\nclass First(View): ..."


@pytest.mark.parametrize(
    ("first", "face"),
    [
        (VIEW, ""),
        ("class First: ...", "from convviz_widgets.views.first import First"),
        (VIEW.replace("First", "Base") + "\nclass First(Base): ...", ""),
    ],
)
@pytest.mark.parametrize("line", ["from .first import First", "from . import First"])
def test_a_view_planted_in_another_is_found(first, face, line):
    sources = {
        f"{PACKAGE}.views.__init__": face,
        f"{PACKAGE}.views.first": first,
        f"{PACKAGE}.views.second": line,
    }
    assert other_views(f"{PACKAGE}.views.second", sources)
    assert other_views(f"{PACKAGE}.views.first", sources) == []


def test_a_part_planted_in_another_tab_is_found():
    sources = {
        f"{PACKAGE}.views.units.rows": "class Rows: ...",
        f"{PACKAGE}.views.units.survey": "from convviz_widgets.views.units.rows import Rows",
        f"{PACKAGE}.views.inputs.gallery": "from convviz_widgets.views.units.rows import Rows",
    }
    assert parts_of_other_tabs(f"{PACKAGE}.views.inputs.gallery", sources)
    assert parts_of_other_tabs(f"{PACKAGE}.views.units.survey", sources) == []


def test_allowed_imports_pass():
    assert wrong_direction("from ipycanvas import Canvas", f"{PACKAGE}.widgets.drawing") == []
    assert wrong_direction("from .probe import Probe", f"{PACKAGE}.probe.attribution") == []
    assert wrong_direction("import convviz_widgets as cvw", f"{PACKAGE}.demo.patches") == []
