"""Write checkpoints so that a reader finds all of one or nothing, whenever the writer is killed."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from torch import Tensor

from convviz_widgets.checkpoints.safetensors_file import safetensors_parts
from convviz_widgets.errors import CheckpointError, InputError, strerror

_TEMPORARY = ".convviz-{}.tmp"


def write_checkpoint(
    path: str | os.PathLike[str],
    tensors: Mapping[str, object],
    *,
    metadata: Mapping[str, str] | None = None,
) -> str:
    """Write a state dict as safetensors and return the sha256 of the file, in hex.

    The file appears under its name complete and on the disk, or not at all: it is written beside
    it, flushed, moved into place, and the directory is flushed too. The tensors may be tied, views,
    on any device, of any dtype that the format has; tied ones are written under each name.

    Parameters
    ----------
    path : a name that ends in .safetensors, in a directory that exists. A file there is replaced.
    tensors : tensors by name. Other values are left out; their names stand in the metadata under
        "left_out", as JSON.
    metadata : text to keep in the file's header.

    Raises
    ------
    InputError
        For a tensor that the format cannot hold: sparse, quantised, nested, without data.
    CheckpointError
        When the disk is full or the directory cannot be written. A file of that name stays.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise InputError(f"cannot write {path.name!r}: the name must end in .safetensors")
    parts = _parts(tensors, metadata or {})
    digest = hashlib.sha256()
    with _replacing(path) as file:
        for part in parts:
            digest.update(part)
            file.write(part)
    return digest.hexdigest()


def checkpoint_digest(tensors: Mapping[str, object]) -> str:
    """Return what `write_checkpoint` would, or raise InputError as it does, without writing."""
    digest = hashlib.sha256()
    for part in _parts(tensors, {}):
        digest.update(part)
    return digest.hexdigest()


def sweep_temporaries(directory: str | os.PathLike[str]) -> int:
    """Delete what killed writers have left in a directory and return how many files that was.

    Only for a directory that nobody is writing to.
    """
    orphans = list(Path(directory).glob(_TEMPORARY.format("*")))
    for orphan in orphans:
        orphan.unlink(missing_ok=True)
    return len(orphans)


def _parts(tensors: Mapping[str, object], metadata: Mapping[str, str]) -> Iterator[memoryview]:
    """Return the bytes of the file in parts, what is no tensor left out and noted."""
    kept = {name: value for name, value in tensors.items() if isinstance(value, Tensor)}
    left_out = [name for name in tensors if name not in kept]
    note = {"left_out": json.dumps(left_out)} if left_out else {}
    return safetensors_parts(kept, {**metadata, **note})


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file beside ``path`` for writing; on success it takes the place of ``path``."""
    temporary = path.with_name(_TEMPORARY.format(secrets.token_hex(8)))
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        raise CheckpointError(f"cannot write {path.name!r}: {strerror(error)}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _sync_directory(path: Path) -> None:
    """Make the new name survive a power cut, not only the new content."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows cannot open a directory
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
