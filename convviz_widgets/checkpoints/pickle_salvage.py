"""The tensors of a pickle that holds other things too: nothing foreign is imported or made.

Training scripts save their settings beside the weights: an ``argparse.Namespace``, paths, numpy
numbers. PyTorch's safe unpickler then refuses the whole file. Here such objects become inert
placeholders, whatever the pickle does with them is left out, and the tensors are made from the
file's bytes.

PyTorch could be told to put a placeholder for each foreign name (``safe_globals``), and would read
such a file too, but not all of them: it sets items of its own dictionaries alone, so not of a
class that extends ``dict``; it refuses names from ``os`` whatever they stand for; and it calls some
builtins itself, so that one ``bytearray(10**11)`` takes the memory. Its list of names also holds
for every thread of the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from convviz_widgets.checkpoints.foreign import Foreign, ForeignError
from convviz_widgets.checkpoints.pickle_calls import (
    Global,
    Storage,
    check_view,
    checked_global,
    is_plain_key,
    last_name,
    storage_of,
)
from convviz_widgets.errors import CheckpointError

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
    """Makes plain tensors and dictionaries, and `Foreign` of what it does not know.

    Parameters
    ----------
    records
        Bytes of each storage, by its key in the pickle.
    limit
        How many tensors there may be.
    """

    def __init__(self, records: Mapping[str, memoryview], limit: int) -> None:
        self._records = records
        self._left = limit
        self._memory: dict[str, bytearray] = {}

    def dictionary(self) -> dict:
        """Return a dictionary."""
        return {}

    def found(self, module: str, name: str) -> Global | Foreign:
        """Return a name that we know, or a placeholder."""
        try:
            return checked_global(module, name)
        except ForeignError as error:
            return Foreign(error.name)

    def called(self, function: object, arguments: object) -> object:
        """Return a tensor or a dictionary; None for what else PyTorch makes, which is not needed.

        Where a placeholder takes part, a placeholder comes of it.
        """
        if isinstance(function, Foreign):
            return function
        if not isinstance(function, Global) or not isinstance(arguments, tuple):
            raise CheckpointError("has a pickle that calls something else than a function")
        if function.name == _TENSOR:
            return self._tensor(arguments)
        if function.name in _PARAMETERS:
            return arguments[0]
        if function.name == _ORDERED:
            return self._ordered(arguments)
        return next((given for given in arguments if isinstance(given, Foreign)), None)

    def storage(self, kind: object, key: str, elements: object) -> _Stored:
        """Return where a tensor's values are, provided that they are there."""
        size = storage_of(kind, elements)
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
        """Give nothing any attributes."""

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
