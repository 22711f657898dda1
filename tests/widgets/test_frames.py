"""Frames: what travels with one, what a page is told of it, and what it gets when it comes anew."""

import threading

import numpy as np
import pytest
from ipywidgets import HTML

import convviz_widgets as cvw
from convviz_widgets.state.published import PUBLISHED
from convviz_widgets.tensors import Mosaic, rgb_png
from convviz_widgets.widgets.frames import MOST_VALUES, Frame, FrameBook

PICTURE = rgb_png(np.zeros((4, 6, 4), np.uint8))


@pytest.fixture
def book(state):
    made = FrameBook(state, frozenset({"layer", "image"}))
    yield made
    made.close()


def now(state):
    return PUBLISHED.now(state, state.selection)


def test_a_frame_carries_all_that_changes_with_it():
    words = HTML()
    values = np.array([[[1.5, -2.0]]])
    frame = Frame(
        PICTURE,
        6,
        4,
        Mosaic(1, 1, 2, columns=1, enlarge=2),
        names=("channel 3",),
        channels=(3,),
        values=values,
        signed=True,
        caption="step 100",
        alt="a map",
        colormap="viridis",
        limits=("0", "2"),
        writes={words: {"value": "100 %"}},
    )
    sent = frame.content(7, 2, {"overlay": False})
    assert (sent["key"], sent["of"], sent["options"]) == (7, 2, {"overlay": False})
    assert (sent["picture"], sent["width"], sent["height"]) == (PICTURE, 6, 4)
    assert (sent["grid"]["count"], sent["grid"]["enlarge"], sent["grid"]["size"]) == (1, 2, [1, 2])
    assert (sent["names"], sent["channels"], sent["signed"]) == (["channel 3"], [3], True)
    assert np.frombuffer(sent["values"], "<f4").tolist() == [1.5, -2.0]
    assert sent["shape"] == [1, 1, 2]
    assert (sent["caption"], sent["alt"], sent["limits"]) == ("step 100", "a map", ["0", "2"])
    assert sent["writes"] == [[words.model_id, {"value": "100 %"}]]


def test_the_name_of_a_colour_map_that_may_become_another_is_left_open():
    alike = Frame(caption="0 to 2, viridis · step 3", colormap="viridis", recolours=("magma",))
    assert alike.content(1, 0, {})["caption"] == ["0 to 2, ", " · step 3"]
    fixed = Frame(caption="0 to 2, viridis", colormap="viridis")
    assert fixed.content(1, 0, {})["caption"] == "0 to 2, viridis"
    twice = Frame(caption="viridis: viridis", colormap="viridis", recolours=("magma",))
    assert twice.content(1, 0, {})["caption"] == "viridis: viridis"


@pytest.mark.parametrize(("more", "travel"), [(0, True), (1, False)])
def test_numbers_travel_up_to_a_megabyte_and_are_asked_for_beyond(more, travel):
    count = MOST_VALUES // 4 + more
    frame = Frame(PICTURE, values=np.zeros((1, 1, count)))
    sent = frame.content(0, 0, {})
    assert ("values" in sent, sent.get("asks", False)) == (travel, not travel)
    assert frame.nbytes >= len(PICTURE) + MOST_VALUES


def test_a_frame_that_is_shown_comes_with_what_is_selected(book, state, sent_by):
    sent = sent_by(book)
    state.select(image=2)
    book.show(Frame(PICTURE, caption="image 2"), now(state), key=5)
    (update,) = sent
    assert update.content["frame"]["caption"] == "image 2"
    assert update.content["now"]["selection"]["image"] == 2
    assert update.buffers == [PICTURE]


def test_a_page_that_is_loaded_again_gets_the_frame_that_is_shown(book, state):
    book.keep(Frame(PICTURE, caption="ahead"), 6, book.of)
    book.show(Frame(PICTURE, caption="here"), now(state), key=5)
    loaded = book.get_state()
    assert (loaded["frame"]["caption"], loaded["frame"]["key"]) == ("here", 5)
    assert loaded["now"]["selection"]["layer"] == state.layer


def test_a_frame_that_the_page_has_is_not_sent_again(book, state, sent_by):
    frame = Frame(PICTURE, caption="step 5")
    assert book.keep(frame, 5, book.of) == frame.nbytes
    sent = sent_by(book)
    book.show(frame, now(state), key=5)
    (told,) = sent
    assert told.content["current"] == 5
    assert told.buffers == []
    assert book.get_state()["frame"]["caption"] == "step 5"  # for a page that comes later


