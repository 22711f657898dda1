"""The list "Where is ..." of CONTRIBUTING.md leads to what there is."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

WHERE = re.findall(
    r"^\| .* \| .*?`(\w+(?:/\w+)*\.py)`: (.*) \|$",
    (ROOT / "CONTRIBUTING.md").read_text("utf-8"),
    re.M,
)


def test_the_list_is_found():
    assert len(WHERE) == 31


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
