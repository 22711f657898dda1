"""Rasters in the kernel: what pages say of pointer, keys and tiles; what they are sent."""

import numpy as np
import pytest
from ipywidgets import HTML

from convviz_widgets.tensors import Box, Mosaic, rgb_png
from convviz_widgets.widgets.raster import EMPTY_PNG, Overlay, Raster, Shapes, TileRaster

PIXELS = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)

HOSTILE = [
    None,
    "1, 2",
    [],
    [1],
    [1, 2, 3],
    [1, None],
    ["1", "2"],
    [1.5, 2],
    [float("nan"), 0],
    [float("inf"), 0],
    [True, False],
    [10**30, 0],
    [[1], [2]],
    {"0": 1, "1": 2},
]
"""What is no place."""


def listened_to(raster):
    """Return the list of all that a raster tells of the user."""
    heard = []
    raster.on_click(lambda x, y: heard.append(("click", x, y)))
    raster.on_release(lambda x, y: heard.append(("release", x, y)))
    raster.on_move(lambda x, y: heard.append(("move", x, y)), lambda: heard.append("leave"))
    raster.on_arrow(lambda dx, dy: heard.append(("arrow", dx, dy)))
    return heard


def tiles():
    """Return a raster of six tiles in two rows, and the list of all that is picked."""
    picked = []
    raster = TileRaster(
        100,
        100,
        picked=picked.append,
        moved=lambda by: picked.append(("moved", by)),
        pointed=lambda tile: picked.append(("pointed", tile)),
    )
    mosaic = Mosaic(6, 10, 10, columns=3)
    raster.show_tiles(EMPTY_PNG, mosaic, 1, names=tuple("abcdef"))
    return raster, picked


def test_a_picture_is_read_as_it_is_shown():
    raster = Raster(10, 10)
    raster.show_picture(rgb_png(PIXELS), 3, 2, [Box(0, 0, 1, 2)], alt="two rows")
    assert np.array_equal(raster.pixels, PIXELS)
    assert (raster.size, raster.boxes) == ((3, 2), (Box(0, 0, 1, 2),))
    assert raster.frame["alt"] == "two rows"


def test_a_picture_and_its_outlines_change_together(sent_by):
    raster = Raster(10, 10)
    raster.show_picture(rgb_png(PIXELS), 3, 2, [Box(0, 0, 1, 2)])
    sent = sent_by(raster)
    raster.show_picture(EMPTY_PNG, 1, 1)
    (update,) = sent
    assert {"frame", "highlight_boxes"} <= update.content.keys()
    assert update.buffers == [EMPTY_PNG]


def test_the_same_outlines_are_not_sent_again(sent_by):
    raster = Raster(10, 10)
    raster.highlight(Box(1, 2, 3, 4))
    sent = sent_by(raster)
    raster.highlight(Box(1, 2, 3, 4))
    assert sent == []


def test_a_press_on_the_page_is_a_click_where_it_was(page):
    raster = Raster(10, 10)
    heard = listened_to(raster)
    page.says(raster, {"down": [4, 5]})
    page.says(raster, {"up": [6, 5]})
    moves = [("move", 4, 5), ("click", 4, 5), ("move", 6, 5), ("release", 6, 5)]
    assert heard == moves


def test_the_pointer_is_followed_until_it_leaves(page):
    raster = Raster(10, 10)
    heard = listened_to(raster)
    page.points(raster, move=[1, 2])
    page.points(raster, leave=True)
    assert heard == [("move", 1, 2), "leave"]


def test_a_click_is_not_lost_where_the_pointer_moves_on_before_it_is_told(page):
    raster, picked = tiles()
    there = raster.mosaic.box(2)
    page.sets(raster, act={"pick": 4}, pointer={"move": [there.x, there.y]})
    assert sorted(picked, key=str) == [("pointed", 2), 4]


def test_only_arrows_are_keys(page):
    raster = Raster(10, 10)
    heard = listened_to(raster)
    for key in ("ArrowUp", "Enter", "Tab", "<b>", 5, None, ["ArrowUp"]):
        page.says(raster, {"key": key})
    assert heard == [("arrow", 0, -1)]


@pytest.mark.parametrize("place", HOSTILE, ids=repr)
def test_what_is_no_place_does_nothing(page, place):
    raster = Raster(10, 10)
    heard, asked = listened_to(raster), []
    raster.asked = lambda x, y: asked.append((x, y)) or ""
    for name in ("down", "up", "ask"):
        page.says(raster, {name: place})
    page.points(raster, move=place)
    assert (heard, asked) == ([], [])


@pytest.mark.parametrize("message", [None, 5, "down", [1, 2], {}, {"down": {}}, {"ready": 0}])
def test_a_message_that_is_none_does_nothing(page, message):
    raster, picked = tiles()
    heard = listened_to(raster)
    page.says(raster, message)
    assert (heard, picked) == ([], [])


