import gc
import itertools
import threading
from time import sleep
from types import SimpleNamespace

import pytest
import torch

from convviz_widgets.checkpoints import CheckpointSeries, write_checkpoint
from convviz_widgets.errors import CheckpointError, InputError, SelectionError, UnknownLayerError
from convviz_widgets.images import ImageSet
from convviz_widgets.probe import Probe
from convviz_widgets.state import ModelState


def selections(state):
    """Return a list that grows with every selection published."""
    seen = []
    state.observe(lambda change: seen.append(change.new), "selection")
    return seen


def test_the_last_checkpoint_and_the_first_layer_are_selected_at_first(state):
    assert (state.checkpoint, state.selection.step) == (2, 200)
    assert (state.layer, state.channel, state.image) == ("0", 0, 0)
    assert state.steps == (0, 100, 200)


def test_activations_are_those_of_the_selected_checkpoint_and_image(state, images, make_net):
    state.select(checkpoint=1, image=3)
    with torch.no_grad():
        expected = make_net(1)[:2](images.input(3))[0]
    assert torch.equal(state.activation("1"), expected)


def test_the_pre_activation_is_the_value_before_an_in_place_relu(state, images, make_net):
    with torch.no_grad():
        expected = make_net(2)[0](images.input(0))[0]
    assert torch.equal(state.activation("1", side="in"), expected)
    assert expected.min() < 0


def test_layer_and_channel_need_no_forward_pass_a_new_image_or_checkpoint_one(state):
    state.activation()
    assert state.forward_count == 1
    state.select(layer="1", channel=2)
    state.activation()
    state.activation("3")
    assert state.forward_count == 1
    state.select(image=1)
    state.activation()
    assert state.forward_count == 2
    state.select(checkpoint=0)
    state.activation()
    assert state.forward_count == 3
    state.select(image=0, checkpoint=2)
    state.activation()
    assert state.forward_count == 3


def test_the_getters_answer_for_any_selection_and_leave_the_selected_one(state):
    asked = state.select(checkpoint=0, image=3, layer="3")
    expected = [state.activation(), state.logits(), state.weight(), state.bias()]
    before = state.select(checkpoint=2, image=1, layer="0")
    found = [
        state.activation(selection=asked),
        state.logits(selection=asked),
        state.weight(selection=asked),
        state.bias(selection=asked),
    ]
    assert all(map(torch.equal, found, expected))
    assert not torch.equal(state.weight("3"), expected[2])
    assert state.selection == before


def test_assigning_a_trait_is_a_select(state):
    seen = selections(state)
    state.layer = "1"
    assert state.selection.layer == "1"
    assert len(seen) == 1


def test_several_fields_are_one_publication(state):
    seen = selections(state)
    state.select(layer="1", channel=3, image=2, checkpoint=0)
    assert len(seen) == 1
    assert (seen[0].layer, seen[0].channel, seen[0].image, seen[0].step) == ("1", 3, 2, 0)


def test_selecting_what_is_selected_publishes_nothing(state):
    seen = selections(state)
    state.select(layer="0", channel=0)
    assert seen == []


def test_a_layer_with_fewer_channels_clamps_the_channel(state):
    state.select(layer="2", channel=143)
    state.select(layer="0")
    assert state.channel == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer": "conv9"}, "unknown layer 'conv9'; this model has 0, 1, 2, 3"),
        ({"channel": 4}, "channel 4 is out of range: 4 channels in 0, 0 to 3"),
        ({"channel": -1}, "channel -1 is out of range"),
        ({"channel": "x"}, "channel 'x' is not a whole number"),
        ({"channel": True}, "channel True is not a whole number"),
        ({"image": 5}, "image 5 is out of range: 5 images, 0 to 4"),
        ({"checkpoint": 3}, r"checkpoint 3 is out of range: 3 checkpoints \(steps 0 to 200\)"),
        ({"target": -1}, "target -1 is out of range"),
        ({"image": 1, "channel": 99}, "channel 99"),
        ({"colour": 1}, "unknown field 'colour'; a selection has checkpoint, image"),
    ],
)
def test_what_is_invalid_raises_before_anything_is_written(state, changes, message):
    before, seen = state.selection, selections(state)
    with pytest.raises(InputError, match=message):
        state.select(**changes)
    assert state.selection == before
    assert seen == []


def test_the_errors_have_their_classes(state):
    with pytest.raises(UnknownLayerError):
        state.layer = "conv9"
    with pytest.raises(SelectionError):
        state.image = 99
    with pytest.raises(UnknownLayerError):
        state.activation("conv9")