def test_a_page_that_lacks_the_frame_after_all_asks_for_it(book, state, page, sent_by):
    book.keep(Frame(PICTURE, caption="step 5"), 5, book.of)
    book.show(Frame(PICTURE, caption="step 5"), now(state), key=5)
    sent = sent_by(book)
    page.says(book, {"want": 4})
    assert sent == []
    page.says(book, {"want": 5})
    (told,) = sent
    (frame,) = told.content["frames"]
    assert (frame["caption"], told.buffers) == ("step 5", [PICTURE])
    assert told.content["paths"] == [["frames", 0, "picture"]]


def test_frames_of_what_was_selected_before_are_neither_sent_nor_taken_for_there(
    book, state, sent_by
):
    of = book.of
    book.keep(Frame(PICTURE), 5, of)
    sent = sent_by(book)
    book.renew({"colormap": "magma"})
    assert sent[-1].content["renew"] == book.of == of + 1
    assert sent[-1].content["options"] == {"colormap": "magma"}
    assert book.keep(Frame(PICTURE), 6, of) == 0
    assert len(sent) == 1
    book.show(Frame(PICTURE, caption="anew"), now(state), key=5)
    assert sent[-1].kind == "update"
    assert sent[-1].content["frame"]["options"] == {"colormap": "magma"}


def test_a_frame_that_is_on_its_way_when_others_are_wanted_is_not_taken_for_there(
    book, state, sent_by
):
    """A frame that is sent as the others are given up is told of before that, or not at all."""

    def kept_amid(content, buffers):
        if "frames" in content and not renewing.is_alive():
            renewing.start()
            renewing.join(0.2)
        told.append(next(iter(content)))

    told = []
    renewing = threading.Thread(target=lambda: book.renew({}))
    book.send = kept_amid
    book.keep(Frame(PICTURE), 5, book.of)
    renewing.join(20)
    assert told == ["frames", "renew"]
    del book.send
    sent = sent_by(book)
    book.show(Frame(PICTURE, caption="anew"), now(state), key=5)
    assert sent[-1].content["frame"]["caption"] == "anew"


def test_frames_that_are_dropped_are_sent_again_when_they_are_shown(book, state, sent_by):
    for key in (5, 6):
        book.keep(Frame(PICTURE), key, book.of)
    sent = sent_by(book)
    book.drop({5})
    assert sent[-1].content == {"drop": [5]}
    book.show(Frame(PICTURE), now(state), key=5)
    assert sent[-1].kind == "update"
    book.show(Frame(PICTURE), now(state), key=6)
    assert sent[-1].content["current"] == 6


def test_a_page_knows_whether_it_has_to_wait_for_a_frame(book, state, sent_by):
    assert book.show(Frame(PICTURE), now(state), key=5)
    assert book.ahead
    assert not book.show(Frame(PICTURE), now(state), key=5)  # it has that
    sent = sent_by(book)
    book.tell_drawn(now(state))
    assert sent[-1].content == {"drawn": now(state)["serial"]}
    book.show(Frame(PICTURE), now(state))
    assert not book.ahead  # it is shown wherever the clock points


def test_every_book_lets_go_before_a_page_learns_what_is_selected(state, sent_by):
    books = [view(state).book for view in (cvw.ActivationMosaic, cvw.ActivationMap)]
    sent = [sent_by(book) for book in books]
    told = []
    state.announcements.observe(lambda _: told.extend(each[-1].content for each in sent))
    state.select(layer="2", checkpoint=0)
    assert [set(message) for message in told] == [{"renew", "options"}] * 2
    assert [each[-1].content for each in sent] == [{"drawn": now(state)["serial"]}] * 2


def test_a_page_that_is_new_has_no_frames_and_says_so(book, state, page, sent_by):
    lacking = []
    book.on_new_page(lambda: lacking.append(True))
    book.keep(Frame(PICTURE), 5, book.of)
    page.says(book, {"ready": True})
    assert lacking == [True]
    sent = sent_by(book)
    book.show(Frame(PICTURE), now(state), key=5)
    assert sent[-1].kind == "update"


@pytest.mark.parametrize(
    "message",
    [
        None,
        "ready",
        5,
        ["ready"],
        {},
        {"ready": False},
        {"want": None},
        {"want": "5"},
        {"want": [5]},
        {"want": float("nan")},
        {"frames": [{"key": 5}]},
    ],
    ids=repr,
)
def test_a_message_that_is_not_understood_does_nothing(book, state, page, sent_by, message):
    lacking = []
    book.on_new_page(lambda: lacking.append(True))
    book.show(Frame(PICTURE, caption="here"), now(state), key=5)
    sent = sent_by(book)
    page.says(book, message)
    assert (sent, lacking, book.frame["caption"]) == ([], [], "here")
