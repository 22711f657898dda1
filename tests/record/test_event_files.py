"""Event files that TensorBoard's writers wrote, read as TensorBoard reads them."""

import os

import numpy as np
import pytest
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import SummaryWriter

from convviz_widgets.record.event_files import EventFile

from .oracle import assert_same, tensorboard_scalars

NUMBERS = [0.1, -1e-40, 3e38, float("nan"), float("inf"), 7.0]


@pytest.fixture
def written(tmp_path):
    """Return an event file of everything that PyTorch's writer writes."""
    with SummaryWriter(tmp_path / "whole") as writer:
        for step, number in enumerate(NUMBERS):
            writer.add_scalar("loss/train", number, step)
            writer.add_scalar("new style", number, 10 * step, new_style=True)
            writer.add_scalar("double", number, step, new_style=True, double_precision=True)
        writer.add_text("text", "a text", 1)
        writer.add_histogram_raw("histogram", 0, 1, 2, 1, 1, [0.5, 1], [1, 1], 1)
        writer.add_image("image", np.zeros((1, 2, 2), np.uint8), 1)
        writer.add_scalar("last", 1.0, 2**40)
    (path,) = (tmp_path / "whole").iterdir()
    return path


def series(file):
    return {tag: points.series() for tag, points in file.points.items()}


def test_equals_tensorboard_wherever_the_file_is_cut_off(tmp_path, written):
    whole = written.read_bytes()
    growing = tmp_path / "growing" / written.name
    growing.parent.mkdir()
    growing.touch()
    followed = EventFile(growing)
    for end in range(1, len(whole) + 1):
        with growing.open("ab") as file:
            file.write(whole[end - 1 : end])
        followed.refresh()
        expected = tensorboard_scalars(growing.parent)
        assert_same(series(followed), expected)
        fresh = EventFile(growing)
        fresh.refresh()
        assert_same(series(fresh), expected)
    assert followed.problem == ""


def test_refresh_reads_nothing_twice_and_series_stay_as_they_are(written):
    file = EventFile(written)
    count = file.refresh()
    before = file.points["last"].series()
    assert (count, file.refresh()) == (sum(map(len, file.points.values())), 0)
    with written.open("ab") as end:
        value = Summary.Value(tag="last", simple_value=2.0)
        event = Event(step=2**40 + 1, summary=Summary(value=[value]))
        RecordWriter(end).write(event.SerializeToString())
    assert file.refresh() == 1
    assert (before.values.tolist(), file.points["last"].series().values.tolist()) == ([1], [1, 2])
    with pytest.raises(ValueError, match="read-only"):
        before.values[0] = 0


def test_a_file_that_was_replaced_is_read_again(tmp_path, written):
    file = EventFile(written)
    file.refresh()
    other = tmp_path / "other"
    with other.open("wb") as end:
        event = Event(step=1, summary=Summary(value=[Summary.Value(tag="new", simple_value=1)]))
        RecordWriter(end).write(event.SerializeToString())
    other.replace(written)
    assert file.refresh() == 1
    assert list(file.points) == ["new"]


def test_damaged_records_are_counted_and_the_others_read(written):
    whole = bytearray(written.read_bytes())
    second_scalar = whole.index(b"new style") + 20
    whole[second_scalar] ^= 1
    whole[whole.index(b"histogram")] ^= 1
    written.write_bytes(whole)
    file = EventFile(written)
    file.refresh()
    assert file.problem.startswith("2 damaged records skipped, the first at byte ")
    assert len(file.points["loss/train"]) == len(NUMBERS)
    assert len(file.points["last"]) == 1


def test_a_tensor_that_declares_a_huge_shape_is_not_made(tmp_path):
    huge = TensorProto(dtype=1, float_val=[1.0])
    huge.tensor_shape.dim.add(size=2**40)
    path = tmp_path / "events.out.tfevents.1"
    with path.open("wb") as end:
        values = [Summary.Value(tag="bomb", tensor=huge), Summary.Value(tag="a", simple_value=1)]
        RecordWriter(end).write(Event(summary=Summary(value=values)).SerializeToString())
        RecordWriter(end).write(b"no event")
    file = EventFile(path)
    assert file.refresh() == 1
    assert file.problem == "1 record skipped: not an event"


def test_what_is_no_regular_file_is_a_problem_and_not_opened(tmp_path):
    path = tmp_path / "events.out.tfevents.1"
    os.mkfifo(path)
    file = EventFile(path)
    assert file.refresh() == 0
    assert file.problem == "cannot be read: is a pipe, not a regular file"
