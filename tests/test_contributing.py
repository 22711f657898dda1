"""The lists of CONTRIBUTING.md, "Where is ..." and the page's modules, lead to what there is."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")

WHERE = re.findall(r"^\| .* \| .*?`(\w+(?:/\w+)*\.py)`: (.*) \|$", TEXT, re.M)

PAGE = {script.name for script in (ROOT / "convviz_widgets" / "widgets" / "page").glob("*.js")}


def test_the_list_is_found():
    assert len(WHERE) == 41


@pytest.mark.parametrize(("path", "names"), WHERE)
def test_every_name_is_defined_where_the_list_says(path, names):
    tree = ast.parse((ROOT / "convviz_widgets" / path).read_text("utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assigned = (node for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign))
    defined |= {
        name.id for node in assigned for name in ast.walk(node) if isinstance(name, ast.Name)
    }
    stated = set(re.findall(r"`(\w+)`", names))
    assert stated
    assert stated <= defined


def test_every_module_of_the_page_is_in_its_list():
    assert set(re.findall(r"^\| `(\w+\.js)` \| .+ \|$", TEXT, re.M)) == PAGE


def test_modules_of_the_page_that_are_named_elsewhere_exist():
    named = re.findall(r"`page/(\w+\.js)`", TEXT)
    assert named
    assert set(named) <= PAGE
