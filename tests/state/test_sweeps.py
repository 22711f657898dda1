"""The state's images are swept in the background, once, and shared by whoever looks."""

import threading

import pytest
import torch
from torch import nn

from convviz_widgets.checkpoints import CheckpointSeries
from convviz_widgets.errors import InputError
from convviz_widgets.images import ImageSet
from convviz_widgets.probe.attribution import random_direction
from convviz_widgets.state import Direction, ModelState, model_copy
from convviz_widgets.sweeps import sweep

PATIENCE = 60


def swept(state, *indices, direction=None):
    state.sweeps.ask(*indices, direction=direction)
    assert state.sweeps.wait(PATIENCE)
    return [state.sweeps.at(index, direction) for index in indices]


def tops(result):
    return {
        layer.name: [result.top(layer, channel) for channel in range(layer.shape[0])]
        for layer in result.layers
    }


def test_nothing_is_swept_before_it_is_asked_for(state):
    assert state.sweeps.all() == [None] * 3
    assert state.sweeps.progress(0, 1).done == 0
    assert state.sweeps.running is None


def test_each_checkpoint_is_swept_as_by_hand(state, images, series, make_net):
    expected = sweep(make_net(9), images, checkpoints=series, progress=False)
    for index, result in enumerate(swept(state, 0, 1, 2)):
        assert tops(result) == tops(expected.at(index))
        assert result.subject == expected.at(index).subject
        assert (result.count, result.steps) == (5, (100 * index,))
    assert (state.forward_count, state.backward_count) == (0, 0)


def test_a_capture_is_swept_with_its_own_weights(images, make_net):
    model = make_net(0)
    state = ModelState(model, images)
    with torch.no_grad():
        model[0].weight.mul_(-1)
    state.capture(7)
    state.refresh()
    (found,) = swept(state, state.steps.index(7))
    assert tops(found) == tops(sweep(model, images, progress=False))
    state.close()


def test_what_was_cancelled_goes_on_from_there(state, images, monkeypatch):
    monkeypatch.setattr(model_copy, "BATCH", 2)
    read = []
    original = images.input
    monkeypatch.setattr(images, "input", lambda index: read.append(index) or original(index))

    def cancel():
        if state.sweeps.progress(1).done:
            state.sweeps.cancel()

    state.sweeps.observe(cancel)
    assert swept(state, 1) == [None]
    assert state.sweeps.progress(1).done == 2
    state.sweeps.observe(lambda: None)  # without anybody to be told, nothing would go on
    state.sweeps.unobserve(cancel)
    read.clear()
    (found,) = swept(state, 1)
    assert found.count == 5
    assert sorted(read) == [2, 3, 4]


def test_the_last_to_leave_cancels(state, monkeypatch):
    monkeypatch.setattr(model_copy, "BATCH", 1)
    sweeps = state.sweeps
    sweeps.observe(leave := lambda: sweeps.unobserve(leave))
    assert swept(state, 0, 1, 2) == [None] * 3


def test_along_a_direction_the_strongest_are_those_of_the_product(state, images):
    direction = Direction("1", seed=4)
    (found,) = swept(state, 2, direction=direction)
    along = random_direction(4, 4)
    assert along.norm() == pytest.approx(1)
    state.select(checkpoint=2, layer="1")
    expected = []
    for image in range(len(images)):
        state.select(image=image)
        map_ = torch.einsum("c,chw->hw", along, state.activation())
        row, column = divmod(int(map_.argmax()), map_.shape[1])
        expected.append((float(map_.max()), image, (row, column)))
    hits = found.top("1", 0)
    assert [(hit.image, hit.position) for hit in hits] == [
        (image, place) for _, image, place in sorted(expected, reverse=True)
    ]
    assert hits[0].value == pytest.approx(max(expected)[0], rel=1e-5)
    assert state.sweeps.at(2) is None


def test_a_broken_checkpoint_is_said_and_the_others_go_on(images, make_net):
    weights = make_net(0).state_dict()
    broken = {**weights, "0.weight": torch.zeros(1)}
    series = CheckpointSeries.from_state_dicts([(0, broken), (5, weights)])
    state = ModelState(make_net(9), images, checkpoints=series)
    first, second = swept(state, 0, 1)
    assert first is None
    assert second.count == 5
    (line,) = state.sweeps.progress(0, 1).failures
    assert line.startswith("step 0: ")
    assert "0.weight" in line
    state.close()


