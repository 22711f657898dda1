"""Two states under one clock: by step, and as far as the other has what is selected."""

import os
import threading

import torch
from torch import nn

from convviz_widgets.checkpoints import CheckpointSeries
from convviz_widgets.state import ModelState
from convviz_widgets.state.link import Link
from convviz_widgets.state.timeline import at_or_before


def state(steps, channels=4, images=3):
    model = nn.Sequential(nn.Conv2d(1, channels, 1), nn.ReLU())
    series = CheckpointSeries.from_state_dicts([(step, model.state_dict()) for step in steps])
    return ModelState(model, torch.rand(images, 1, 2, 2), checkpoints=series)


def test_the_last_checkpoint_at_or_before_a_step_is_shown():
    assert [at_or_before((0, 50, 100), step) for step in (0, 49, 50, 1000)] == [0, 0, 1, 2]
    assert at_or_before((50, 100), 10) == 0


def test_the_other_follows_by_step_layer_channel_and_image():
    left, right = state((0, 100, 200)), state((0, 150, 200, 300))
    link = Link(left, right)
    assert (right.selection.step, link.steps) == (200, (0, 100, 150, 200, 300))
    left.select(checkpoint=1, layer="1", channel=3, image=2)
    assert (right.selection.step, right.layer, right.channel, right.image) == (0, "1", 3, 2)
    right.select(checkpoint=3)
    assert (left.selection.step, link.step) == (200, 300)


def test_the_clock_stays_where_it_is_while_other_things_are_selected():
    left, right = state((0, 100)), state((0, 150))
    link = Link(left, right)
    link.go_to(150)
    assert (left.selection.step, right.selection.step) == (100, 150)
    left.select(channel=2)
    assert (link.step, right.selection.step, right.channel) == (150, 150, 2)


def test_what_the_other_lacks_leaves_its_own_where_it_is():
    left, right = state((0,), channels=8, images=5), state((0,), channels=2, images=2)
    Link(left, right)
    left.select(channel=7, image=4)
    assert (right.channel, right.image) == (1, 0)


def clock_label(link):
    return link.steps.labels[link.steps.index(link.step)]


def counted(tmp_path, names, **options):
    model = nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU())
    folder = tmp_path / f"{len(names)} from {names[0]}"
    folder.mkdir()
    for name in names:
        torch.save(model.state_dict(), folder / name)
        os.utime(folder / name, (10**9, 10**9))  # nobody has to wait for it
    series = CheckpointSeries.from_directory(folder, **options)
    return ModelState(model, torch.rand(3, 1, 2, 2), checkpoints=series)


def test_epochs_of_a_known_length_and_steps_share_a_clock_of_steps(tmp_path):
    epochs = ["epoch_1.pt", "epoch_2.pt", "epoch_3.pt"]
    left, right = counted(tmp_path, epochs, steps_per_epoch=100), state((0, 100, 250))
    link = Link(left, right)
    assert (link.steps, link.steps.unit, link.misfit) == ((0, 100, 200, 250, 300), "step", "")
    left.select(checkpoint=1)
    assert (right.selection.step, link.step) == (100, 200)
    right.select(checkpoint=2)
    assert (left.selection.label, link.step) == ("epoch 2", 250)


def test_epochs_of_unknown_length_beside_steps_are_told_of(tmp_path):
    left, right = counted(tmp_path, ["epoch_1.pt", "epoch_2.pt"]), state((0, 100))
    link = Link(left, right)
    assert (link.steps, link.steps.unit) == ((0, 1, 2, 100), "checkpoint")
    assert "one clock for epochs and steps as if they were the same" in link.misfit
    both = Link(left, counted(tmp_path, ["epoch_3.pt"]))
    assert (both.steps.labels, both.misfit) == (("epoch 1", "epoch 2", "epoch 3"), "")


def test_what_has_no_number_stands_behind_the_numbers_of_both(tmp_path):
    left = counted(tmp_path, ["epoch_0.pt", "epoch_1.pt", "best.pt"])
    right = counted(tmp_path, [f"epoch_{epoch}.pt" for epoch in (0, 1, 2, 3)] + ["last.pt"])
    link = Link(left, right)
    assert link.steps.labels[-2:] == ("epoch 3", "best.pt / last.pt")
    right.select(checkpoint=2)
    assert (left.selection.label, clock_label(link)) == ("epoch 1", "epoch 2")
    left.select(checkpoint=2)
    assert (right.selection.label, clock_label(link)) == ("last.pt", "best.pt / last.pt")


def test_a_name_without_a_number_keeps_no_epochs_from_a_clock_of_steps(tmp_path):
    epochs = ["epoch_1.pt", "epoch_2.pt", "best.pt"]
    left, right = counted(tmp_path, epochs, steps_per_epoch=100), state((0, 100, 250))
    link = Link(left, right)
    assert (link.steps.labels, link.misfit) == (
        ("step 0", "step 100", "step 200", "step 250", "best.pt"),
        "",
    )
    left.select(checkpoint=1)
    assert (right.selection.step, clock_label(link)) == (100, "step 200")
    left.select(checkpoint=2)
    assert (right.selection.step, clock_label(link)) == (250, "best.pt")


def test_a_closed_link_lets_the_two_go_their_own_ways():
    left, right = state((0, 1)), state((0, 1))
    Link(left, right).close()
    left.select(checkpoint=0)
    assert right.checkpoint == 1


def test_each_carries_over_only_when_it_has_let_go_of_its_own_lock():
    left, right = state((0, 1, 2)), state((0, 1, 2))
    Link(left, right)
    free = []

    def try_from_another_thread(_change):
        thread = threading.Thread(target=left.activation, daemon=True)  # it needs the lock
        thread.start()
        thread.join(10)
        free.append(not thread.is_alive())

    right.observe(try_from_another_thread, names="checkpoint")
    left.select(checkpoint=0)
    left.checkpoint = 1
    assert free == [True, True]


def test_two_threads_that_move_both_states_never_wait_for_each_other():
    left, right = state(range(50)), state(range(50))
    Link(left, right)

    def scrub(mine):
        for index in range(50):
            mine.select(checkpoint=index)

    threads = [threading.Thread(target=scrub, args=(each,), daemon=True) for each in (left, right)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