@pytest.mark.parametrize(
    "tile", [None, -1, 6, 10**30, 1.0, 2.5, float("nan"), "1", True, [1], {"tile": 1}], ids=repr
)
def test_what_is_no_tile_is_not_picked(page, tile):
    raster, picked = tiles()
    page.acts(raster, pick=tile)
    assert picked == []


def test_a_tile_is_picked_on_the_page_and_in_code(page):
    raster, picked = tiles()
    page.acts(raster, pick=5)
    box = raster.mosaic.box(4)
    raster.click(box.x, box.y + 3)
    assert picked == [5, ("pointed", 4), 4]


def test_nothing_is_picked_where_there_is_no_tile(page):
    raster, picked = tiles()
    raster.click(0, 0)  # the gap
    raster.show_nothing()
    page.acts(raster, pick=0)
    raster.click(5, 5)
    assert picked == [("pointed", None), ("pointed", None)]
    assert (raster.mosaic, raster.boxes) == (None, ())


def test_keys_lead_over_the_edge_of_the_tiles_that_are_shown(page):
    """The page leads to the tiles that it has; the kernel may have more of them."""
    raster, picked = tiles()
    page.says(raster, {"key": "ArrowLeft"})
    raster.press("ArrowDown")
    raster.press("Home")
    assert picked == [("moved", -1), ("moved", 3)]


def test_the_tile_that_is_selected_is_outlined():
    raster, _ = tiles()
    assert raster.boxes == (raster.mosaic.box(1),)
    raster.selected = 6  # until a picture with so many tiles comes
    assert raster.boxes == ()


def test_tiles_travel_with_their_names_and_places():
    raster, _ = tiles()
    grid = raster.frame["grid"]
    assert raster.frame["names"] == list("abcdef")
    assert (grid["count"], grid["columns"], grid["gap"], grid["pitch"]) == (6, 3, 2, [12, 12])


def test_a_question_is_answered_on_the_page(page, sent_by):
    raster = Raster(10, 10)
    raster.asked = lambda x, y: f"row {y}, column {x}"
    sent = sent_by(raster)
    page.says(raster, {"ask": [3, 7]})
    assert [each.content for each in sent] == [{"words": "row 7, column 3"}]


def test_what_is_drawn_is_kept_for_a_page_that_comes_later():
    overlay = Overlay(HTML(), "a plot")
    overlay.resize(200, 100)

    def draw(shapes: Shapes):
        shapes.stroke_style, shapes.line_width = "#d9480f", 2
        shapes.stroke_line(1, 2, 3, 4)
        shapes.stroke_rect(1, 2, 3, 4)
        shapes.fill_style = "#ffffff"
        shapes.fill_rect(0, 0, 9, 9)
        shapes.font, shapes.text_align = "11px sans-serif", "center"
        shapes.fill_text("<b>0", np.float32(5), 6)

    overlay.paint(draw)
    state = overlay.pane.get_state()
    assert state["drawing"] == [
        ["lines", "#d9480f", 2, [[1, 2], [3, 4]]],
        ["rectangle", "#d9480f", 2, 1, 2, 3, 4],
        ["filled", "#ffffff", 2, 0, 0, 9, 9],
        ["text", "#ffffff", 2, "<b>0", 5, 6, "11px sans-serif", "center"],
    ]
    assert (state["width"], state["height"], state["label"]) == (200, 100, "a plot")


def test_a_new_drawing_takes_the_place_of_the_one_before(sent_by):
    overlay = Overlay(HTML())
    overlay.paint(lambda shapes: shapes.stroke_line(0, 0, 1, 1))
    sent = sent_by(overlay.pane)
    overlay.paint(lambda shapes: shapes.stroke_line(0, 0, 1, 1))
    assert sent == []
    overlay.paint(lambda shapes: None)
    assert [each.content for each in sent] == [{"drawing": []}]


def test_an_overlay_is_acted_on_as_by_a_pointer(page):
    overlay = Overlay(HTML())
    overlay.resize(200, 100)
    heard = listened_to(overlay)
    page.says(overlay.pane, {"down": [4, 5]})
    overlay.drag((1, 1), (9, 1))
    overlay.press("ArrowRight")
    places = [each for each in heard if each[0] in ("click", "release", "arrow")]
    assert places == [("click", 4, 5), ("click", 1, 1), ("release", 9, 1), ("arrow", 1, 0)]
    assert overlay.size == (200, 100)


def test_pointer_and_keys_mean_something_only_where_somebody_listens():
    silent, pointed, keyed = Raster(1, 1), Raster(1, 1), Raster(1, 1)
    pointed.on_move(lambda x, y: None, lambda: None)
    keyed.on_arrow(lambda dx, dy: None)
    assert [each.listens for each in (silent, pointed, keyed)] == [False, True, True]
    assert [each.reports for each in (silent, pointed, keyed)] == [False, True, False]
