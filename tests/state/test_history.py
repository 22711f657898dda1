"""The history measures what is asked for, once, and can be interrupted at any time."""

import gc
import threading

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convviz_widgets.checkpoints import CheckpointSeries, write_checkpoint
from convviz_widgets.errors import InputError
from convviz_widgets.images import ImageSet
from convviz_widgets.measure import OUTPUT_GRADIENTS, OUTPUTS, WEIGHTS
from convviz_widgets.probe import Probe
from convviz_widgets.state import (
    ACTIVATIONS,
    FILTERS,
    GRADIENTS,
    IMAGE_SET,
    PARAMETERS,
    UPDATES,
    ModelState,
    coarse_to_fine,
    measurements,
    model_copy,
)

PATIENCE = 60


def alive(kind):
    """Return how many objects of a class there are."""
    gc.collect()
    return sum(type(each) is kind for each in gc.get_objects())


def measured(state, part):
    state.history.ask("test", part)
    assert state.history.wait(PATIENCE)
    return state.history.all(part)


@pytest.fixture
def directory(tmp_path, make_net):
    for seed, step in enumerate((0, 100, 200)):
        write_checkpoint(tmp_path / f"step-{step}.safetensors", make_net(seed).state_dict())
    return tmp_path


@pytest.fixture
def reopened(directory, images, make_net):
    """Return a function that opens the run as a new session would."""
    states = []

    def reopen(images=images, **options):
        series = CheckpointSeries.from_directory(directory)
        states.append(ModelState(make_net(9), images, checkpoints=series, **options))
        return states[-1]

    yield reopen
    for state in states:
        state.close()


def test_nothing_is_measured_before_it_is_asked_for(state):
    assert state.history.all(ACTIVATIONS) == [None] * 3
    assert state.history.progress(ACTIVATIONS).done == 0
    assert state.history.wait(0)


def test_every_checkpoint_is_measured_on_the_probe_batch(state, images):
    found = measured(state, ACTIVATIONS)
    for index, measurement in enumerate(found):
        state.select(checkpoint=index)
        values = []
        for image in range(len(images)):
            state.select(image=image)
            values.append(state.activation("1"))
        counted = measurement.distributions["1", OUTPUTS]
        stacked = torch.stack(values)
        assert (measurement.images, counted.n) == (5, stacked.numel())
        assert counted.zeros == int((stacked == 0).sum())
        assert counted.moments.mean == pytest.approx(stacked.mean().item(), rel=1e-5)


def test_gradients_are_those_of_the_state(state):
    for index, measurement in enumerate(measured(state, GRADIENTS)):
        state.select(checkpoint=index)
        expected = state.gradient("1", batch=True)
        found = measurement.distributions["1", OUTPUT_GRADIENTS].moments.norm
        assert found == pytest.approx(expected.norm().item(), rel=1e-5)


def test_updates_compare_neighbouring_checkpoints(state):
    first, second, _third = measured(state, UPDATES)
    weights = []
    for index in (0, 1):
        state.select(checkpoint=index)
        weights.append(state.weight("0"))
    before, after = weights
    assert first is None
    expected = ((after - before).norm() / before.norm()).item()
    assert second.update_ratios["0"] == pytest.approx(expected, rel=1e-5)
    assert state.history.progress(UPDATES).total == 2


def test_the_passes_are_not_the_users(state):
    state.activation()
    measured(state, ACTIVATIONS)
    measured(state, GRADIENTS)
    assert (state.forward_count, state.backward_count) == (1, 0)


def test_a_second_look_measures_nothing(state):
    first = measured(state, ACTIVATIONS)
    before = state.history.measured_count, state.history.forward_count
    assert measured(state, ACTIVATIONS) == first
    assert (state.history.measured_count, state.history.forward_count) == before


def order_of(state, *parts):
    """Have parts measured; return the (part, checkpoint) pairs in the order that they came."""
    order = []

    def look():
        there = [
            (part, index)
            for part in parts
            for index, found in enumerate(state.history.all(part))
            if found is not None
        ]
        order.extend(each for each in there if each not in order)

    state.history.observe(look)
    state.history.ask("test", *parts)
    assert state.history.wait(PATIENCE)
    return order


def test_the_selected_checkpoint_comes_first(state):
    state.select(checkpoint=1)
    assert [index for _, index in order_of(state, ACTIVATIONS)] == [1, 0, 2]


