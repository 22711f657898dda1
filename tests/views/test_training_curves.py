import numpy as np
import pytest
from ipywidgets.widgets.widget import _instances
from torch.utils.tensorboard import SummaryWriter

from convviz_widgets.record import Run
from convviz_widgets.views import TrainingCurves


@pytest.fixture
def writer(tmp_path):
    with SummaryWriter(tmp_path) as made:
        yield made


@pytest.fixture
def run(writer, tmp_path):
    for step in range(201):
        writer.add_scalar("loss/train", 2.0 / (1 + step), step)
        writer.add_scalar("loss/val", 2.5 / (1 + step), step)
        writer.add_scalar("accuracy/val", step / 200, step)
    writer.flush()
    return Run(tmp_path)


def test_the_losses_are_shown_first_partners_in_one_colour(state, run):
    view = TrainingCurves(state, run=run)
    train, val = view.compute(state.selection).curves
    assert (train.tag, val.tag) == ("loss/train", "loss/val")
    assert train.colour == val.colour
    assert (train.dashed, val.dashed) == (False, True)
    np.testing.assert_allclose(train.raw, run.metrics["loss/train"].values)


def test_scrubbing_moves_the_cursor_and_sends_no_curve(state, run):
    view = TrainingCurves(state, run=run)
    curves = view.curves
    state.checkpoint = 0
    assert view.curves is curves
    assert "cursor: step 0" in view.caption


def test_a_click_moves_the_clock_to_the_nearest_checkpoint(state, run):
    view = TrainingCurves(state, run=run)
    x = int(view.plot.to_pixel(90))
    view.overlay.drag((x, 50), (x + 1, 50))
    assert state.selection.step == 100


def test_arrow_keys_move_the_clock(state, run):
    view = TrainingCurves(state, run=run)
    view.overlay.press("ArrowLeft")
    assert state.selection.step == 100
    view.overlay.press("ArrowRight")
    assert state.selection.step == 200


def test_a_drag_zooms_and_the_button_shows_everything_again(state, run):
    view = TrainingCurves(state, run=run)
    low, high = (int(view.plot.to_pixel(step)) for step in (50, 150))
    view.overlay.drag((low, 50), (high, 50))
    assert (view.plot.x.min, view.plot.x.max) == pytest.approx((50, 150), abs=1)
    assert state.selection.step == 200  # a drag is no click
    view.control("show all steps").click()
    assert (view.plot.x.min, view.plot.x.max) == (0, 200)


def test_the_filter_keeps_what_is_shown(state, run):
    view = TrainingCurves(state, run=run)
    view.control("Filter metrics by name").value = "acc"
    assert view.control("Metrics to show").options == ("accuracy/val",)
    view.control("Metrics to show").value = ("accuracy/val",)
    assert set(view.tags) == {"loss/train", "loss/val", "accuracy/val"}


def test_new_points_appear_at_a_refresh(state, run, writer):
    view = TrainingCurves(state, run=run)
    writer.add_scalar("loss/train", 0.5, 300)
    writer.flush()
    state.refresh()
    assert view.plot.x.max == 300
    assert view.compute(state.selection).curves[0].raw[-1] == 0.5


def test_a_logarithmic_plot_leaves_out_what_has_no_logarithm(state, run, writer):
    writer.add_scalar("loss/train", -1.0, 201)
    writer.flush()
    view = TrainingCurves(state, run=run, logarithmic=True)
    state.refresh()
    assert view.problem == ""
    assert view.plot.y.min > 0


def test_a_million_points_are_drawn_by_a_few_thousand(state, run):
    view = TrainingCurves(state, run=run)
    from convviz_widgets.record import Series
    from convviz_widgets.views.metric_plot import make_curve

    count = 1_000_000
    values = np.zeros(count)
    values[333_333] = 7.0
    series = Series(np.arange(count), values, np.zeros(count))
    curve = make_curve("x", ("#000000", False), series, 0.9, (0, count), view.frame[0], 1.0)
    assert curve.points == count
    assert len(curve.steps) <= 4 * view.frame[0]
    assert curve.raw.max() == 7.0


def test_a_state_without_a_run_says_what_to_pass(state):
    assert "pass run=" in TrainingCurves(state).problem