LOCK_TAKEN, RUNNING = threading.Event(), threading.Event()


class Waiting(nn.Module):
    """Runs in the background only once somebody else could take the state's lock."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Conv2d(1, 1, 1)

    def forward(self, x):
        if threading.current_thread().name == "convviz-background" and len(x) > 2:
            RUNNING.set()
            assert LOCK_TAKEN.wait(PATIENCE)
        return self.inner(x)


def test_the_lock_is_free_while_the_model_runs(images):
    LOCK_TAKEN.clear()
    state = ModelState(Waiting(), images)
    state.sweeps.ask(0)
    assert RUNNING.wait(PATIENCE)
    state.select(image=2)
    LOCK_TAKEN.set()
    assert state.sweeps.wait(PATIENCE)
    assert state.sweeps.at(0).count == 5
    state.close()


def test_a_closed_state_sweeps_no_more(state):
    sweeps = state.sweeps
    state.close()
    with pytest.raises(InputError, match="closed"):
        sweeps.ask(0)


# -- a sweep that was made elsewhere --------------------------------------------------------------


def test_a_sweep_of_a_series_is_taken_step_by_step(state, images, series, make_net):
    given = sweep(make_net(9), images, checkpoints=series, progress=False)
    state.sweeps.adopt(given)
    assert [tops(each) for each in state.sweeps.all()] == [tops(given.at(i)) for i in range(3)]


def test_a_sweep_of_the_model_is_taken_at_the_checkpoint_with_its_weights(state, images, make_net):
    state.sweeps.adopt(sweep(make_net(1), images, progress=False))
    assert [each is not None for each in state.sweeps.all()] == [False, True, False]


def test_a_sweep_is_taken_beside_a_checkpoint_that_cannot_be_read(tmp_path, images, make_net):
    torch.save(make_net(0).state_dict(), tmp_path / "1.pt")
    (tmp_path / "2.pt").write_bytes(b"not a checkpoint")
    series = CheckpointSeries.from_directory(tmp_path)
    state = ModelState(make_net(0), images, checkpoints=series, checkpoint=0)
    state.sweeps.adopt(sweep(make_net(0), images, progress=False))
    assert [each is not None for each in state.sweeps.all()] == [True, False]
    with pytest.raises(InputError, match=r"none of the 1 checkpoints that can be read \(2.pt: is "):
        state.sweeps.adopt(sweep(make_net(1), images, progress=False))
    state.close()


def test_a_layer_may_have_any_name(images):
    net = nn.Sequential()
    net.add_module("half\ud800", nn.Conv2d(1, 2, 3))
    state = ModelState(net, images)
    state.sweeps.adopt(sweep(net, images, progress=False))
    assert state.sweeps.at(0) is not None
    state.close()


def test_a_sweep_that_leaves_the_groups_out_is_taken(make_net, images):
    grouped = ImageSet(images.batch(range(5)), groups=list("aabbb"))
    state = ModelState(make_net(0), grouped)
    for groups in (None, False):
        state.sweeps.adopt(sweep(make_net(0), grouped, groups=groups, progress=False))
    assert len(state.sweeps.at(0).top("1", 0)) == 5
    state.close()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (lambda net, images: "sweep.safetensors", "takes a SweepResult, got str"),
        (lambda net, images: sweep(net(5), images, progress=False), "none of the 3 checkpoints"),
        (lambda net, images: sweep(net(1), images.batch([0, 1]), progress=False), "2 images"),
        (lambda net, images: sweep(net(1), images.batch(range(5)) + 1, progress=False), "others"),
        (
            lambda net, images: sweep(nn.Sequential(nn.Conv2d(1, 4, 3)), images, progress=False),
            "no layer",
        ),
        (
            lambda net, images: sweep(
                net(9),
                images,
                checkpoints=CheckpointSeries.from_state_dicts([(100, net(3).state_dict())]),
                progress=False,
            ),
            "step 100 differ",
        ),
    ],
)
def test_a_sweep_of_something_else_is_refused_in_one_line(state, images, make_net, given, why):
    with pytest.raises(InputError) as refused:
        state.sweeps.adopt(given(make_net, images))
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)
    assert state.sweeps.all() == [None] * 3
