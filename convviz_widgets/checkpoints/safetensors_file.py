"""Files in the safetensors format: told from others, read, and put together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

import safetensors.torch
import torch
from torch import Tensor

from convviz_widgets.checkpoints.bounds import ReadLimits
from convviz_widgets.errors import CheckpointError, InputError

_LENGTH_BYTES = 8
_ALIGNMENT = 8

_DTYPES = {
    torch.bool: "BOOL",
    torch.uint8: "U8",
    torch.int8: "I8",
    torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e4m3fnuz: "F8_E4M3FNUZ",
    torch.float8_e5m2: "F8_E5M2",
    torch.float8_e5m2fnuz: "F8_E5M2FNUZ",
    torch.uint16: "U16",
    torch.int16: "I16",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.uint32: "U32",
    torch.int32: "I32",
    torch.float32: "F32",
    torch.uint64: "U64",
    torch.int64: "I64",
    torch.float64: "F64",
    torch.complex64: "C64",
}


def is_safetensors(data: bytes) -> bool:
    """Tell whether the bytes begin like a safetensors file: a length, then a JSON object."""
    return data[_LENGTH_BYTES : _LENGTH_BYTES + 1] == b"{"


def load_safetensors(data: bytes, limits: ReadLimits) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file.

    Raises
    ------
    CheckpointError
        When the header or the number of tensors is above the limits, or when shapes, offsets and
        data do not fit each other: the library checks that before it makes a tensor.
    """
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    if length > limits.header_bytes:
        raise CheckpointError(
            f"has a header of {length:,} bytes; at most {limits.header_bytes:,} are read"
        )
    if _LENGTH_BYTES + length > len(data):
        raise CheckpointError("is truncated: it ends within its header")
    header = json.loads(data[_LENGTH_BYTES : _LENGTH_BYTES + length])
    if len(header) > limits.tensors + 1:
        raise CheckpointError(f"has {len(header):,} tensors; at most {limits.tensors:,} are read")
    try:
        return safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"is damaged ({error})") from error


def safetensors_metadata(data: bytes) -> dict[str, str]:
    """Return the texts in the header of a file that `load_safetensors` has read."""
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    return json.loads(data[_LENGTH_BYTES : _LENGTH_BYTES + length]).get("__metadata__", {})


def safetensors_parts(
    tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> Iterator[memoryview]:
    """Return the bytes of a safetensors file in parts: the header, then one tensor after another.

    Raises
    ------
    InputError
        Before the first part, for a tensor that the format cannot hold.
    """
    if not tensors:
        raise InputError("no tensors to write")
    if not all(isinstance(text, str) for text in (*tensors, *metadata, *metadata.values())):
        raise InputError("names of tensors and metadata must be text")
    for name, tensor in tensors.items():
        _check(name, tensor)
    # Wide types first keeps every tensor aligned to its own type, as the format asks.
    names = sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))
    header = _header([(name, tensors[name]) for name in names], metadata)
    return _chain(header, (tensors[name] for name in names))


def _check(name: str, tensor: Tensor) -> None:
    kind = str(tensor.dtype).removeprefix("torch.")
    if tensor.dtype not in _DTYPES or tensor.is_meta or tensor.layout != torch.strided:
        layout = "without data" if tensor.is_meta else str(tensor.layout).removeprefix("torch.")
        raise InputError(f"cannot write {name!r} ({kind}, {layout}): safetensors has no such type")
    if tensor.is_nested or name == "__metadata__":
        raise InputError(f"cannot write {name!r}: safetensors cannot hold it")


def _header(tensors: list[tuple[str, Tensor]], metadata: Mapping[str, str]) -> bytes:
    """Return the file's beginning: the length of a JSON object, and it, padded to 8 bytes."""
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, tensor in tensors:
        start, end = end, end + tensor.numel() * tensor.itemsize
        dtype, shape = _DTYPES[tensor.dtype], list(tensor.shape)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text


def _chain(header: bytes, tensors: Iterable[Tensor]) -> Iterator[memoryview]:
    yield memoryview(header)
    yield from map(tensor_bytes, tensors)


def tensor_bytes(tensor: Tensor) -> memoryview:
    """Return the bytes of a tensor's values, row by row."""
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    return plain.reshape(-1).view(torch.uint8).numpy().data
