"""The records of a PyTorch zip file, listed without unpacking any."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from convviz_widgets.checkpoints.limits import ReadLimits
from convviz_widgets.errors import CheckpointError

MAGIC = b"PK\x03\x04"

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_ENCRYPTED = 1
_STORED = 0
_IN_EXTRA = 0xFFFFFFFF
_ZIP_64 = 1


@dataclass(frozen=True)
class _Directory:
    start: int
    end: int
    count: int


@dataclass(frozen=True)
class _Listed:
    """A record as the directory lists it: the offset is that of its local header."""

    name: bytes
    offset: int
    size: int


def stored_records(data: bytes, limits: ReadLimits) -> dict[str, memoryview]:
    """Return views of a PyTorch zip file's records, by name without the folder that all share.

    Only the layout that PyTorch writes is accepted: nothing before the first record or behind the
    directory, each record stored as it is and once. Python's ``zipfile`` is more generous, and
    where it is, it may read another directory than PyTorch does.

    Raises
    ------
    CheckpointError
        For any other layout, a compressed record, a name that occurs twice, records that overlap.
    """
    directory = _find_directory(data)
    if directory.count > limits.tensors:
        raise CheckpointError(f"has {directory.count:,} records; at most {limits.tensors:,}")
    contents = {item.name: _content(data, item, directory) for item in _listed(data, directory)}
    if len({name.lower() for name in contents}) != directory.count:  # PyTorch ignores case
        raise CheckpointError("has two records of the same name")
    if sum(map(len, contents.values())) > len(data):
        raise CheckpointError("has records that overlap")
    return _without_folder(contents)


def _find_directory(data: bytes) -> _Directory:
    end = len(data) - _END.size
    if end < 0 or data[end : end + 4] != b"PK\x05\x06":
        raise CheckpointError("is a truncated zip file: it does not end with its directory")
    _, disk, _, _, count, size, start, comment = _END.unpack_from(data, end)
    if disk or comment:
        raise CheckpointError("is a zip file that PyTorch did not write")
    locator = end - _LOCATOR_64.size
    if locator >= _END_64.size and data[locator : locator + 4] == b"PK\x06\x07":
        end = locator - _END_64.size
        _, _, offset, _ = _LOCATOR_64.unpack_from(data, locator)
        if offset != end or data[end : end + 4] != b"PK\x06\x06":
            raise CheckpointError("is a zip file with a damaged directory")
        *_, count, size, start = _END_64.unpack_from(data, end)
    if start + size != end or count * _CENTRAL.size > size:
        raise CheckpointError("is a zip file with a damaged directory")
    return _Directory(start, end, count)


def _listed(data: bytes, directory: _Directory) -> Iterator[_Listed]:
    position = directory.start
    for _ in range(directory.count):
        if (
            position + _CENTRAL.size > directory.end
            or data[position : position + 4] != b"PK\x01\x02"
        ):
            raise CheckpointError("is a zip file with a damaged directory")
        fields = _CENTRAL.unpack_from(data, position)
        flags, method, packed, size = fields[3], fields[4], fields[8], fields[9]
        name_length, extra_length, comment_length, offset = *fields[10:13], fields[16]
        name_at = position + _CENTRAL.size
        extra_at = name_at + name_length
        position = extra_at + extra_length + comment_length
        if method != _STORED or flags & _ENCRYPTED:
            raise CheckpointError("has compressed records; PyTorch stores them as they are")
        extra = data[extra_at : extra_at + extra_length]
        size, packed, offset = _enlarged((size, packed, offset), extra)
        if size != packed:
            raise CheckpointError("is a zip file with a damaged directory")
        yield _Listed(data[name_at:extra_at], offset, size)
    if position != directory.end:
        raise CheckpointError("is a zip file with a damaged directory")


def _enlarged(numbers: tuple[int, ...], extra: bytes) -> tuple[int, ...]:
    """Return the numbers, those that do not fit 32 bits taken from the zip64 extra field."""
    if _IN_EXTRA not in numbers:
        return numbers
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, position)
        if kind == _ZIP_64:
            large = iter(struct.unpack_from(f"<{length // 8}Q", extra, position + 4))
            return tuple(next(large, n) if n == _IN_EXTRA else n for n in numbers)
        position += 4 + length
    return numbers


def _content(data: bytes, item: _Listed, directory: _Directory) -> memoryview:
    """Return the record's bytes, found through its local header as PyTorch finds them."""
    name_at = item.offset + _LOCAL.size
    if name_at > directory.start or data[item.offset : item.offset + 4] != MAGIC:
        raise CheckpointError("is a zip file with a damaged record")
    *_, name_length, extra_length = _LOCAL.unpack_from(data, item.offset)
    start = name_at + name_length + extra_length
    if start + item.size > directory.start or data[name_at : name_at + name_length] != item.name:
        raise CheckpointError("is a zip file with a damaged record")
    return memoryview(data)[start : start + item.size]


def _without_folder(contents: dict[bytes, memoryview]) -> dict[str, memoryview]:
    folder = next(iter(contents), b"").partition(b"/")[0] + b"/"
    if not all(name.startswith(folder) for name in contents):
        raise CheckpointError("is a zip file that PyTorch did not write")
    return {
        name.removeprefix(folder).decode("utf-8", "backslashreplace"): content
        for name, content in contents.items()
    }
