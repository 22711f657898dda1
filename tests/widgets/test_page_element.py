"""Elements of the page: their modules as one text, and what pages are told of a state."""

import json
import re
import threading
from pathlib import Path

import anywidget
import pytest
from torch import nn

from convviz_widgets.state import ModelState
from convviz_widgets.state.published import PUBLISHED
from convviz_widgets.views import ActivationMosaic
from convviz_widgets.widgets.clock import ClockElement
from convviz_widgets.widgets.frames import FrameBook
from convviz_widgets.widgets.page_element import PAGE, PageElement, module_text
from convviz_widgets.widgets.raster import Raster


class Bell(PageElement):
    """An element that notes what is done on it."""

    def __init__(self):
        self.done = []
        super().__init__()

    def acted(self, what):
        self.done.append(what.get("ring"))
        if what.get("ring") == "broken":
            raise ValueError("no sound")


@pytest.fixture
def bell():
    made = Bell()
    yield made
    made.close()


@pytest.mark.parametrize("kind", [FrameBook, Raster])
def test_modules_are_one_text_without_imports_of_each_other(kind):
    text = kind._esm.default_value
    assert not re.search(r"^import ", text, re.MULTILINE)
    assert re.findall(r"^export .*", text, re.MULTILINE) == [text.splitlines()[-1]]


def test_a_module_says_the_same_alone_and_among_others():
    joined = module_text("inWords", "element")
    alone = (PAGE / "element.js").read_text("utf-8")
    assert joined == re.sub("^export ", "", alone, flags=re.MULTILINE) + (
        "export default { render: inWords };\n"
    )


def test_what_elements_do_without_in_anywidget_is_still_there():
    """Where this fails, see whether `hearKernel` is right, or not needed any more."""
    bundle = Path(anywidget.__file__).parent / "nbextension" / "index.js"
    text = bundle.read_text("utf-8")
    assert "async _handle_comm_msg(...msg)" in text
    assert "AbortSignal.timeout(2e3)" in text


def test_what_is_done_on_the_page_is_done_once_and_heard(bell, page, sent_by):
    sent = sent_by(bell)
    page.acts(bell, ring="loud", order=7)
    assert bell.done == ["loud"]
    assert bell.heard == ["a page", 7]
    assert [each.content for each in sent if "heard" in each.content] == [{"heard": ["a page", 7]}]
    assert not any("act" in each.content for each in sent)  # other pages did not do it


def test_what_goes_wrong_is_heard_all_the_same(bell, page):
    with pytest.raises(ValueError, match="no sound"):
        bell.set_state({"act": {"page": "a page", "order": 8, "ring": "broken"}})
    assert bell.heard == ["a page", 8]


@pytest.mark.parametrize("order", [None, "7", 7.5, float("nan"), [7]], ids=repr)
def test_an_order_that_is_no_number_is_none(bell, page, order):
    page.acts(bell, order=order, ring="soft")
    assert bell.heard == ["a page", 0]


@pytest.mark.parametrize(
    "kind", [lambda state: ClockElement(state, print), FrameBook, lambda _: Raster(4, 4)]
)
def test_a_page_sets_nothing_but_what_a_user_does(kind, state, page, sent_by):
    element = kind(state)
    before = dict(element.get_state())
    sent = sent_by(element)
    hostile = dict.fromkeys(before, "") | {"frame": {}, "now": {}, "rate": 1e9, "links": [[]]}
    for user_does in ("act", "playing", "pointer", "layout"):
        hostile.pop(user_does, None)
    page.sets(element, **hostile)
    assert element.get_state() == before
    assert sent == []  # nor do other pages hear of it
    element.close()


def test_what_is_published_answers_to_the_move_of_its_own_thread_alone(state):
    def elsewhere():
        state.select(checkpoint=0)
        causes.append(PUBLISHED.now(state, state.selection)["cause"])

    causes = []
    with PUBLISHED.answering(state, "a page", 3):
        other = threading.Thread(target=elsewhere)
        other.start()
        other.join()
        state.select(checkpoint=1)
        causes.append(PUBLISHED.now(state, state.selection)["cause"])
    state.select(checkpoint=2)
    causes.append(PUBLISHED.now(state, state.selection)["cause"])
    assert causes == [None, ["a page", 3], None]


def test_an_element_that_is_made_amid_a_publication_tells_of_what_comes(state):
    def make():
        under_way.wait(20)
        made.append(FrameBook(state))

    def announced(selection):
        PUBLISHED.now(state, selection)
        under_way.set()
        maker.join(0.2)  # it waits for the lock

    under_way, made = threading.Event(), []
    maker = threading.Thread(target=make)
    maker.start()
    state.announcements.observe(announced)
    state.select(channel=3)
    maker.join(20)
    assert made[0].now["selection"]["channel"] == 3
    made[0].close()


def test_pages_know_which_state_is_which(state, make_net, images):
    from convviz_widgets.state import ModelState

    other = ModelState(make_net(3), images)
    names = [PUBLISHED.name(each) for each in (state, other, state)]
    assert names[0] == names[2] != names[1]
    other.close()


def test_what_is_published_is_numbered_in_its_order(state):
    first = PUBLISHED.now(state, state.selection)
    assert PUBLISHED.now(state, state.selection) is first  # several views tell of it
    state.select(channel=2)
    second = PUBLISHED.now(state, state.selection)
    assert second["serial"] > first["serial"]
    assert (second["selection"]["channel"], second["key"]) == (2, first["key"])
    state.select(checkpoint=0)
    assert PUBLISHED.now(state, state.selection)["key"] != first["key"]


def test_an_element_of_a_state_tells_what_is_selected(state):
    book = FrameBook(state)
    assert book.state_id == book.now["state"] == PUBLISHED.name(state)
    assert book.now["selection"]["layer"] == state.layer
    book.close()


def test_names_can_be_sent_to_the_page(images):
    net = nn.Sequential()
    net.add_module("half\ud800", nn.Conv2d(1, 2, 3))
    state = ModelState(net, images)
    view = ActivationMosaic(state)
    sent = view.raster.get_state()
    assert sent["now"]["selection"]["layer"] == r"half\ud800"
    assert sent["frame"]["alt"].startswith(r"Activation maps: half\ud800")
    assert sent["frame"]["picture"] == view.raster.png
    told = []
    view.raster.send = lambda message, _buffers: told.append(message)
    view.raster.renew({"of": "half\ud800"})
    assert told[0]["options"] == {"of": r"half\ud800"}
    json.dumps(told).encode()
    view.close()
    state.close()
