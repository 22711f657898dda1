import errno
import hashlib
import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch
from torch import nn

from convviz_widgets.checkpoints import read_checkpoint, sweep_temporaries, write_checkpoint
from convviz_widgets.checkpoints.safetensors_file import _DTYPES
from convviz_widgets.errors import CheckpointError, InputError


def test_the_file_is_what_the_library_reads(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    tensors = {"b": torch.arange(6.0).view(2, 3), "a": torch.tensor(3), "c": torch.empty(0, 2)}
    digest = write_checkpoint(path, tensors, metadata={"step": "7"})
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    with safetensors.safe_open(path, "pt") as file:
        assert file.metadata() == {"step": "7"}
        assert set(file.keys()) == {"a", "b", "c"}
        for name, tensor in tensors.items():
            assert torch.equal(file.get_tensor(name), tensor)


@pytest.mark.parametrize("dtype", list(_DTYPES))
def test_every_type_of_the_format_survives(tmp_path: Path, dtype: torch.dtype) -> None:
    tensor = torch.tensor([0, 1, 1, 0, 1]).to(dtype)
    write_checkpoint(tmp_path / "a.safetensors", {"a": tensor, "b": torch.ones(3).double()})
    found = safetensors.torch.load_file(tmp_path / "a.safetensors")["a"]
    assert found.dtype == dtype
    assert torch.equal(found.view(torch.uint8), tensor.view(torch.uint8))


def test_tied_and_strided_tensors_are_written_out(tmp_path: Path) -> None:
    weight = torch.arange(6.0).view(2, 3)
    tensors = {
        "a": weight,
        "tied": nn.Parameter(weight),
        "transposed": weight.t(),
        "part": weight[:, 1],
        "expanded": torch.ones(1).expand(3),
        "conjugate": torch.tensor([1 + 2j]).conj(),
    }
    write_checkpoint(tmp_path / "a.safetensors", tensors)
    found = read_checkpoint(tmp_path / "a.safetensors")
    assert found["transposed"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert found["conjugate"].tolist() == [1 - 2j]
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


def test_what_is_no_tensor_is_left_out_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_checkpoint(path, {"a": torch.ones(1), "_extra_state": {"scale": 2}})
    with safetensors.safe_open(path, "pt") as file:
        assert json.loads(file.metadata()["left_out"]) == ["_extra_state"]


@pytest.mark.parametrize(
    "tensor", [torch.eye(2).to_sparse(), torch.ones(1, device="meta"), torch.ones(1).cdouble()]
)
def test_what_the_format_cannot_hold_is_refused_before_writing(
    tmp_path: Path, tensor: torch.Tensor
) -> None:
    with pytest.raises(InputError, match="cannot write 'odd'"):
        write_checkpoint(tmp_path / "a.safetensors", {"a": torch.ones(1), "odd": tensor})
    assert list(tmp_path.iterdir()) == []


def test_only_safetensors_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must end in \.safetensors"):
        write_checkpoint(tmp_path / "a.pt", {"a": torch.ones(1)})
    with pytest.raises(InputError, match="no tensors to write"):
        write_checkpoint(tmp_path / "a.safetensors", {"epoch": 3})
    with pytest.raises(InputError, match="must be text"):
        write_checkpoint(tmp_path / "a.safetensors", {"a": torch.ones(1)}, metadata={"step": 3})


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.safetensors"
    write_checkpoint(path, {"a": torch.zeros(1)})

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        write_checkpoint(path, {"a": torch.ones(1)})
    assert read_checkpoint(path)["a"].item() == 0
    assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_missing_directory_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="No such file or directory"):
        write_checkpoint(tmp_path / "none" / "a.safetensors", {"a": torch.ones(1)})


def test_what_killed_writers_left_is_swept(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "a.safetensors", {"a": torch.ones(1)})
    (tmp_path / ".convviz-0123.tmp").write_bytes(b"half")
    (tmp_path / ".someone-else.tmp").write_bytes(b"theirs")
    assert sweep_temporaries(tmp_path) == 1
    assert {file.name for file in tmp_path.iterdir()} == {"a.safetensors", ".someone-else.tmp"}


def write_for_ever(path: Path) -> None:
    torch.set_num_threads(1)  # a forked child has lost the threads of its parent's pool
    for value in range(1, 1_000_000):
        write_checkpoint(path, {"a": torch.full((30_000,), float(value))})


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    path, rng, values = tmp_path / "a.safetensors", random.Random(0), set()
    write_checkpoint(path, {"a": torch.zeros(30_000)})
    for _ in range(25):
        child = os.fork()
        if not child:
            write_for_ever(path)
        time.sleep(rng.uniform(0.01, 0.05))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        found = read_checkpoint(path)["a"].unique()
        assert found.numel() == 1
        values.add(found.item())
    assert len(values) > 1
