import random

import pytest

from convviz_widgets.errors import CheckpointError
from convviz_widgets.record import Run

from .training import Training

FLIPS = 1000


def flip(path, place):
    data = bytearray(path.read_bytes())
    data[place // 8] ^= 1 << place % 8
    path.write_bytes(data)


def test_every_flipped_bit_in_a_recorded_folder_is_noticed(tmp_path):
    Training().record(tmp_path, steps=3, every=2)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    sizes = [path.stat().st_size for path in files]
    rng = random.Random(0)
    assert Run(tmp_path).verify() == {}
    for _ in range(FLIPS):
        (path,) = rng.choices(files, sizes)
        place = rng.randrange(8 * path.stat().st_size)
        flip(path, place)
        problems = Run(tmp_path).verify()
        assert problems, f"bit {place} of {path.name}"
        assert all("\n" not in line for line in problems.values())
        flip(path, place)


def test_the_last_newline_of_the_manifest_counts(tmp_path):
    Training().record(tmp_path, steps=1)
    manifest = tmp_path / "checkpoints" / "manifest.jsonl"
    for bit in range(1, 9):
        flip(manifest, 8 * manifest.stat().st_size - bit)
        assert "manifest.jsonl" in Run(tmp_path).problems
        flip(manifest, 8 * manifest.stat().st_size - bit)


def test_a_line_that_is_missing_from_the_manifest_is_noticed(tmp_path):
    Training().record(tmp_path, steps=4, every=2)
    manifest = tmp_path / "checkpoints" / "manifest.jsonl"
    lines = manifest.read_bytes().splitlines(keepends=True)
    manifest.write_bytes(b"".join(lines[:2] + lines[4:]))
    problems = Run(tmp_path).problems
    assert "2 lines are missing" in problems["manifest.jsonl"]
    stranger = "step-00000002.safetensors"
    assert stranger not in problems, "as long as it may be a checkpoint that is being written"


def test_a_changed_checkpoint_does_not_load_and_the_others_do(tmp_path):
    Training().record(tmp_path, steps=4, every=2)
    flip(tmp_path / "checkpoints" / "step-00000002.safetensors", 4000)
    run = Run(tmp_path)
    assert run.integrity == "each checkpoint is checked against its sha256 when it is read"
    with pytest.raises(CheckpointError, match="its sha256 differs"):
        run.checkpoints.load(1)
    run.checkpoints.load(0)
    run.checkpoints.load(2)
    assert list(run.problems) == ["step-00000002.safetensors"]


def test_a_folder_without_a_manifest_says_that_it_cannot_tell(tmp_path):
    Training().record(tmp_path, steps=2)
    (tmp_path / "checkpoints" / "manifest.jsonl").unlink()
    run = Run(tmp_path)
    assert run.integrity == "no manifest: cannot tell whether the checkpoints are what was written"
    assert run.checkpoints.steps == (0, 2)
