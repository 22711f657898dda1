"""Checkpoints that count epochs, steps, anything or nothing: what a user of each sees."""

import math
import os

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F
from torch.utils.tensorboard import SummaryWriter

import convviz_widgets as cvw
from convviz_widgets.state.evidence import DataEvidence, Diagnosis
from convviz_widgets.widgets.plot import axis_label

STEPS_PER_EPOCH = 11


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.fc = nn.Linear(16, 10)

    def forward(self, x):
        x = F.relu(self.conv2(F.max_pool2d(F.relu(self.conv1(x)), 2)))
        return self.fc(x.mean((2, 3)))


@pytest.fixture(scope="module")
def healthy():
    """Train for eight epochs; return the model, held-out images and the weights of each epoch."""
    digits = load_digits()
    inputs = torch.tensor(digits.images[:, None] / 16 - 0.3, dtype=torch.float32)
    labels = torch.tensor(digits.target)
    torch.manual_seed(0)
    model, found = Net(), []
    for _ in range(8):
        for batch in torch.randperm(352).split(32):
            loss = F.cross_entropy(model(inputs[batch]), labels[batch])
            slopes = torch.autograd.grad(loss, list(model.parameters()))
            with torch.no_grad():  # an optimizer takes seconds to import
                for weight, slope in zip(model.parameters(), slopes, strict=True):
                    weight -= 3e-3 * slope.sign()
        found.append({name: value.clone() for name, value in model.state_dict().items()})
    return model, cvw.ImageSet(inputs[1400:1416], labels[1400:1416].tolist()), found


@pytest.fixture(scope="module")
def frozen(healthy):
    """Return half of the training with its first layer as it was."""
    model, images, weights = healthy
    return model, images, [{**w, "conv1.weight": weights[0]["conv1.weight"]} for w in weights[:4]]


@pytest.fixture(scope="module")
def wild(healthy):
    """Return four checkpoints of other random weights each: √2 of itself from one to the next."""
    model, images, (first, *_) = healthy
    torch.manual_seed(0)
    anew = [{name: torch.randn_like(w) * w.std() for name, w in first.items()} for _ in "abcd"]
    return model, images, anew


NAMES = {
    "epochs": lambda epoch: f"epoch_{epoch}.pt",
    "steps": lambda epoch: f"step_{(epoch + 1) * STEPS_PER_EPOCH}.pt",
    "numbers": lambda epoch: f"model_{epoch}.pt",
    "letters": lambda epoch: f"{'abcdefgh'[epoch]}.pt",
    "both": lambda epoch: f"epoch={epoch}-step={(epoch + 1) * STEPS_PER_EPOCH}.ckpt",
}


def saved(folder, training, names, only=slice(None), **options):
    """Save a training under names of a kind; return the state that looks at it."""
    model, images, weights = training
    folder.mkdir(exist_ok=True)
    for epoch, each in list(enumerate(weights))[only]:
        torch.save(each, folder / NAMES[names](epoch))
        os.utime(folder / NAMES[names](epoch), (10**9, 10**9))  # nobody has to wait for it
    series = cvw.CheckpointSeries.from_directory(folder, **options)
    return cvw.ModelState(model, images, checkpoints=series)


@pytest.fixture
def opened(tmp_path):
    """Return a function that saves a training under names of a kind, and looks at it."""
    states = []

    def open_as(training, names, only=slice(None), **options):
        states.append(saved(tmp_path / names, training, names, only, **options))
        return states[-1]

    yield open_as
    for state in states:
        state.close()


@pytest.fixture(scope="module")
def diagnosed(tmp_path_factory, healthy, frozen, wild):
    """Return a function like ``opened`` whose states stay, so that each is measured once."""
    trainings, states = {"healthy": healthy, "frozen": frozen, "wild": wild}, {}

    def once(training, names, **options):
        asked = (training, names, *options)
        if asked not in states:
            folder = tmp_path_factory.mktemp("saved")
            states[asked] = saved(folder, trainings[training], names, **options)
        return states[asked]

    yield once
    for state in states.values():
        state.close()


def alarms(state, **given):
    return {
        (each.rule, each.severity, each.layer)
        for each in cvw.diagnose(state, **given)
        if each.severity != "remark"
    }


@pytest.mark.parametrize("names", NAMES)
def test_a_healthy_training_is_healthy_whatever_its_names_count(diagnosed, names):
    assert alarms(diagnosed("healthy", names)) == set()


