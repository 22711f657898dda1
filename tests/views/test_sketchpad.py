"""Painting over an image: which values change, who follows, and how many passes that takes."""

import io

import numpy as np
import pytest
import torch
from ipycanvas import Canvas
from ipywidgets import HTML
from PIL import Image
from torch import nn

from convviz_widgets.errors import InputError
from convviz_widgets.images import ImageSet
from convviz_widgets.state import ModelState
from convviz_widgets.views import ActivationMap, ImageStrip, Predictions, Sketchpad
from convviz_widgets.widgets import widget_tree


def event(pad, kind, x=0.0, y=0.0):
    content = {"event": kind, "x": x, "y": y}
    if kind.startswith("touch"):
        content = {"event": kind, "touches": [{"x": x, "y": y}]}
    canvas = next(each for each in widget_tree(pad.raster) if isinstance(each, Canvas))
    canvas._handle_custom_msg(content, [])


def stroke(pad, *cells):
    """Draw with the mouse through the middles of these pixels (column, row) of the picture."""
    scale = pad.scale
    places = [((column + 0.5) * scale, (row + 0.5) * scale) for column, row in cells]
    event(pad, "mouse_move", *places[0])
    event(pad, "mouse_down", *places[0])
    for place in places[1:]:
        event(pad, "mouse_move", *place)
    event(pad, "mouse_up", *places[-1])
    assert pad.wait(20)


def on_the_page(pad):
    """Return the HTML of every line of the page."""
    return [each.value for each in widget_tree(pad) if isinstance(each, HTML)]


@pytest.fixture
def pad(state):
    made = Sketchpad(state, size=1)
    yield made
    assert made.wait(20)
    made.close()


def test_a_stroke_changes_the_pixels_below_it_and_no_others(pad, state):
    before = state.image_set.input(0)[0]
    stroke(pad, (1, 2), (4, 2))
    found = state.input()
    assert found[0, 2, 1:5].tolist() == [1, 1, 1, 1]
    found[0, 2, 1:5] = before[0, 2, 1:5]
    assert torch.equal(found, before)
    assert "image 0, painted over · 6 × 6 pixels, 4 of them other" in pad.caption


@pytest.mark.parametrize("soft", [False, True])
def test_untouched_pixels_keep_values_that_no_picture_can_hold(soft):
    odd = torch.full((2, 3, 20, 20), 0.123456789) * torch.tensor([1.0, -7.0, 1e9])[:, None, None]
    odd[:, :, 0, 0], odd[:, :, 0, 19] = torch.nan, torch.inf
    state = ModelState(nn.Sequential(nn.Conv2d(3, 1, 1)), ImageSet(odd, mean=0.45, std=0.22))
    pad = Sketchpad(state, size=3, soft=soft)
    stroke(pad, (10, 10), (12, 12))
    is_painted = np.zeros((20, 20), bool)
    is_painted[8:15, 8:15] = True
    same = torch.isclose(state.input(), odd[0], rtol=0, atol=0, equal_nan=True)
    assert same[:, ~is_painted].all()
    assert not same[:, 10, 10].any()
    white = (1 - 0.45) / 0.22
    torch.testing.assert_close(state.input()[:, 11, 11], torch.full((3,), white))
    pad.close()


def test_each_paint_leaves_what_it_says():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(1, 3, 8, 8, generator=generator)
    state = ModelState(nn.Sequential(nn.Conv2d(3, 1, 1)), ImageSet(pixels, mean=0.0, std=0.5))
    pad = Sketchpad(state, size=1, colour="#ff8000")
    expected = {
        "#000000": [0, 0, 0],
        "#ffffff": [2, 2, 2],
        "#808080": [2 * 128 / 255] * 3,
        "picked": [2, 2 * 128 / 255, 0],
        "mean": pixels[0].mean(dim=(1, 2)).tolist(),
        "image": pixels[0, :, 3, 3].tolist(),
    }
    for paint, values in expected.items():
        pad.paint = paint
        stroke(pad, (3, 3))
        torch.testing.assert_close(state.input()[:, 3, 3], torch.tensor(values).float())
    assert "as they are" not in pad.caption
    assert "0 of them other" in pad.caption
    pad.close()


def test_every_view_follows_and_says_so(pad, state):
    views = [Predictions(state), ActivationMap(state, overlay=True), ImageStrip(state)]
    shown = [views[0].table.value, views[1].raster.png, views[2].raster.png]
    stroke(pad, *[(column, row) for row in range(6) for column in (0, 5)])
    now = [views[0].table.value, views[1].raster.png, views[2].raster.png]
    assert all(old != new for old, new in zip(shown, now, strict=True))
    assert "n = 1 image, painted over" in views[0].caption
    assert "true class: class 0" in views[0].caption
    assert "image 0, painted over ·" in views[1].caption
    assert "image 0, painted over" in views[2].describe(0, views[2].painted)
    assert state.output_history.wait(20)
    state.select(drawing=None)
    assert views[2].raster.png == shown[2]
    for view in views:
        view.close()


