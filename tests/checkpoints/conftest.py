import io
import os
import pickle
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from convviz_widgets.checkpoints import write_checkpoint

LONG_AGO = 1_000.0


def save_safetensors(path: Path, tensors: dict[str, Tensor]) -> None:
    write_checkpoint(path.with_suffix(".safetensors"), tensors)
    path.with_suffix(".safetensors").rename(path)


def save_zip(path: Path, content: object) -> None:
    torch.save(content, path)


def save_legacy(path: Path, content: object) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


@pytest.fixture(params=[save_safetensors, save_zip, save_legacy])
def save(request: pytest.FixtureRequest) -> Callable[[Path, dict[str, Tensor]], None]:
    """One of the three formats."""
    return request.param


@pytest.fixture
def write_old() -> Callable[..., Path]:
    """Write a checkpoint of one number that was last changed long ago, or ``age`` seconds ago."""

    def write(path: Path, value: float = 0.0, age: float = LONG_AGO) -> Path:
        write_checkpoint(path, {"weight": torch.tensor(value)})
        then = time.time() - age
        os.utime(path, (then, then))
        return path

    return write


@pytest.fixture
def write_zip() -> Callable[..., Path]:
    """Write a zip file around a pickle, as torch.save lays it out."""

    def write(path: Path, content: object, records: dict[str, bytes] | None = None) -> Path:
        text = content if isinstance(content, bytes) else pickle.dumps(content, protocol=2)
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in {"data.pkl": text, "version": b"3\n", **(records or {})}.items():
                archive.writestr(zipfile.ZipInfo(f"archive/{name}"), data)
        return path

    return write


@pytest.fixture
def write_legacy() -> Callable[..., Path]:
    """Write the pickles of a file from before PyTorch 1.6."""

    def write(path: Path, content: object, keys: tuple[str, ...] = (), data: bytes = b"") -> Path:
        file = io.BytesIO()
        for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, content, list(keys)):
            file.write(part if isinstance(part, bytes) else pickle.dumps(part, protocol=2))
        path.write_bytes(file.getvalue() + data)
        return path

    return write
