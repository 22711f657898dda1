"""A folder that somebody writes into: clock, index and weights always speak of one checkpoint."""

import os

import pytest
import torch
from torch import nn

import convviz_widgets as cvw
from convviz_widgets.checkpoints import apart_in_words

AGES = iter(range(10**9, 2 * 10**9))


def save(folder, name, value, **inside):
    """Write a file that has settled; its weights are ``value``."""
    weights = {"0.weight": torch.full((1, 1, 1, 1), float(value)), "0.bias": torch.zeros(1)}
    torch.save({"state_dict": weights, **inside} if inside else weights, folder / name)
    age = next(AGES)
    os.utime(folder / name, (age, age))


@pytest.fixture
def opened(tmp_path):
    """Return a function that makes a state of the folder."""
    states = []

    def open_folder(**options):
        model = nn.Sequential(nn.Conv2d(1, 1, 1))
        states.append(
            cvw.ModelState(model, torch.rand(2, 1, 2, 2), checkpoints=tmp_path, **options)
        )
        return states[-1]

    yield open_folder
    for state in states:
        state.close()


def seen(state):
    """Return the name on the clock and the weight that is shown, of each checkpoint."""
    clock, found = cvw.views.CheckpointClock(state), []
    for index in range(len(state.steps)):
        selection = state.select(checkpoint=index)
        name = state.checkpoint_name
        on_the_clock = clock.place.removesuffix(f" · {index + 1} of {len(state.steps)}")
        assert on_the_clock == (name if len(name) <= 20 else selection.label)
        assert (selection.step, selection.label) == (state.steps[index], state.steps.labels[index])
        found.append((name, state.weight().item()))
    return found


def test_what_has_a_name_of_its_own_keeps_it_when_its_time_is_known(opened, tmp_path):
    for epoch in range(2):
        save(tmp_path, f"epoch_{epoch}.pt", epoch)
    save(tmp_path, "best.pt", 7, epoch=0, global_step=100)
    save(tmp_path, "last.ckpt", 8, epoch=1)
    state = opened()
    assert [name for name, _ in seen(state)] == ["epoch 0", "epoch 1", "best.pt", "last.ckpt"]
    state.refresh()
    assert seen(state) == [
        ("epoch 0", 0),
        ("epoch 1", 1),
        ("best.pt · epoch 0 · step 100", 7),
        ("last.ckpt · epoch 1", 8),
    ]
    assert state.steps.labels == ("epoch 0", "epoch 1", "best.pt", "last.ckpt")
    assert apart_in_words(state.steps, 1, 2) == "nobody knows how far"  # not "1 epoch"


def test_a_unit_that_becomes_known_is_said_by_all_at_the_next_refresh(opened, tmp_path):
    for epoch in range(3):
        save(tmp_path, f"model_{epoch}.pt", epoch, epoch=epoch)
    state = opened(checkpoint=1)
    clock, weights = cvw.views.CheckpointClock(state), cvw.WeightHistogram(state)
    assert clock.place == "model_1.pt · 2 of 3"
    assert "model_1.pt" in weights.caption
    state.refresh()
    assert clock.place == "epoch 1 · 2 of 3"
    assert state.selection.label == "epoch 1"
    assert "epoch 1" in weights.caption
    assert "model_1.pt" not in weights.caption
    assert seen(state) == [("epoch 0", 0), ("epoch 1", 1), ("epoch 2", 2)]


def test_files_that_turn_out_to_be_in_another_order_keep_their_weights(opened, tmp_path):
    for step in (1, 2, 3):
        save(tmp_path, f"step_{step}.pt", step, global_step=100 * (4 - step))
    state = opened()
    assert seen(state) == [("step 1", 1), ("step 2", 2), ("step 3", 3)]
    before = state.select(checkpoint=0)
    state.refresh()
    assert (state.checkpoint, state.weight().item()) == (2, 1)
    assert state.weight(selection=before).item() == 1
    assert seen(state) == [("step 100", 3), ("step 200", 2), ("step 300", 1)]


def test_what_was_rewritten_stays_selected_though_its_place_has_shifted(opened, tmp_path):
    for epoch in range(2):
        save(tmp_path, f"epoch_{epoch}.pt", epoch)
    save(tmp_path, "last.pt", 10)
    state = opened()
    assert (state.checkpoint_name, state.selection.step) == ("last.pt", 2)
    save(tmp_path, "epoch_2.pt", 2)
    save(tmp_path, "last.pt", 11)
    state.refresh()
    assert (state.checkpoint_name, state.selection.step) == ("last.pt", 3)
    assert state.weight().item() == 11
    assert [value for _, value in seen(state)] == [0, 1, 2, 11]


def test_what_is_rewritten_behind_the_states_back_is_not_taken_for_what_was_there(opened, tmp_path):
    save(tmp_path, "epoch_0.pt", 0)
    save(tmp_path, "best.pt", 1, epoch=0)
    state = opened(checkpoint=0)
    assert state.weight().item() == 0
    save(tmp_path, "best.pt", 2, epoch=1)
    state.select(checkpoint=1)
    with pytest.raises(cvw.CheckpointError, match=r"best.pt has been replaced .* refresh the"):
        state.weight()
    state.refresh()
    assert (state.checkpoint_name, state.weight().item()) == ("best.pt", 2)
    state.refresh()
    assert state.checkpoint_name == "best.pt · epoch 1"


def test_follow_selects_the_new_epoch_not_the_best_of_all(opened, tmp_path):
    save(tmp_path, "epoch_0.pt", 0)
    save(tmp_path, "best.pt", 9)
    state = opened(checkpoint=0)
    state.follow = True
    save(tmp_path, "epoch_1.pt", 1)
    state.refresh()
    assert (state.checkpoint_name, state.weight().item()) == ("epoch 1", 1)


@pytest.fixture
def captured(opened):
    """Return a function that captures the live model at steps, and refreshes."""

    def capture(*steps, **options):
        state = opened(**options)
        for step in steps:
            state.capture(step)
        state.refresh()
        return state

    return capture


def test_captures_and_epochs_of_unknown_length_share_no_axis(captured, tmp_path):
    for epoch in range(3):
        save(tmp_path, f"epoch_{epoch}.pt", epoch)
    state = captured(250, 2)
    assert state.steps.labels == ("epoch 0", "epoch 1", "epoch 2", "step 2", "step 250")
    assert (state.steps, state.steps.unit) == ((0, 1, 2, 3, 4), "epoch")
    assert state.problems == {
        "captures": "captures count steps, the checkpoints epochs: captures come after the last; "
        "steps_per_epoch= puts them in order"
    }


def test_captures_and_epochs_of_known_length_go_by_steps(captured, tmp_path):
    for epoch in (1, 2):
        save(tmp_path, f"epoch_{epoch}.pt", epoch)
    save(tmp_path, "best.pt", 9)
    state = captured(150, 200, steps_per_epoch=100)
    assert (state.steps, state.steps.unit, state.problems) == ((100, 150, 200, 201), "step", {})
    names = [name for name, _ in seen(state)]
    assert names == ["epoch 1 · step 100", "step 150", "epoch 2 · step 200", "best.pt"]


def test_a_name_without_a_number_takes_no_captures_place(captured, tmp_path):
    save(tmp_path, "pretrained.pt", 9)
    state = captured(0, 10)
    assert [name for name, _ in seen(state)] == ["step 0", "step 10", "pretrained.pt"]
    assert (state.steps, state.problems) == ((0, 10, 11), {})
