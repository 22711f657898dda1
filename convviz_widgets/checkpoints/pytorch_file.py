"""Files written by ``torch.save``: today's zip layout, and the one before PyTorch 1.6."""

from __future__ import annotations

import io

import torch

from convviz_widgets.checkpoints.foreign import ForeignError
from convviz_widgets.checkpoints.limits import ReadLimits
from convviz_widgets.checkpoints.pickle_check import Checked
from convviz_widgets.checkpoints.pickle_salvage import Salvaged
from convviz_widgets.checkpoints.pickle_walk import walk
from convviz_widgets.checkpoints.zip_records import stored_records
from convviz_widgets.errors import CheckpointError

LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the pickle of 0x1950a86a20f9469cfc6c

_COUNT_BYTES = 8  # in a legacy file the number of elements stands before each storage
_DATA = "data/"


def load_zip(data: bytes, limits: ReadLimits) -> object:
    """Return what ``torch.save`` has put into a zip file.

    What is neither tensor nor plain data comes back as `Foreign`.

    Raises
    ------
    CheckpointError
        Before anything is unpacked, when records and pickle do not fit each other or the limits.
    """
    records = stored_records(data, limits)
    if "data.pkl" not in records:
        raise CheckpointError("is a zip file without data.pkl; torch.save did not write it")
    if "constants.pkl" in records:
        raise CheckpointError("is a TorchScript program; save a state_dict with torch.save")
    if len(records["data.pkl"]) > limits.pickle_bytes:
        raise CheckpointError(f"has a pickle of over {limits.pickle_bytes:,} bytes")

    def claim(key: str, nbytes: int) -> None:
        if nbytes > len(records.get(_DATA + key, b"")):
            raise CheckpointError(f"lacks data: storage {key[:20]!r} should have {nbytes:,} bytes")

    try:
        walk(io.BytesIO(records["data.pkl"]), Checked(claim))
    except ForeignError as foreign:
        return _salvaged(records, limits, foreign)
    return _load(data)


def load_legacy(data: bytes, limits: ReadLimits) -> object:
    """Return what ``torch.save`` has put into a file before PyTorch 1.6.

    Such a file is a row of pickles: magic number, version, the writer's machine, the content, the
    keys of its storages; the storages follow.

    Raises
    ------
    CheckpointError
        Before any storage is made, when pickles and storages do not fit each other or the limits,
        or when there is anything but tensors and plain data.
    """
    file = io.BytesIO(data[: limits.pickle_bytes])
    file.seek(len(LEGACY_MAGIC))
    claimed: dict[str, int] = {}

    def claim(key: str, nbytes: int) -> None:
        if claimed.setdefault(key, nbytes) != nbytes:
            raise CheckpointError("has a storage of two sizes")
        if len(claimed) > limits.tensors:
            raise CheckpointError(f"has over {limits.tensors:,} storages")

    _version, _machine, _content, keys = (walk(file, Checked(claim)) for _ in range(4))
    if not isinstance(keys, list) or sorted(keys) != sorted(claimed):  # else PyTorch leaves some
        raise CheckpointError("does not list its storages")  # uninitialised
    if file.tell() + sum(_COUNT_BYTES + nbytes for nbytes in claimed.values()) > len(data):
        raise CheckpointError("is truncated: its tensors are larger than what is left of the file")
    return _load(data)


def _salvaged(records: dict[str, memoryview], limits: ReadLimits, foreign: ForeignError) -> object:
    """Return what can be had of a file with foreign objects; raise ``foreign`` for a broken one."""
    if records.get("byteorder", b"little") != b"little":
        raise foreign
    values = {
        name.removeprefix(_DATA): record
        for name, record in records.items()
        if name.startswith(_DATA)
    }
    try:
        return walk(io.BytesIO(records["data.pkl"]), Salvaged(values, limits.tensors))
    except Exception as error:  # a broken pickle raises a dozen kinds
        raise foreign from error


def _load(data: bytes) -> object:
    return torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
