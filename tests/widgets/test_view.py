import threading

import pytest
from ipycanvas import Canvas
from ipywidgets import HTML, Label
from ipywidgets.widgets.widget import _instances
from traitlets import Bool

import convviz_widgets as cvw
from convviz_widgets.errors import InputError
from convviz_widgets.views import ActivationMosaic, FilterMosaic, Sketchpad
from convviz_widgets.widgets import View, widget_tree


class Named(View):
    title = "Named"
    depends = frozenset({"image", "channel"})
    loud = Bool(False).tag(option=True)

    def build(self):
        self.label = Label()
        return [self.label]

    def compute(self, selection):
        if selection.image == 4:
            raise InputError("image 4 is <b>odd</b>")
        return f"{selection.image}/{selection.channel}" + ("!" if self.loud else "")

    def draw(self, result):
        self.label.value = result


def on_the_page(view):
    """Return the HTML of every line that is seen."""
    lines = [each for each in widget_tree(view) if isinstance(each, HTML)]
    return [each.value for each in lines if each.layout.display != "none"]


def canvas_of(view):
    """Return the canvas above the picture, which takes the events of the page."""
    return next(each for each in widget_tree(view.raster) if isinstance(each, Canvas))


def test_a_view_draws_once_for_a_select_of_several_fields(state):
    view = Named(state)
    state.select(image=2, channel=3, layer="1", checkpoint=0)
    assert view.label.value == "2/3"
    assert view.draw_count == 2


def test_a_view_skips_what_it_does_not_depend_on(state):
    view = Named(state)
    state.select(layer="1", checkpoint=0)
    assert view.draw_count == 1


def test_a_hidden_view_does_nothing_and_catches_up_when_shown(state):
    view = Named(state, visible=False)
    state.select(image=1)
    state.select(image=2)
    assert view.draw_count == 0
    view.visible = True
    assert view.label.value == "2/0"
    assert view.draw_count == 1


def test_an_option_draws_its_own_view_alone(state):
    view, other = Named(state), Named(state)
    view.loud = True
    assert view.label.value == "0/0!"
    assert other.draw_count == 1


def test_an_unknown_option_is_refused_by_name(state):
    with pytest.raises(InputError, match="unknown option 'lod'; did you mean 'loud'"):
        Named(state, lod=True)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"colormap": "jet"}, r"unknown colormap 'jet'; ActivationMosaic takes automatic, viridis"),
        ({"per_channel": "no"}, "'per_channel' trait of an ActivationMosaic .* a boolean"),
    ],
)
def test_an_option_that_does_not_fit_is_refused_in_one_line(state, option, message):
    before = set(_instances)
    with pytest.raises(InputError, match=message) as refused:
        ActivationMosaic(state, **option)
    assert "\n" not in str(refused.value)
    assert set(_instances) == before
    view = ActivationMosaic(state)
    picture, ((name, value),) = view.painted, option.items()
    with pytest.raises(InputError, match=message):
        setattr(view, name, value)
    assert getattr(view, name) != value
    assert view.painted is picture


def test_a_closed_view_draws_no_more_whoever_asks(state):
    view = Named(state)
    view.close()
    before = set(_instances)
    view.redraw()
    assert view.draw_count == 1
    assert set(_instances) == before


def test_closing_waits_for_whoever_is_drawing(state):
    view, amid, gate = Named(state), threading.Event(), threading.Event()
    order = []

    def draw(result):
        amid.set()
        gate.wait(10)
        order.append("drawn")

    view.draw = draw
    drawing = threading.Thread(target=view.redraw)
    drawing.start()
    assert amid.wait(10)
    closing = threading.Thread(target=lambda: (view.close(), order.append("closed")))
    closing.start()
    closing.join(0.05)
    gate.set()
    for thread in (drawing, closing):
        thread.join(10)
    assert order == ["drawn", "closed"]


def test_a_view_that_is_collected_while_another_thread_draws_waits_for_nobody(state):
    view = View(state)
    with state.hold():
        collector = threading.Thread(target=view.__del__)
        collector.start()
        collector.join(60)
        assert not collector.is_alive()
        assert view.comm is not None
    assert view.comm is None  # closed as soon as the lock was free


def test_a_view_that_left_every_page_computes_nothing_until_it_is_back(state):
    view = Named(state)
    view._view_count = 1
    state.select(image=1)
    assert view.label.value == "1/0"
    view._view_count = 0
    drawn = view.draw_count
    state.select(image=2)
    view.loud = True
    assert view.draw_count == drawn
    view._view_count = 1
    assert view.label.value == "2/0!"
    assert view.draw_count == drawn + 1


@pytest.mark.parametrize(
    ("kind", "asked"), [(FilterMosaic, "is_slow_to_load"), (ActivationMosaic, "is_slow")]
)
def test_what_is_slow_is_announced_before_it_is_computed(state, kind, asked, monkeypatch):
    view = kind(state)
    monkeypatch.setattr(state, asked, lambda selection: True)
    announced, compute = [], view.compute

    def recording(selection):
        announced.append(view.note)
        return compute(selection)

    view.compute = recording
    state.checkpoint = 0
    assert announced == ["computing step 0 …"]
    assert view.note == ""


def test_a_page_that_is_ready_is_painted_between_publications(state):
    pad, painting = Sketchpad(state), []
    pad.raster.overlay.paint(lambda canvas: painting.append(state.publishing_here()))
    painting.clear()
    canvas_of(pad)._handle_custom_msg({"event": "client_ready"}, [])
    assert painting == [True]


