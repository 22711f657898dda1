"""Whatever is wrong with a file of measurements, it counts as missing."""

import hashlib
import json
import math
import os
import random
import zlib

import numpy as np
import pytest
import torch

from convviz_widgets.checkpoints.checkpoint_file import CheckpointFile
from convviz_widgets.measure import AnswerFacts, FilterFacts, Measurement
from convviz_widgets.record import Recorder, Run
from convviz_widgets.state import PARAMETERS
from convviz_widgets.state.measurements import Measurable, MeasurementFiles, place_of
from convviz_widgets.state.timeline import Entry
from convviz_widgets.tensors import distribution

FINGERPRINT = "f" * 64


@pytest.fixture
def job(tmp_path):
    file = CheckpointFile("step-1.safetensors", str(tmp_path / "step-1.safetensors"), 1, 2, 3)
    return Measurable(PARAMETERS, Entry(1, file, dict))


@pytest.fixture
def written(job):
    counted = distribution([*range(40), float("nan")])
    measured = Measurement(
        3,
        {("a", "weights"): counted},
        {"a": np.array([3, 0])},
        concentration={"a": float("nan")},
        magnitudes={("a", "weight gradients"): 0.25},
        update_ratios={"a": 1e-3},
        filters={"a": FilterFacts(0.5, 8)},
        answers=AnswerFacts(3, commonest=1, share=0.75),
        loss=2.5,
    )
    assert MeasurementFiles().write(job, FINGERPRINT, measured)
    return place_of(job, FINGERPRINT)


def read(job):
    return MeasurementFiles().read(job, FINGERPRINT)


def resealed(content):
    rest = zlib.compress(content)
    return hashlib.sha256(rest).digest() + rest


def content_of(path):
    return zlib.decompress(path.read_bytes()[32:])


def test_what_was_written_is_read(job, written):
    found = read(job)
    assert found.distributions["a", "weights"].n == 41
    assert found.fired["a"].tolist() == [3, 0]
    assert math.isnan(found.concentration["a"])
    assert (found.magnitudes, found.loss) == ({("a", "weight gradients"): 0.25}, 2.5)
    assert (found.update_ratios, found.filters["a"].count) == ({"a": 1e-3}, 8)
    assert (found.answers.commonest, found.answers.share, found.answers.palest) == (1, 0.75, None)
    assert [each.name for each in written.parent.iterdir()] == [written.name]


def test_a_flipped_bit_is_noticed(job, written):
    data = written.read_bytes()
    for place in range(0, len(data), 3):
        written.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert read(job) is None


def test_a_checkpoint_whose_name_is_no_text_has_a_file_of_its_own(tmp_path):
    names = [os.fsdecode(name) for name in (b"gr\xfcn.pt", b"gr\xfdn.pt")]
    files = [CheckpointFile(name, str(tmp_path / name), 1, 2, 3) for name in names]
    places = [place_of(Measurable(PARAMETERS, Entry(1, file, dict)), FINGERPRINT) for file in files]
    assert places[0] != places[1]


def test_every_truncation_is_noticed(job, written):
    data = written.read_bytes()
    for end in range(len(data)):
        written.write_bytes(data[:end])
        assert read(job) is None


def test_mutated_content_under_a_right_digest_harms_nobody(job, written):
    content, draw = content_of(written), random.Random(0)
    for _ in range(600):
        mutated = bytearray(content)
        for _ in range(draw.randint(1, 4)):
            mutated[draw.randrange(len(mutated))] = draw.randrange(256)
        written.write_bytes(resealed(bytes(mutated)))
        found = read(job)
        for counted in found.distributions.values() if found else ():
            assert len(counted.percentiles()) == 9


def altered(path, change):
    line, _, rest = content_of(path).partition(b"\n")
    header = json.loads(line)
    change(header)
    path.write_bytes(resealed(json.dumps(header).encode() + b"\n" + rest))


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header["distributions"][0].__setitem__(3, 10**15),
        lambda header: header["distributions"][0].__setitem__(2, "object"),
        lambda header: header["distributions"][0][4].__setitem__(0, 10**9),
        lambda header: header["distributions"][0][4].__setitem__(2, 10**300),
        lambda header: header["distributions"][0][5].__setitem__(0, [[]]),
        lambda header: header["distributions"].append([]),
        lambda header: header.pop("concentration"),
        lambda header: header.pop("loss"),
        lambda header: header.update(filters=[["a", 0.5]]),
        lambda header: header.update(filters=[["a", *[0.5] * 7]]),
        lambda header: header.update(answers=[1]),
        lambda header: header["answers"].__setitem__(4, float("inf")),
        lambda header: header["magnitudes"].append(["a", 1.0]),
        lambda header: header.update(identity=[]),
        lambda header: header.update(images={}),
        lambda header: header.update(fired=[["a", -1]]),
    ],
)
def test_a_planted_header_counts_as_missing(job, written, change):
    altered(written, change)
    assert read(job) is None


def test_a_file_that_expands_to_too_much_is_not_expanded(job, written):
    bomb = zlib.compress(bytes(2**27), 1)
    written.write_bytes(hashlib.sha256(bomb).digest() + bomb)
    assert read(job) is None


def test_deep_nesting_counts_as_missing(job, written):
    written.write_bytes(resealed(b"[" * 200_000 + b"\n"))
    assert read(job) is None


def test_a_pipe_does_not_hang(job, written):
    written.unlink()
    os.mkfifo(written)
    assert read(job) is None


def test_what_was_measured_in_a_recorded_run_is_read_as_long_as_its_bytes_are_the_same(tmp_path):
    def recorded(weight):
        net = torch.nn.Linear(1, 1)
        torch.nn.init.constant_(net.weight, weight)
        torch.nn.init.zeros_(net.bias)
        with Recorder(net, tmp_path, step=0):
            pass
        return Measurable(PARAMETERS, Entry(0, Run(tmp_path).checkpoints.key(0), dict))

    assert MeasurementFiles().write(recorded(1.0), FINGERPRINT, Measurement(3))
    assert read(recorded(1.0)).images == 3
    for folder in (tmp_path / "checkpoints").glob("step-*"):
        folder.unlink()
    (tmp_path / "checkpoints" / "manifest.jsonl").unlink()
    assert read(recorded(2.0)) is None


def test_a_checkpoint_of_another_size_or_time_has_no_measurement(job, written):
    key = job.entry.key
    for other in (
        CheckpointFile(key.name, key.path, 1, 2, 4),
        CheckpointFile(key.name, key.path, 1, 9, 3),
    ):
        assert read(Measurable(PARAMETERS, Entry(1, other, dict))) is None
    moved = CheckpointFile(key.name, key.path, 77, 2, 3)
    assert read(Measurable(PARAMETERS, Entry(1, moved, dict))) is not None