def test_redrawing_and_closing_leave_no_widget_behind(state, run):
    TrainingCurves(state, run=run).close()
    before = set(_instances)
    view = TrainingCurves(state, run=run)
    held = len(_instances)
    view.smoothing, view.logarithmic = 0.6, True
    view.smoothing, view.logarithmic = 0.9, False
    assert len(_instances) == held
    view.close()
    assert set(_instances) == before


def test_a_loss_evaluated_now_and_then_does_not_lag_behind_that_of_the_training(
    state, writer, tmp_path
):
    for step in range(200):
        writer.add_scalar("loss/train", 1.0 - step / 200, step)
        if step % 40 == 39:
            writer.add_scalar("loss/val", 1.0 - step / 200, step)
    writer.flush()
    train, val = TrainingCurves(state, run=Run(tmp_path)).compute(state.selection).curves
    at = np.isin(train.smoothed_steps, val.smoothed_steps)
    np.testing.assert_allclose(val.smoothed, train.smoothed[at], atol=0.05)


@pytest.mark.parametrize("tag", ["train/loss", "lr", "foo"])
@pytest.mark.parametrize("quantity", ["loss", "acc"])
def test_a_run_of_one_metric_is_drawn_or_what_would_fill_the_plot_is_said(
    state, writer, tmp_path, tag, quantity
):
    for step in range(20):
        writer.add_scalar(tag, 1 / (step + 1), step)
    writer.flush()
    view = TrainingCurves(state, run=Run(tmp_path), quantity=quantity)
    assert view.problem == ""
    if quantity in tag:
        assert f"{tag} n = 20" in view.caption
        assert view.figure is not None
    else:
        assert f"no metric of this run has '{quantity}'" in view.caption
        assert tag in view.caption
        assert view.figure is None  # an empty plot would look like one that failed
    assert view.control("Metrics to show").options == (tag,)


def test_an_empty_plot_is_filled_by_the_list_and_by_a_metric_that_is_logged_later(
    state, writer, tmp_path
):
    writer.add_scalar("lr", 0.1, 0)
    writer.flush()
    view = TrainingCurves(state, run=Run(tmp_path), quantity="acc")
    view.control("Metrics to show").value = ("lr",)
    assert view.figure is view.overlay
    view.control("Metrics to show").value = ()
    assert view.figure is None
    for step in range(5):
        writer.add_scalar("accuracy/val", step / 5, step)
    writer.flush()
    state.refresh()
    assert view.problem == ""
    assert view.figure is view.overlay
    assert "accuracy/val n = 5" in view.caption


def test_an_emptied_plot_changes_its_scale_and_closes_without_leaving_a_widget(state, run):
    TrainingCurves(state, run=run).close()
    before = set(_instances)
    view = TrainingCurves(state, run=run)
    view.quantity = "acc"
    view.quantity = "nothing"
    view.logarithmic = True
    view.visible = False
    view.visible = True
    assert view.figure is None
    view.quantity = "loss"
    assert view.figure is view.overlay
    assert view.problem == ""
    view.close()
    assert set(_instances) == before


def test_other_metrics_are_drawn_on_the_same_axes(state, run):
    view = TrainingCurves(state, run=run)
    view.control("Metrics to show").value = ("accuracy/val",)
    assert view.problem == ""
    assert [curve.tag for curve in view.curves] == ["accuracy/val"]
    assert view.plot.x.comm is not None
    assert (view.plot.y.min, view.plot.y.max) == pytest.approx((0, 1), abs=0.05)


def test_the_caption_counts_the_points_that_cannot_be_drawn(state, writer, tmp_path):
    for step, value in enumerate([np.nan, np.inf, -np.inf, np.nan, np.nan]):
        writer.add_scalar("broken", value, step)
        writer.add_scalar("zero", 0.0, step)
        writer.add_scalar("mixed", [np.nan, 1.0, 0.0, -1.0, 2.0][step], step)
    writer.flush()
    view = TrainingCurves(state, run=Run(tmp_path), tags=("broken", "zero", "mixed"))
    assert (
        "broken n = 5 (5 not finite, so not drawn), zero n = 5, mixed n = 5 (1 not" in view.caption
    )
    view.logarithmic = True
    assert "broken n = 5 (5 not finite, so not drawn)" in view.caption
    assert "zero n = 5 (5 not positive on a log scale, so not drawn)" in view.caption
    assert "mixed n = 5 (1 not finite and 2 not positive on a log scale, so not" in view.caption