@pytest.mark.parametrize(
    ("key", "shift", "reached"),
    [("Tab", False, "next"), ("Tab", True, "last"), ("Escape", False, "last")],
)
def test_keys_leave_a_canvas_for_the_control_beside_it(state, key, shift, reached):
    view, focused = Sketchpad(state), []
    for name, control in {"last": "soft", "next": "Clear"}.items():
        view.control(control).focus = lambda name=name: focused.append(name)
    view.raster.press(key, shift=shift)
    assert focused == [reached]


def test_tab_leads_from_a_picture_to_the_control_beside_it(state, beside):
    view = ActivationMosaic(state)
    controls = tuple(map(view.control, ("own scale per map", "previous channel")))
    assert beside(view, view.raster) == controls


def test_an_error_is_shown_in_place_escaped_and_leaves_the_others_alone(state):
    broken, fine = Named(state), Named(state)
    fine.compute = lambda selection: "fine"
    state.select(image=4)
    assert broken.problem == "image 4 is <b>odd</b>"
    assert "image 4 is &lt;b&gt;odd&lt;/b&gt;" in on_the_page(broken)
    assert broken.label.layout.visibility == "hidden"
    assert fine.label.value == "fine"
    state.select(image=3)
    assert broken.problem == ""
    assert not any("odd" in line for line in on_the_page(broken))
    assert broken.label.value == "3/0"


def test_a_foreign_error_is_named(state):
    view = Named(state)
    view.compute = lambda selection: {}["x"]
    state.select(image=1)
    assert view.problem == "KeyError: 'x'"
    assert "KeyError: &#x27;x&#x27;" in on_the_page(view)


def test_closing_a_view_leaves_no_widget_behind(state):
    before = set(_instances)
    view = Named(state)
    assert set(_instances) - before
    view.close()
    assert set(_instances) == before
    state.select(image=1)
    assert view.draw_count == 1


def test_what_is_no_option_draws_nothing(state):
    class Plain(Named):
        loud = None

    view = Plain(state)
    view.add_class("mine")
    assert view.draw_count == 1
    view.visible = False
    state.select(image=1)
    view.visible = True
    assert view.draw_count == 2
    view.close()
    assert view.draw_count == 2


def test_a_refused_wish_leaves_picture_and_controls_and_is_forgotten_after_the_next(state):
    view = Named(state)
    view.guarded(lambda: state.select(image=99))
    assert "image 99 is out of range" in view.problem
    assert view.label.layout.visibility != "hidden"
    view.guarded(lambda: state.select(channel=1))
    assert view.problem == ""


def test_an_interrupted_view_is_not_taken_for_drawn(state):
    view = Named(state)

    def stop(selection):
        raise KeyboardInterrupt

    view.compute = stop
    with pytest.raises(KeyboardInterrupt):
        state.select(image=2)
    del view.compute
    view.update()
    assert view.label.value == "2/0"


def test_anything_but_a_state_is_refused_by_name():
    with pytest.raises(InputError, match="Named shows a ModelState, got int"):
        Named(3)


@pytest.mark.parametrize(
    "view",
    [
        cvw.Predictions,
        cvw.SparsityHistory,
        cvw.ActivationHistogram,
        cvw.TrainingCurves,
        cvw.DiagnosisPanel,
        cvw.EmbeddingScatter,
        cvw.TopImages,
        cvw.FilterMosaic,
    ],
)
def test_a_view_of_anything_but_a_state_is_refused_in_one_line(view):
    with pytest.raises(cvw.InputError, match=f"{view.__name__} shows a ModelState, got int"):
        view(3)


def test_controls_are_found_by_the_name_they_have_on_the_page_while_they_are_seen(state):
    view = ActivationMosaic(state)
    assert view.control_names[:3] == ("Colours", "Show", "own scale per map")
    view.control("own scale per map").value = True
    assert view.per_channel
    expected = (
        "unknown control 'Colour'; did you mean 'Colours'. ActivationMosaic has Colours, Show"
    )
    with pytest.raises(InputError, match=expected):
        view.control("Colour")
    swept = cvw.DeadFilters(state)
    assert "Cancel" not in swept.control_names  # nothing is being swept
    assert "Sweep this step" in swept.control_names


def test_lines_are_read_as_they_are_seen(state):
    view = Named(state)
    view.say("n < 3 & more")
    assert view.caption == "n < 3 & more"
    assert "n &lt; 3 &amp; more" in on_the_page(view)
    assert (view.note, view.pointed, view.problem) == ("", "", "")


def test_a_raster_is_acted_on_as_by_a_pointer_and_read_as_it_is_seen(state):
    view = ActivationMosaic(state)
    first, third = (view.painted.mosaic.box(tile) for tile in (0, 2))
    assert view.raster.boxes == (first,)
    assert view.raster.pixels.shape == (*view.raster.size[::-1], 4)
    view.raster.point_at(third.x + 1, third.y + 1)
    assert view.pointed.startswith("channel 2: ")
    assert (state.channel, view.highlighted) == (0, 0)
    view.raster.click(third.x + 1, third.y + 1)
    assert (state.channel, view.highlighted, view.raster.boxes) == (2, 2, (third,))
    view.raster.press("ArrowLeft")
    view.raster.press("x")  # a key that means nothing
    assert state.channel == 1