def test_five_hundred_pointer_events_are_a_pass_a_frame_and_the_last_is_painted(pad, state):
    view = ActivationMap(state)
    before = state.forward_count
    scale = pad.scale
    event(pad, "mouse_down", 1, 1)
    for number in range(500):
        event(pad, "mouse_move", (number % 6 + 0.5) * scale, (number // 84 + 0.5) * scale)
    assert pad.wait(20)
    passes = state.forward_count - before
    assert 1 <= passes <= pad.frames <= 250
    event(pad, "mouse_up")
    assert state.input().tolist() == torch.ones(1, 6, 6).tolist()
    assert view.drew_for(state.selection)
    view.close()


def test_the_pointer_draws_only_while_it_is_down(pad, state):
    event(pad, "mouse_move", 50, 50)
    event(pad, "mouse_up", 50, 50)
    assert pad.frames == 0
    stroke(pad, (0, 0))
    event(pad, "mouse_move", 100, 100)
    assert pad.wait(20)
    assert int((state.input() == 1).sum()) == 1
    event(pad, "mouse_down", 100, 100)
    event(pad, "mouse_out", 290, 100)
    event(pad, "mouse_move", 100, 290)
    assert pad.wait(20)
    assert int((state.input() == 1).sum()) == 2


def test_a_finger_draws_as_a_mouse_does(pad, state):
    scale = pad.scale
    event(pad, "touch_start", 0.5 * scale, 0.5 * scale)
    event(pad, "touch_move", 2.5 * scale, 0.5 * scale)
    event(pad, "touch_end")
    assert pad.wait(20)
    assert state.input()[0, 0, :4].eq(1).tolist() == [True, True, True, False]


def test_a_stroke_ends_where_another_image_is_selected(pad, state):
    scale = pad.scale
    event(pad, "mouse_down", 1, 1)
    assert pad.wait(20)
    state.select(image=2)
    event(pad, "mouse_move", 5 * scale, 1)
    assert pad.wait(20)
    assert state.selection.drawing is None
    assert torch.equal(state.input(), state.image_set.input(2)[0])


def test_strokes_lie_on_each_other_and_the_image_comes_back(pad, state):
    stroke(pad, (0, 0))
    pad.paint = "#000000"
    stroke(pad, (1, 0))
    assert state.input()[0, 0, :2].tolist() == [1, 0]
    state.select(drawing=None)
    assert torch.equal(state.input(), state.image_set.input(0)[0])
    assert "as they are" in pad.caption


def test_clear_leaves_a_sheet_that_the_brush_shows_on(pad, state):
    pad.clear()
    assert state.input().eq(0).all()
    pad.paint = "#000000"
    pad.clear()
    assert state.input().eq(1).all()


def test_an_uploaded_picture_takes_the_place_of_the_image(pad, state):
    pixels = np.arange(36, dtype=np.uint8).reshape(6, 6)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    upload(pad, "<b>seven.png", out.getvalue())
    torch.testing.assert_close(state.input()[0], torch.from_numpy(pixels / 255).float())
    assert "image 0, replaced by <b>seven.png ·" in pad.caption
    assert any("replaced by &lt;b&gt;seven.png ·" in line for line in on_the_page(pad))
    stroke(pad, (0, 0))
    stroke(pad, (1, 0))
    assert state.selection.image_name == "image 0, replaced by <b>seven.png, painted over"


def test_a_file_that_is_no_picture_is_refused_in_place(pad, state):
    upload(pad, "notes.txt", b"hello")
    assert "'notes.txt' cannot be read as a picture" in pad.problem
    assert any("&#x27;notes.txt&#x27; cannot be read" in line for line in on_the_page(pad))
    assert state.selection.drawing is None
    pad.clear()
    assert pad.raster.layout.visibility == "visible"


def upload(pad, name, content):
    facts = {"name": name, "type": "image/png", "size": len(content), "last_modified": 0}
    raw = [{**facts, "content": memoryview(content)}]
    pad.control("Upload").set_state({"value": raw})
    assert pad.control("Upload").value == ()


def test_a_colour_that_is_picked_is_painted_with(pad):
    pad.control("Colour").value = "#00ff00"
    assert (pad.paint, pad.colour) == ("picked", "#00ff00")
    pad.control("Colour").value = "teal"
    assert "'teal': expected #rrggbb" in pad.problem
    assert any("&#x27;teal&#x27;: expected #rrggbb" in line for line in on_the_page(pad))
    assert pad.colour == "#00ff00"


def test_an_image_that_cannot_be_read_is_said_so_and_the_next_is_shown(make_net):
    class Broken:
        def __len__(self):
            return 3

        def __getitem__(self, index):
            if index == 1:
                raise KeyError("lost")
            return torch.zeros(1, 6, 6)

    state = ModelState(make_net(), ImageSet(Broken()))
    pad = Sketchpad(state)
    state.select(image=1)
    assert "KeyError" in pad.problem
    assert pad.raster.layout.visibility == "hidden"
    state.select(image=2)
    assert pad.raster.layout.visibility == "visible"
    pad.close()


@pytest.mark.parametrize("shape", [(1, 1), (300, 40), (700, 500)])
def test_pictures_of_any_size_fit_the_frame(shape):
    state = ModelState(nn.Sequential(nn.Conv2d(17, 1, 1)), torch.zeros(1, 17, *shape))
    pad = Sketchpad(state, size=5)  # one screen pixel is several of the picture
    size = pad.raster.size
    assert max(size) <= 296
    assert size == pytest.approx((shape[1] * pad.scale, shape[0] * pad.scale), abs=1)
    stroke(pad, (shape[1] - 1, shape[0] - 1))
    assert state.input()[:, -1, -1].eq(1).all()
    pad.close()


def test_options_that_do_not_fit_are_refused(state):
    for option in ({"paint": "pink"}, {"size": 0}, {"brush": 3}, {"colour": "red"}):
        with pytest.raises(InputError):
            Sketchpad(state, **option)