def test_too_large_steps_are_found_by_step_and_by_epochs_of_known_length(diagnosed):
    by_step = alarms(diagnosed("wild", "steps"))  # √2 / 11 of itself a step
    assert ("update-ratio", "warning", "conv2") in by_step
    told = diagnosed("wild", "epochs", steps_per_epoch=STEPS_PER_EPOCH)
    assert alarms(told) == by_step
    (found, *_) = [each for each in cvw.diagnose(told) if each.rule == "update-ratio"]
    assert found.when == f"epoch {found.step}"
    assert "11 steps an epoch, counted from 0" in found.message
    assert "update-ratio" not in {rule for rule, _, _ in alarms(diagnosed("wild", "numbers"))}


def test_a_frozen_layer_is_found_whatever_the_names_count(diagnosed):
    messages = {}
    for names in NAMES:
        found = cvw.diagnose(diagnosed("frozen", names))
        messages[names] = next(each.message for each in found if each.rule == "update-ratio")
    assert "conv1 moves by 0.0e+00 of itself a step (median" in messages["steps"]
    assert "conv1 moves by 0.0e+00 of itself an epoch (median" in messages["epochs"]
    assert "conv1 moves by 0.0e+00 of itself a checkpoint (median" in messages["letters"]


def test_the_code_of_a_finding_between_epochs_finds_it_again(diagnosed):
    for options in ({}, {"steps_per_epoch": STEPS_PER_EPOCH}):
        state = diagnosed("frozen", "epochs", **options)
        (finding,) = [each for each in cvw.diagnose(state) if each.rule == "update-ratio"]
        names = {"state": state, "run": None}
        exec(finding.code, names)  # what a user pastes into a cell
        assert names["value"] == pytest.approx(finding.value)


def test_what_is_not_judged_is_said_with_the_remedy(diagnosed):
    lines = {}
    for names in ("epochs", "numbers", "letters", "steps"):
        state = diagnosed("healthy", names)
        cvw.diagnose(state)  # measures
        report = Diagnosis(DataEvidence(None, None, None, None, None), state).report()
        lines[names] = dict(report.unmeasured).get("update-ratio")
        assert ("update-ratio" in report.fine) == (names == "steps")
    unknown = "what the numbers of the checkpoints count is not known"
    judged = "whether steps are too large cannot be told without"
    assert lines == {
        "epochs": f"the checkpoints count epochs, {judged} steps_per_epoch=",
        "numbers": f"{unknown}, {judged} steps=",
        "letters": f"{unknown}, {judged} steps=",
        "steps": None,
    }


def test_captions_clock_and_axes_speak_of_epochs(healthy, opened):
    state = opened(healthy, "epochs", only=slice(0, 3))
    clock, mosaic = cvw.views.CheckpointClock(state), cvw.ActivationMosaic(state)
    assert clock.place == "epoch 2 · 3 of 3"
    assert " · epoch 2 · " in mosaic.caption
    state.select(checkpoint=0)
    assert clock.place == "epoch 0 · 1 of 3"
    assert "at epoch 0, layer" in repr(state)
    assert (state.steps, state.steps.unit) == ((0, 1, 2), "epoch")
    assert axis_label(state.steps) == "epoch"
    history = cvw.DistributionHistory(state)
    assert state.history.wait(60)
    assert history.caption.startswith("weights of conv1 · epoch 0 · ")
    assert history.plots.plot.labels[0] == "epoch"


def test_two_numbers_stand_on_the_clock_and_a_name_without_one_too(healthy, opened, tmp_path):
    state = opened(healthy, "both", only=slice(0, 2))
    assert cvw.views.CheckpointClock(state).place == "epoch 1 · step 22 · 2 of 2"
    torch.save(healthy[2][0], tmp_path / "both" / "best.pt")
    os.utime(tmp_path / "both" / "best.pt", (10**9, 10**9))
    again = opened(healthy, "both", only=slice(0, 0))
    assert cvw.views.CheckpointClock(again).place == "best.pt · 3 of 3"
    assert cvw.TopImages(state).progress.offers[-1] == "Sweep all 2 steps"
    assert cvw.TopImages(again).progress.offers[-1] == "Sweep all 3 checkpoints"
    torch.save(healthy[2][0], tmp_path / "both" / "the_best_of_a_run_so_far.pt")
    third = cvw.views.CheckpointClock(opened(healthy, "both", only=slice(0, 0)))
    assert third.place == "the_best_o…so_far.pt · 4 of 4"


