"""Read a checkpoint file, safetensors or PyTorch, that a stranger may have written."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from convviz_widgets.checkpoints.bounds import ReadLimits, read_regular
from convviz_widgets.checkpoints.inside_times import time_beside, time_inside
from convviz_widgets.checkpoints.pytorch_file import LEGACY_MAGIC, ZIP_MAGIC, load_legacy, load_zip
from convviz_widgets.checkpoints.safetensors_file import (
    is_safetensors,
    load_safetensors,
    safetensors_metadata,
)
from convviz_widgets.checkpoints.shards import INDEX, load_shards
from convviz_widgets.checkpoints.state_dicts import find_state_dict
from convviz_widgets.checkpoints.training_time import TrainingTime
from convviz_widgets.errors import CheckpointError, printable, strerror

_LIMITS = ReadLimits()


@dataclass(frozen=True)
class Contents:
    """What is read of a checkpoint file: its tensors, and what it notes of when it was saved."""

    tensors: dict[str, Tensor]
    time: TrainingTime = field(default_factory=TrainingTime)


def read_checkpoint(
    path: str | os.PathLike[str],
    *,
    state_dict_key: str | None = None,
    sha256: str | None = None,
    limits: ReadLimits = _LIMITS,
) -> dict[str, Tensor]:
    """Return the tensors of a safetensors or PyTorch file, by name, on the CPU.

    The content decides the format, not the name. Nothing in the file is run, and nothing that it
    merely declares is allocated: a file is refused when it is compressed or when its sizes do not
    add up. Objects of foreign classes beside the weights (settings, paths, numpy numbers) are
    never made, only passed over; a file of before PyTorch 1.6 that has some is refused.

    Parameters
    ----------
    path : a regular file, or a symbolic link to one.
    state_dict_key : where the state dict is in the file; see `find_state_dict`.
    sha256 : what the file's bytes must hash to, in hex. Without it a flipped bit goes unnoticed:
        neither format has a checksum that is looked at.
    limits : how much a file may ask for.

    Raises
    ------
    CheckpointError
        One line that begins with the file's name, whatever is wrong.
    """
    return read_contents(path, state_dict_key=state_dict_key, sha256=sha256, limits=limits).tensors


def read_contents(
    path: str | os.PathLike[str],
    *,
    state_dict_key: str | None = None,
    sha256: str | None = None,
    limits: ReadLimits = _LIMITS,
) -> Contents:
    """Return what `read_checkpoint` does, with what the file notes of when it was saved."""
    path = Path(path)
    try:
        if path.name.endswith(INDEX):
            content: object = load_shards(path, _load, limits)
            time = TrainingTime()
        else:
            data = read_regular(path, limits.file_bytes)
            if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256.lower():
                raise CheckpointError("is not what was written: its sha256 differs")
            content = _load(data, limits)
            time = time_inside(safetensors_metadata(data) if is_safetensors(data) else content)
        tensors = find_state_dict(content, state_dict_key)
        _check_sizes(tensors, limits)
    except Exception as error:  # the libraries raise a dozen kinds on a damaged file
        raise CheckpointError(printable(f"{path.name}: {_reason(error)}")[:400]) from error
    known = time if time != TrainingTime() else time_beside(path, limits.header_bytes)
    return Contents(tensors, known)


def begins_like_checkpoint(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file begins as `torch.save` or safetensors would have it; 16 bytes are read.

    A zip file may still be something else.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            return False
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(path, flags), "rb") as file:
            first = file.read(len(LEGACY_MAGIC))
    except OSError:
        return False
    is_header = is_safetensors(first) and int.from_bytes(first[:8], "little") < status.st_size
    return is_header or first.startswith((ZIP_MAGIC, LEGACY_MAGIC))


def _load(data: bytes, limits: ReadLimits) -> object:
    if data.startswith(ZIP_MAGIC):
        return load_zip(data, limits)
    if data.startswith(LEGACY_MAGIC):
        return load_legacy(data, limits)
    if is_safetensors(data):
        return load_safetensors(data, limits)
    raise CheckpointError("is empty" if not data else "is no safetensors or PyTorch file")


def _check_sizes(tensors: dict[str, Tensor], limits: ReadLimits) -> None:
    """Raise CheckpointError for tensors without data, or that expand to more than the limits."""
    for name, tensor in tensors.items():
        if tensor.is_meta:
            raise CheckpointError(f"has no data for {name[:80]!r}, only a shape")
    nbytes = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if nbytes > limits.file_bytes or len(tensors) > limits.tensors:
        raise CheckpointError(f"has {len(tensors):,} tensors that expand to {nbytes:,} bytes")


def _reason(error: Exception) -> str:
    if isinstance(error, CheckpointError):
        return str(error)
    if isinstance(error, OSError):
        return f"cannot be read: {strerror(error)}"
    if isinstance(error, MemoryError):
        return "does not fit into memory"
    return f"is damaged or no checkpoint ({type(error).__name__})"
