"""What axe-core finds in an Explorer, tab by tab: nothing serious in what is ours."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from .cells import MODEL
from .explorer_page import ExplorerPage

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"

EXPLORER = """
import tempfile

folder = tempfile.mkdtemp()
with cvw.Recorder(model, folder) as recorder:
    for step in range(3):
        recorder.step(loss=1 / (step + 1), accuracy=step / 3)
explorer = cvw.Explorer(state, run=cvw.Run(folder), validation=images)

def places():
    return [
        (tab, chapter)
        for tab, page in explorer.pages.items()
        for chapter in (page.chapters.options if page.chapters else [""])
    ]

def drawn(tab, chapter):
    page = explorer.pages[tab]
    turned = explorer.tabs.selected_index == list(explorer.pages).index(tab)
    if turned and (not chapter or page.chapters.value == chapter):
        return [view.title for view in page.views() if view.awake and view.draw_count]
    return []

explorer
"""

FIND = """async (root, known) => {
    const found = await axe.run(root, { resultTypes: ['violations'], elementRef: true })
    return found.violations.flatMap(({ id, nodes }) => nodes.map(({ impact, element }) => [
        id,
        impact,
        element.cloneNode(false).outerHTML,
        known.findIndex(([rule, selector]) => rule === id && element.matches(selector)),
    ]))
}"""

KNOWN = (
    (
        "aria-input-field-name",
        ".jupyter-widgets.widget-slider .noUi-handle",
        "the handle of a slider of ipywidgets has no name (ipywidgets#2650, noUiSlider#1223)",
    ),
    (
        "image-alt",
        "img.jupyter-widgets.widget-image",
        "an Image of ipywidgets takes no alternative text (ipywidgets#2650)",
    ),
)
"""Rule, elements and reason of what is found in the markup of others, where Python cannot help."""


@dataclass(frozen=True)
class Finding:
    """What a rule says of an element; ``known`` is its row in `KNOWN`, -1 for none."""

    place: str
    rule: str
    impact: str
    element: str
    known: int

    @property
    def is_grave(self):
        return self.impact in ("serious", "critical")

    def __str__(self):
        return f"{self.impact} {self.rule} in {self.place}: {self.element[:200]}"


def places(explorer):
    """Turn to every tab and chapter; yield its name and the part of the page that is new."""
    panel = explorer.root.locator(".cvw-tabs > .widget-tab-contents > :visible")
    for number, (tab, chapter) in enumerate(explorer.opened.ask("places()")):
        explorer.open_tab(tab)
        if chapter:
            panel.locator(".widget-toggle-buttons button", has_text=chapter).first.click()
        explorer.opened.until(lambda where=(tab, chapter): seen(explorer, *where), tab)
        yield f"{tab} {chapter}".strip(), panel if number else explorer.root


def seen(explorer, tab, chapter):
    """Tell whether the kernel has drawn the views of a tab's chapter and the page shows them."""
    titles = explorer.opened.ask(f"drawn({tab!r}, {chapter!r})")
    return titles and all(explorer.view(title).first.is_visible() for title in titles)


@pytest.fixture(scope="module")
def findings(frontends):
    opened = frontends.lab([MODEL, EXPLORER])
    opened.page.add_script_tag(path=AXE)
    known = [[rule, selector] for rule, selector, _ in KNOWN]
    return [
        Finding(place, *found)
        for place, part in places(ExplorerPage(opened))
        for found in part.evaluate(FIND, known)
    ]


def test_nothing_grave_is_found_in_what_is_ours(findings, record_property):
    others = Counter(KNOWN[finding.known][-1] for finding in findings if finding.known >= 0)
    ours = [finding for finding in findings if finding.known < 0]
    lines = [*map(str, ours), *(f"known, {count} times: {why}" for why, count in others.items())]
    record_property("accessibility", "\n".join(lines) or "nothing")
    assert [str(finding) for finding in ours if finding.is_grave] == []


def test_what_is_known_is_still_found(findings):
    assert {finding.known for finding in findings} - {-1} == set(range(len(KNOWN)))
