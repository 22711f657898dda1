"""Logs and manifests that were changed at random: no crash, no hang, problems of one line."""

import io
import random

import pytest
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import SummaryWriter

from convviz_widgets.record import Run
from convviz_widgets.record.event_files import EventFile
from convviz_widgets.record.manifest import Manifest, manifest_line
from convviz_widgets.record.record_stream import RecordStream

from .mutation import mutated
from .training import Training

MUTATIONS = 2000


@pytest.fixture
def log(tmp_path):
    with SummaryWriter(tmp_path / "whole") as writer:
        for step in range(3):
            writer.add_scalar("loss", step, step)
            writer.add_scalar("tensor", step, step, new_style=True, double_precision=True)
        writer.add_text("text", "a text", 1)
        writer.add_histogram_raw("histogram", 0, 1, 2, 1, 1, [0.5, 1], [1, 1], 1)
    (path,) = (tmp_path / "whole").iterdir()
    return path


def read(path):
    file = EventFile(path)
    points = file.refresh()
    assert "\n" not in file.problem
    assert points <= 6 + path.stat().st_size // 30  # a copied record counts again
    return file


def test_changed_logs(log):
    rng = random.Random(0)
    whole = log.read_bytes()
    noticed = 0
    for _ in range(MUTATIONS):
        log.write_bytes(mutated(whole, rng))
        noticed += bool(read(log).problem)
    assert noticed > MUTATIONS / 2


def test_changed_events_under_right_checksums(log):
    rng = random.Random(0)
    events = [event for part in RecordStream(log).parts() for event in part]
    for _ in range(MUTATIONS):
        file = io.BytesIO()
        writer = RecordWriter(file)
        for event in rng.sample(events, 3):
            writer.write(mutated(event, rng))
        log.write_bytes(file.getvalue())
        read(log)


def test_changed_manifests(tmp_path):
    Training().record(tmp_path, steps=2, every=1)
    rng = random.Random(0)
    manifest = tmp_path / "checkpoints" / "manifest.jsonl"
    whole = manifest.read_bytes()
    names = {path.name for path in manifest.parent.iterdir()}
    for _ in range(MUTATIONS // 4):
        manifest.write_bytes(mutated(whole, rng))
        run = Run(tmp_path)
        assert set(run.checkpoints.names) <= names
        assert all("\n" not in line for line in run.problems.values())


def test_a_manifest_cannot_name_a_file_elsewhere(tmp_path):
    manifest = Manifest()
    for what in ("begin", "removed", "written"):
        line = manifest_line(
            {"line": manifest.count, "what": what, "file": "../x.pt", "step": 1, "sha256": "0" * 64}
        )
        manifest.add(line[:-1])
    assert (manifest.written, manifest.leftovers, len(manifest.problems)) == ({}, set(), 3)