def test_a_target_beyond_the_classes_is_refused(state):
    with pytest.raises(SelectionError, match="target 3 is out of range: 3 classes, 0 to 2"):
        state.select(target=3)


def test_returned_tensors_are_the_callers_to_change(state):
    kept = state.activation()
    state.activation().zero_()
    state.weight().zero_()
    scores = state.logits()
    state.output().zero_()
    state.logits().zero_()
    assert torch.equal(state.logits(), scores)
    assert torch.equal(state.activation(), kept)
    assert state.weight().abs().sum() > 0


def test_a_select_made_by_an_observer_is_published_after_to_everybody(state):
    seen = []

    def first(change):
        if change.new.image == 1:
            state.select(image=2)

    state.observe(first, "selection")
    state.observe(lambda change: seen.append(change.new.image), "selection")
    state.select(image=1)
    assert seen == [1, 2]


def test_without_checkpoints_there_is_one_the_model_as_it_was(images, make_net):
    net = make_net(5)
    state = ModelState(net, images)
    with torch.no_grad():
        expected = net[0](images.input(0))[0].clone()
        net[0].weight.zero_()
    assert state.steps == (0,)
    assert torch.equal(state.activation("0"), expected)


def test_a_checkpoint_is_called_by_its_step_or_by_a_file_name_without_one(
    images, make_net, tmp_path
):
    for name in ("step-1500", "best"):
        write_checkpoint(tmp_path / f"{name}.safetensors", make_net(5).state_dict())
    series = CheckpointSeries.from_directory(tmp_path)
    state = ModelState(make_net(5), images, checkpoints=series)
    assert state.checkpoint_name == "best.safetensors"
    state.checkpoint = 0
    assert state.checkpoint_name == "step 1,500"


def test_captures_become_checkpoints_at_the_next_refresh(images, make_net):
    net = make_net(5)
    state = ModelState(net, images)
    with torch.no_grad():
        net[0].weight.zero_()
    state.capture(10)
    assert state.steps == (0,)
    assert state.refresh() == 1
    assert state.steps == (0, 10)
    assert state.selection.step == 0  # what is selected stays selected
    state.checkpoint = None
    assert state.weight("0").abs().sum() == 0


def test_a_recording_beyond_the_budget_keeps_what_fits_and_says_so(series, make_net):
    images = ImageSet(torch.rand(2, 1, 6, 6))
    state = ModelState(make_net(9), images, checkpoints=series, memory_budget=100)
    assert state.activation("0").shape == (4, 6, 6)
    assert "over budget" in state.status
    assert state.activation("0").shape == (4, 6, 6)
    assert state.forward_count == 1
    state.activation("1")
    assert state.forward_count == 2


def test_one_plain_tensor_of_images_will_do(series, make_net):
    assert len(ModelState(make_net(9), torch.rand(2, 1, 6, 6)).image_set) == 2


def test_gradients_agree_with_autograd(state, images, make_net):
    net = make_net(2)
    hidden = net[:2](images.input(0))
    hidden.retain_grad()
    loss = torch.nn.functional.cross_entropy(net[2:](hidden), torch.tensor([0]))
    loss.backward()
    assert torch.allclose(state.gradient("1"), hidden.grad[0])
    assert torch.allclose(state.gradient("3", of="weight"), net[3].weight.grad)
    assert state.backward_count == 1
    assert state.gradient("0", batch=True).shape == (5, 4, 6, 6)


def test_gradients_without_labels_say_what_is_missing(series, make_net):
    state = ModelState(make_net(9), torch.rand(2, 1, 6, 6), checkpoints=series)
    with pytest.raises(InputError, match="gradients need a loss"):
        state.gradient()


def test_a_label_that_the_model_has_no_score_for_is_named(series, make_net):
    images = ImageSet(torch.rand(2, 1, 6, 6), labels=[7, 0])
    state = ModelState(make_net(9), images, checkpoints=series)
    with pytest.raises(InputError, match="label 7 has no class score: the model puts out 3"):
        state.gradient()