@pytest.fixture
def run(tmp_path):
    """Return a function that logs a loss at some steps and opens the run."""

    def logged(steps, **others):
        folder = tmp_path / "log"
        with SummaryWriter(folder) as log:
            for step in steps:
                log.add_scalar("loss/train", math.exp(-step / 50), step)
                for tag, value in others.items():
                    log.add_scalar(tag, value(step), step)
        return cvw.Run(folder)

    return logged


def test_the_cursor_says_that_it_cannot_know(healthy, opened, run):
    state = opened(healthy, "epochs")
    view = cvw.TrainingCurves(state, run=run(range(88)))
    line = "the checkpoints count epochs (0 to 7), the log steps (0 to 87); steps_per_epoch= maps"
    assert line in view.caption
    assert view.compute(state.selection).cursor is None
    view.overlay.drag((100, 50), (100, 50))  # a click leads nowhere
    assert state.selection.step == 7
    assert line in cvw.views.CheckpointClock(state).misfit
    assert state.problems == state.misfits != {}
    assert line in state.misfits["log"]


def test_the_cursor_is_where_the_epoch_ended_once_that_is_known(healthy, opened, run):
    state = opened(healthy, "epochs", steps_per_epoch=STEPS_PER_EPOCH)
    view = cvw.TrainingCurves(state, run=run(range(88)))
    assert view.compute(state.selection).cursor == 88
    assert "cursor: epoch 7 at step 88 of the log (11 steps an epoch" in view.caption
    x = int(view.plot.to_pixel(34))
    view.overlay.drag((x, 50), (x, 50))
    assert state.selection.label == "epoch 2"
    assert (state.problems, cvw.views.CheckpointClock(state).misfit) == ({}, "")


def test_an_epoch_in_the_log_is_enough(healthy, opened, diagnosed, run):
    state = opened(healthy, "epochs")
    log = run(range(88), epoch=lambda step: step // STEPS_PER_EPOCH)
    view = cvw.TrainingCurves(state, run=log)
    assert view.compute(state.selection).cursor == 87
    assert state.problems == {}
    assert alarms(diagnosed("healthy", "epochs"), run=log) == set()


def test_a_log_that_counts_epochs_has_the_cursor_there(healthy, opened, run):
    state = opened(healthy, "epochs")
    view = cvw.TrainingCurves(state, run=run(range(8)))
    assert view.compute(state.select(checkpoint=3)).cursor == 3
    assert (state.problems, view.plot.labels) == ({}, ("step", "value"))


def test_the_length_of_an_epoch_may_be_given_to_the_state(healthy, opened, run):
    model, images, _ = healthy
    checkpoints = opened(healthy, "epochs")._checkpoints
    state = cvw.ModelState(model, images, checkpoints=checkpoints, steps_per_epoch=STEPS_PER_EPOCH)
    view = cvw.TrainingCurves(state, run=run(range(88)))
    assert view.compute(state.selection).cursor == 88
    state.close()


def test_a_finding_of_the_log_leads_to_the_checkpoint_of_its_time(diagnosed, run):
    log = run(range(88), epoch=lambda step: step // STEPS_PER_EPOCH)
    with SummaryWriter(log.directory) as more:
        more.add_scalar("loss/train", float("nan"), 100)
    log.refresh()
    state = diagnosed("healthy", "epochs")
    (found,) = [each for each in cvw.diagnose(state, run=log) if each.rule == "non-finite"]
    assert (found.step, found.when, dict(found.select)) == (100, "", {"checkpoint": 7})
    log = cvw.Run(log.directory, axis="order")
    (found,) = [each for each in cvw.diagnose(state, run=log) if each.rule == "non-finite"]
    assert dict(found.select) == {}


def test_the_explorer_draws_the_curves_of_any_log_beside_any_checkpoints(healthy, opened, run):
    log = run(range(88))
    for names in ("epochs", "letters", "numbers"):
        explorer = cvw.Explorer(opened(healthy, names, only=slice(0, 2)), run=log)
        explorer.tabs.selected_index = list(explorer.tabs.titles).index("Training")
        shown = [view for view in explorer.views() if isinstance(view, cvw.TrainingCurves)]
        assert [view.problem for view in shown if view.visible] == [""] * len(shown)
        explorer.close()