def test_of_each_checkpoint_everything_is_measured_while_it_is_loaded(state):
    order = order_of(state, PARAMETERS, ACTIVATIONS, GRADIENTS)
    assert [index for _, index in order] == [2, 2, 2, 0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("count", [1, 2, 3, 10, 31])
def test_coarse_to_fine_visits_each_once_from_the_ends(count):
    order = list(coarse_to_fine(count))
    assert sorted(order) == list(range(count))
    assert order[:2] == [0, count - 1][:count]


def test_leaving_stops_after_the_checkpoint_under_way(state):
    reached = threading.Event()
    history = state.history

    def leave():
        history.leave("test")
        reached.set()

    history.observe(leave)
    history.ask("test", ACTIVATIONS)
    assert reached.wait(PATIENCE)
    assert history.wait(PATIENCE)
    assert history.progress(ACTIVATIONS).done == 1
    history.unobserve(leave)
    assert all(measured(state, ACTIVATIONS))


def test_what_another_asks_for_goes_on(state):
    history = state.history
    history.observe(lambda: history.leave("first"))
    history.ask("second", ACTIVATIONS)
    history.ask("first", ACTIVATIONS)
    assert history.wait(PATIENCE)
    assert history.progress(ACTIVATIONS).complete


def test_without_labels_gradients_fail_at_once_and_in_one_line(images, series, make_net):
    unlabelled = ImageSet(images.batch(range(5)))
    state = ModelState(make_net(9), unlabelled, checkpoints=series)
    assert measured(state, GRADIENTS) == [None] * 3
    progress = state.history.progress(GRADIENTS)
    assert progress.complete
    (line,) = progress.failures
    assert "labels" in line
    state.close()


def test_an_unreadable_checkpoint_is_left_out(directory, reopened):
    (directory / "step-100.safetensors").write_bytes(b"no checkpoint")
    state = reopened()
    found = measured(state, PARAMETERS)
    assert [each is None for each in found] == [False, True, False]
    (line,) = state.history.progress(PARAMETERS).failures
    assert line.startswith("step 100: step-100.safetensors")


class OnFire:
    """Six images, one of which cannot be read."""

    def __len__(self):
        return 6

    def __getitem__(self, index):
        if index == 4:
            raise OSError("disk on fire")
        return torch.full((1, 6, 6), index / 6), index % 3


def test_of_the_image_set_what_cannot_be_read_is_left_out(series, make_net):
    state = ModelState(make_net(9), ImageSet(OnFire()), checkpoints=series, probe=[0, 1, 2])
    found = measured(state, IMAGE_SET)[-1]
    assert (found.images, found.answers.images) == (5, 5)
    assert state.history.progress(IMAGE_SET).failures == ()
    state.close()


def test_a_batch_of_the_image_set_that_cannot_be_read_is_left_out_and_the_rest_kept(
    reopened, monkeypatch
):
    monkeypatch.setattr(model_copy, "BATCH", 1)  # so image 4 is a batch by itself
    found = measured(reopened(ImageSet(OnFire()), probe=[0, 1, 2]), IMAGE_SET)[-1]
    assert (found.images, found.answers.images) == (5, 5)
    state = reopened(ImageSet(OnFire()), probe=[0, 1, 2])
    assert measured(state, IMAGE_SET)[-1].images == 5
    assert state.history.measured_count == 0  # read from the disk


def test_an_image_of_the_probe_batch_that_cannot_be_read_is_told_once(series, make_net):
    state = ModelState(make_net(9), ImageSet(OnFire()), checkpoints=series, probe=[0, 4])
    assert measured(state, ACTIVATIONS) == [None] * 3
    assert state.history.progress(ACTIVATIONS).failures == ("image 4: disk on fire",)
    state.close()


def test_captures_are_measured_when_they_are_taken_up(images, make_net):
    net = make_net(0)
    state = ModelState(net, images)
    assert len(measured(state, PARAMETERS)) == 1
    with torch.no_grad():
        net[0].weight.zero_()
    state.capture(10)
    state.refresh()
    first, second = measured(state, PARAMETERS)
    assert (first.distributions["0", WEIGHTS].zeros, first.distributions["0", WEIGHTS].n) == (0, 36)
    assert second.distributions["0", WEIGHTS].zeros == 36
    state.close()


@pytest.mark.parametrize("part", [PARAMETERS, ACTIVATIONS, GRADIENTS, UPDATES])
def test_a_new_session_reads_what_the_last_one_wrote(part, reopened):
    before = measured(reopened(), part)
    state = reopened()
    after = measured(state, part)
    assert state.history.measured_count == 0
    for old, new in zip(before, after, strict=True):
        if old is None:
            assert new is None
            continue
        assert new.images == old.images
        for name in ("concentration", "magnitudes", "update_ratios", "filters"):
            np.testing.assert_equal(dict(getattr(new, name)), dict(getattr(old, name)))
        np.testing.assert_equal((new.loss, new.answers), (old.loss, old.answers))
        assert list(new.distributions) == list(old.distributions)
        for name, counted in old.distributions.items():
            np.testing.assert_array_equal(new.distributions[name].counts, counted.counts)
            np.testing.assert_array_equal(new.distributions[name].edges, counted.edges)
            assert new.distributions[name].moments == counted.moments
        for layer, fired in old.fired.items():
            np.testing.assert_array_equal(new.fired[layer], fired)


def counted_again(state, part):
    """Return how many checkpoints are measured although an earlier session has been here."""
    before = state.history.measured_count
    measured(state, part)
    return state.history.measured_count - before


def test_a_rewritten_checkpoint_is_measured_again(directory, reopened, make_net):
    measured(reopened(), PARAMETERS)
    write_checkpoint(directory / "step-100.safetensors", make_net(5).state_dict())
    assert counted_again(reopened(), PARAMETERS) == 1


def test_other_images_labels_or_losses_are_measured_again(images, reopened):
    measured(reopened(), ACTIVATIONS)
    measured(reopened(), GRADIENTS)
    brighter = ImageSet(images.batch(range(5)) + 0.1, labels=[0, 1, 2, 0, 1])
    relabelled = ImageSet(images.batch(range(5)), labels=[1, 1, 2, 0, 1])
    smoothed = reopened(loss=lambda o, t: F.cross_entropy(o, t, label_smoothing=0.1))
    assert counted_again(reopened(brighter), ACTIVATIONS) == 3
    assert counted_again(reopened(relabelled), GRADIENTS) == 3
    assert counted_again(smoothed, GRADIENTS) == 3
    assert counted_again(reopened(relabelled), ACTIVATIONS) == 0
    assert counted_again(reopened(loss=F.cross_entropy), GRADIENTS) == 0


def test_another_forward_with_the_same_layers_is_measured_again(directory, images, make_net):
    def session(slope):
        net = make_net(9)
        net[1] = torch.nn.LeakyReLU(slope)
        return ModelState(net, images, checkpoints=CheckpointSeries.from_directory(directory))

    measured(session(0.1), ACTIVATIONS)
    assert counted_again(session(0.1), ACTIVATIONS) == 0
    assert counted_again(session(0.2), ACTIVATIONS) == 3


def test_one_pass_tells_the_model_from_others_for_all_parts(state):
    """One forward pass on one image, then one for each of three checkpoints: 4; gradients: none."""
    state.history.ask("test", ACTIVATIONS, GRADIENTS, IMAGE_SET)
    assert state.history.wait(PATIENCE)
    assert state.history.forward_count == 1 + 3 + 1  # the image set, at the last checkpoint


def test_a_folder_that_cannot_be_written_keeps_nothing_but_memory(directory, reopened):
    (directory / ".convviz-history").write_text("a file where the folder should be")
    state = reopened()
    assert all(measured(state, PARAMETERS))
    assert "kept in memory only" in state.history.problem
    assert counted_again(state, PARAMETERS) == 0


def test_files_that_vanish_are_made_again(directory, reopened, monkeypatch):
    monkeypatch.setattr(measurements, "MEMORY", 0)
    state = reopened()
    measured(state, PARAMETERS)
    measured(state, FILTERS)  # which leaves no parameters in memory
    for file in directory.glob(".convviz-history/*/*.measurement"):
        file.unlink()
    assert state.history.all(PARAMETERS) == [None] * 3
    assert all(measured(state, PARAMETERS))


def test_an_unknown_part_is_refused_by_name(state):
    with pytest.raises(InputError, match="unknown part 'gradient'; did you mean 'gradients'"):
        state.history.ask("test", "gradient")


def test_closing_while_it_measures_ends_the_thread_and_lets_go_of_the_copies(state, caplog):
    history, before = state.history, alive(Probe)
    history.observe(lambda: copies.append(alive(Probe)))
    copies = []
    history.observe(state.close)
    history.ask("test", ACTIVATIONS, GRADIENTS)
    assert history.wait(PATIENCE)
    assert copies == [before + 1]  # the one that measures, beside the one that is looked through
    assert alive(Probe) == before - 1
    assert caplog.records == []


def test_a_history_that_is_kept_beyond_its_state_measures_nothing(images, make_net):
    state = ModelState(make_net(9), images)
    history = state.history
    state.close()
    with pytest.raises(InputError, match="closed"):
        history.ask(state, "parameters")
    assert history.wait(1)


class Watched(nn.Conv2d):
    """Tells who looks at its weight."""

    look = None

    def __getattr__(self, name):
        if name == "weight" and Watched.look is not None:
            Watched.look()
        return super().__getattr__(name)


@pytest.mark.parametrize("part", [PARAMETERS, GRADIENTS, UPDATES, FILTERS])
def test_a_large_model_is_left_between_two_of_its_layers(images, part, monkeypatch):
    """The first layer takes for ever; none is looked at once nobody asks any more."""
    layers = [nn.Conv2d(1, 2, 3, padding=1), *(Watched(2, 2, 3, padding=1) for _ in range(3))]
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(72, 3))
    weights = [(step, net.state_dict()) for step in (0, 1)]
    state = ModelState(net, images, checkpoints=CheckpointSeries.from_state_dicts(weights))
    measured(state, ACTIVATIONS)  # so that the copy of the model is there
    begun, gate = threading.Event(), threading.Event()
    looks = []

    def look():
        looks.append(gate.is_set())
        begun.set()
        gate.wait(PATIENCE)

    monkeypatch.setattr(Watched, "look", look)
    state.history.ask("test", part)
    assert begun.wait(PATIENCE)
    state.history.leave("test")
    gate.set()
    assert state.history.wait(PATIENCE)
    monkeypatch.setattr(Watched, "look", None)
    assert state.history.all(part) == [None, None]
    assert part == GRADIENTS or not any(looks)  # one backward pass is not cut
    state.close()
