"""Files written by ``torch.save``: today's zip layout, and the one before PyTorch 1.6."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from convviz_widgets.checkpoints.bounds import ReadLimits, UnknownObject, UnknownObjectError
from convviz_widgets.checkpoints.pickle_bounds import (
    Checked,
    Global,
    Storage,
    check_view,
    checked_global,
    declared_storage,
    is_plain_key,
    last_name,
    walk,
)
from convviz_widgets.errors import CheckpointError

ZIP_MAGIC = b"PK\x03\x04"
LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the pickle of 0x1950a86a20f9469cfc6c
_DATA = "data/"


def load_zip(data: bytes, limits: ReadLimits) -> object:
    """Return what ``torch.save`` has put into a zip file.

    What is neither tensor nor plain data comes back as `UnknownObject`.

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
    except UnknownObjectError as foreign:
        return _salvaged(records, limits, foreign)
    return _load(data)


_COUNT_BYTES = 8  # in a legacy file the number of elements stands before each storage


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


def _salvaged(
    records: dict[str, memoryview], limits: ReadLimits, foreign: UnknownObjectError
) -> object:
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


# What a pickle of tensors names, and what comes of it.
_TENSOR = "torch._utils._rebuild_tensor_v2"
_PARAMETERS = ("torch._utils._rebuild_parameter", "torch.nn.parameter.Parameter")
_ORDERED = "collections.OrderedDict"
_DTYPES = {
    "Bool": torch.bool,
    "Byte": torch.uint8,
    "Char": torch.int8,
    "Short": torch.int16,
    "Int": torch.int32,
    "Long": torch.int64,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Float": torch.float32,
    "Double": torch.float64,
    "ComplexFloat": torch.complex64,
    "ComplexDouble": torch.complex128,
}


@dataclass(frozen=True)
class _Stored(Storage):
    key: str
    dtype: torch.dtype | None


class Salvaged:
    """Makes plain tensors and dictionaries, and `UnknownObject` of what it does not know.

    Parameters
    ----------
    records : bytes of each storage, by its key in the pickle.
    limit : how many tensors there may be.
    """

    def __init__(self, records: Mapping[str, memoryview], limit: int) -> None:
        self._records = records
        self._left = limit
        self._memory: dict[str, bytearray] = {}

    def dictionary(self) -> dict:
        """Return a dictionary."""
        return {}

    def found(self, module: str, name: str) -> Global | UnknownObject:
        """Return a name that we know, or a placeholder."""
        try:
            return checked_global(module, name)
        except UnknownObjectError as error:
            return UnknownObject(error.name)

    def called(self, function: object, arguments: object) -> object:
        """Return a tensor or a dictionary; None for what else PyTorch makes, which is not needed.

        A call with a placeholder gives a placeholder.
        """
        if isinstance(function, UnknownObject):
            return function
        if not isinstance(function, Global) or not isinstance(arguments, tuple):
            raise CheckpointError("has a pickle that calls something else than a function")
        if function.name == _TENSOR:
            return self._tensor(arguments)
        if function.name in _PARAMETERS:
            return arguments[0]
        if function.name == _ORDERED:
            return self._ordered(arguments)
        return next((given for given in arguments if isinstance(given, UnknownObject)), None)

    def storage(self, kind: object, key: str, elements: object) -> _Stored:
        """Return where a tensor's values are, provided that they are there."""
        size = declared_storage(kind, elements)
        if size.nbytes > len(self._records.get(key, b"")):
            raise CheckpointError(f"lacks data for storage {key[:20]!r}")
        dtype = _DTYPES.get(last_name(kind).removesuffix("Storage"))
        return _Stored(size.nbytes, size.itemsize, key, dtype)

    def extend(self, target: object, items: list) -> None:
        """Extend a list; what else can be extended is foreign."""
        if isinstance(target, list):
            target.extend(items)

    def update(self, target: object, keys: list, values: list) -> None:
        """Put into a dictionary what has a plain key."""
        if isinstance(target, dict):
            target.update(_plain(zip(keys, values, strict=True)))

    def build(self, target: object, state: object) -> None:
        """Set no attribute: nothing that is salvaged needs any."""

    def _tensor(self, arguments: tuple) -> Tensor | None:
        """Return a tensor; None for one that is conjugated, or of a type that few have."""
        check_view(_TENSOR, arguments)
        self._left -= 1
        if self._left < 0:
            raise CheckpointError("has too many tensors")
        storage, offset, size, stride, _, _, *metadata = arguments
        if storage.dtype is None or any(metadata):
            return None
        return self._values(storage, storage.dtype).as_strided(size, stride, offset)

    def _values(self, storage: _Stored, dtype: torch.dtype) -> Tensor:
        if not storage.nbytes:
            return torch.empty(0, dtype=dtype)
        if storage.key not in self._memory:  # a copy: torch writes into what it is given
            self._memory[storage.key] = bytearray(self._records[storage.key])
        count = storage.nbytes // storage.itemsize
        return torch.frombuffer(self._memory[storage.key], dtype=dtype, count=count)

    def _ordered(self, arguments: tuple) -> dict:
        pairs = arguments[0] if arguments else []
        if isinstance(pairs, dict):
            return dict(pairs)
        return _plain(pair for pair in pairs if len(pair) == 2)


def _plain(pairs: Iterable[Sequence]) -> dict:
    """Return the items whose keys are text or numbers; hashing others may take for ever."""
    return {key: value for key, value in pairs if is_plain_key(key)}


# The parts of a zip file, see APPNOTE.TXT, section 4.3 (PKWARE).
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_ENCRYPTED = 1  # bit of a record's flags
_STORED = 0  # method of a record that is not compressed
_IN_EXTRA = 0xFFFFFFFF  # stands for a number that the zip64 field holds
_ZIP_64 = 1  # kind of that field
_DAMAGED = "is a zip file with a damaged directory"


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
            raise CheckpointError(_DAMAGED)
        *_, count, size, start = _END_64.unpack_from(data, end)
    if start + size != end or count * _CENTRAL.size > size:
        raise CheckpointError(_DAMAGED)
    return _Directory(start, end, count)


def _listed(data: bytes, directory: _Directory) -> Iterator[_Listed]:
    position = directory.start
    for _ in range(directory.count):
        if (
            position + _CENTRAL.size > directory.end
            or data[position : position + 4] != b"PK\x01\x02"
        ):
            raise CheckpointError(_DAMAGED)
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
            raise CheckpointError(_DAMAGED)
        yield _Listed(data[name_at:extra_at], offset, size)
    if position != directory.end:
        raise CheckpointError(_DAMAGED)


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
    if name_at > directory.start or data[item.offset : item.offset + 4] != ZIP_MAGIC:
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