def test_two_threads_publish_every_selection_in_one_order(state):
    seen = selections(state)

    def select(images):
        for image in images * 100:
            state.select(image=image)

    threads = [threading.Thread(target=select, args=(part,)) for part in ([0, 1, 2], [2, 3, 4])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(one != two for one, two in itertools.pairwise(seen))
    assert seen[-1] == state.selection


def test_a_closed_state_says_so(images, make_net):
    state = ModelState(make_net(5), images)
    state.close()
    with pytest.raises(InputError, match="closed"):
        state.select(image=1)


def test_a_select_selects_once_and_at_construction_not_at_all(images, series, make_net):
    class Counting(ModelState):
        selects = 0

        def select(self, **changes):
            self.selects += 1
            return super().select(**changes)

    state = Counting(make_net(9), images, checkpoints=series)
    assert state.selects == 0
    state.select(image=1, layer="1", channel=2, checkpoint=0)
    assert state.selects == 1


def test_every_field_is_written_before_the_first_observer_hears_of_one(state):
    seen = []
    for name in ("image", "layer", "selection"):
        state.observe(lambda _: seen.append((state.image, state.layer, state.channel)), name)
    state.select(image=1, layer="1", channel=2)
    assert seen == [(1, "1", 2)] * 3


def test_views_draw_although_an_observer_of_one_field_raises(state):
    seen = selections(state)
    state.observe(lambda _: 1 / 0, "image")
    with pytest.raises(ZeroDivisionError):
        state.image = 1
    assert [selection.image for selection in seen] == [1]


def test_follow_waits_for_the_publication_of_another_thread(state):
    thread = threading.Thread(target=lambda: setattr(state, "follow", True))
    with state.hold():
        thread.start()
        thread.join(0.05)
        assert not state.follow
    thread.join()
    assert state.follow


def test_a_closed_state_lets_go_of_the_replica_and_of_captures(images, make_net):
    def held():
        gc.collect()
        probes = sum(type(each) is Probe for each in gc.get_objects())
        tensors = [each for each in gc.get_objects() if type(each) is torch.Tensor]
        return probes, sum(each.shape == (4, 1, 3, 3) for each in tensors)

    net = make_net(5)
    before = held()
    state = ModelState(net, images)
    state.capture(10)
    state.refresh()
    state.activation()
    history = state.history
    history.ask(state, "parameters")
    assert history.wait(10)
    assert held() > before
    state.close()
    assert held() == before
    for call in (state.activation, state.weight, state.refresh, lambda: state.capture(20)):
        with pytest.raises(InputError, match="closed"):
            call()


def test_a_checkpoint_that_does_not_fit_is_named_by_its_step(images, make_net):
    series = CheckpointSeries.from_state_dicts([(300, {"other": torch.zeros(1)})])
    state = ModelState(make_net(9), images, checkpoints=series)
    with pytest.raises(CheckpointError, match=r"^step 300: "):
        state.weight()


def test_a_slow_load_is_told_of_before_the_next_one(images, series, make_net, monkeypatch):
    load = series.load_key
    monkeypatch.setattr(series, "load_key", lambda key: sleep(0.2) or load(key))
    state = ModelState(make_net(9), images, checkpoints=series)
    assert not state.is_slow_to_load()
    state.activation()
    assert not state.is_slow_to_load()
    state.select(image=1)
    state.activation()  # the last pass was not slow, but the load before it was
    assert not state.is_slow_to_load()
    state.select(checkpoint=0)
    assert state.is_slow_to_load()
    assert state.is_slow()


def test_the_softmax_of_the_logits_is_what_a_model_that_ends_in_one_puts_out(images, make_net):
    state = ModelState(torch.nn.Sequential(make_net(1), torch.nn.Softmax(1)), images)
    assert torch.allclose(state.logits().softmax(0), state.output()[0])
    assert torch.equal(state.probabilities(), state.output()[0])
    state.close()


def test_a_choice_of_the_output_is_checked_when_the_state_is_made(images, make_net):
    with pytest.raises(InputError, match="unknown output 'logit'; did you mean 'logits'"):
        ModelState(make_net(1), images, output="logit")
    state = ModelState(make_net(1), images, output="multilabel")
    assert state.probabilities().tolist() == pytest.approx(state.logits().sigmoid().tolist())
    state.close()


def test_an_output_in_an_object_is_the_callers_to_change(images, make_net):
    class Wrapped(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = make_net(1)

        def forward(self, x):
            return SimpleNamespace(scores=self.net(x), hidden=None)

    state = ModelState(Wrapped(), images)
    before = state.logits()
    state.output().scores.zero_()
    assert torch.equal(state.logits(), before)
    state.close()


def test_one_logit_has_two_classes_to_select(images, make_net):
    labels = ImageSet(images.batch(range(4)), labels=[0, 1, 0, 1])
    net = torch.nn.Sequential(make_net(1), torch.nn.Linear(3, 1))
    state = ModelState(net, labels)
    assert state.classes == 2
    assert state.select(target=1).target == 1
    with pytest.raises(SelectionError, match="2 classes"):
        state.select(target=2)
    state.close()
