"""Names that try to become elements, attributes or code stay text, in every tab of the Explorer."""

from itertools import count

import pytest

from convviz_widgets.apps.pages import CHAPTERS, PAGES

from .explorer_page import ExplorerPage
from .hostile_names import BESIDE, EXPLORER, MODEL, PAYLOADS

WATCH = """() => {
    window.cvwTrapped = []
    const isOdd = ({ name, value }) => name === 'cvw-trap' || /^on/i.test(name)
        || /^(href|src|srcdoc|action|style)$/i.test(name) && /cvwPwned|animation:x/.test(value)
    const look = root => {
        for (const element of [root, ...(root.querySelectorAll?.('*') ?? [])]) {
            for (const attribute of [...(element.attributes ?? [])].filter(isOdd)) {
                window.cvwTrapped.push(`${element.tagName} ${attribute.name}=${attribute.value}`)
            }
        }
    }
    new MutationObserver(records => records.forEach(record => {
        record.addedNodes.forEach(look)
        if (record.type === 'attributes') { look(record.target) }
    })).observe(document, { subtree: true, childList: true, attributes: true })
}"""

CAUGHT = "() => [...window.cvwTrapped, ...(window.cvwPwned ? [window.cvwPwned] : [])]"

TEXTS = "lines => lines.map(line => line.textContent)"

WRITTEN_OUT = {
    PAYLOADS[27]: r"control\x00\x07\x1b[31m\x7f\x85<b cvw-trap>",
    PAYLOADS[28]: r"turned\u202e<b cvw-trap>\u2066\u200f\u2069 lines" + "\nand\\r\n\\u2028\tmore",
    PAYLOADS[29]: r"half\ud800<b cvw-trap>\udc80 e" + "\u0301" * 30 + "<wbr cvw-trap>" * 40,
}
"""What cannot be seen or sent, or turns the text around, is seen by its number."""

SHOWN = [WRITTEN_OUT.get(name, name) for name in PAYLOADS]

places = count()


@pytest.fixture(scope="module")
def opened(lab):
    opened = lab([MODEL, EXPLORER, BESIDE], run=False)
    opened.page.evaluate(WATCH)
    opened.run_cell(0)
    opened.run_cell(1)
    return opened


@pytest.fixture(scope="module")
def explorer(opened):
    return ExplorerPage(opened)


@pytest.fixture(autouse=True)
def dialogs(opened):
    """Dialogs that a name has opened; there is to be none, and no element or global either."""
    asked = []

    def answer(dialog):
        asked.append(dialog.message)
        dialog.dismiss()

    opened.page.on("dialog", answer)
    yield
    opened.page.remove_listener("dialog", answer)
    assert asked == []
    assert opened.page.evaluate(CAUGHT) == []


def lines(root):
    return root.locator(".cvw-line > .widget-html-content").evaluate_all(TEXTS)


def options(select):
    texts = select.locator("option").evaluate_all(TEXTS)
    return [text.replace("\xa0", " ") for text in texts]


def is_seen(opened, root, texts):
    """Wait until the page shows, letter by letter, what the kernel says that it shows."""
    unseen = {"everything"}
    for _ in range(500):
        unseen = set(opened.ask(texts)) - {"", *lines(root)}
        if not unseen:
            break
        opened.page.wait_for_timeout(20)
    assert unseen == set()


@pytest.mark.parametrize("tab", PAGES)
def test_names_are_text_in_every_tab(explorer, tab):
    explorer.open_tab(tab)
    for chapter in CHAPTERS.get(tab, [""]):
        if chapter:
            explorer.root.get_by_role("button", name=chapter, exact=True).click()
        for _ in range(2):
            explorer.opened.ask(f"show({next(places)})")
        is_seen(explorer.opened, explorer.root, "seen()")


def test_every_layer_every_metric_and_the_answers_are_called_by_their_names(explorer):
    names = [name.replace(".", "") for name in SHOWN]
    for name, option in zip(names, options(explorer.layers), strict=False):
        assert option.startswith(f"{name}  ")
    explorer.open_tab("Training")
    metrics = options(explorer.view("Training curves").first.get_by_role("listbox"))
    assert len(metrics) == 2 * len(PAYLOADS)
    assert all(any(metric.endswith(name) for metric in metrics) for name in SHOWN[:27])
    explorer.open_tab("Outputs")
    explorer.root.get_by_role("button", name="Classes", exact=True).click()
    answers = explorer.view("Predicted classes").locator("td span[title]")
    answers.first.wait_for()
    for answer in answers.all():
        assert answer.get_attribute("title") == answer.text_content()
        assert answer.text_content() in SHOWN


def test_names_are_text_in_other_views_and_in_what_they_say_of_errors(opened):
    opened.run_cell(2)
    output = opened.page.locator(".jp-OutputArea-output").last
    output.locator(".cvw-view").last.wait_for()
    for _ in range(3):
        opened.ask(f"show({next(places)})")
    is_seen(opened, output, "texts_of(views)")
    for raised in PAYLOADS[2], PAYLOADS[3]:
        output.locator(".cvw-line:visible", has_text=f": {raised}").first.wait_for()
