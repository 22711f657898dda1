"""Which calls in a pickle are let through to PyTorch, and with which arguments."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import torch

from convviz_widgets.checkpoints.foreign import ForeignError
from convviz_widgets.errors import CheckpointError

_TENSORS = {
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3",
    "torch._utils._rebuild_qtensor",
}
_DTYPE_OF_V3 = 6
_SMALL = {
    "torch.Size",
    "torch.device",
    "torch.serialization._get_layout",
    "torch.nn.parameter.Parameter",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_sparse_tensor",
    "torch._utils._rebuild_meta_tensor_no_storage",
    "builtins.complex",
}
_TENSOR_WITH_ATTRIBUTES = "torch._tensor._rebuild_from_type_v2"
_PARAMETER_WITH_ATTRIBUTES = "torch._utils._rebuild_parameter_with_state"
_ENCODE = "_codecs.encode"
_CONTAINERS = {"collections.OrderedDict", "collections.Counter", "builtins.set"}
_STORAGES = {
    **dict.fromkeys(("Byte", "Char", "Bool", "QInt8", "QUInt8", "QUInt4x2", "QUInt2x4"), 1),
    **dict.fromkeys(("Half", "BFloat16", "Short"), 2),
    **dict.fromkeys(("Float", "Int", "QInt32"), 4),
    **dict.fromkeys(("Double", "Long", "ComplexFloat"), 8),
    "ComplexDouble": 16,
    "Untyped": 1,
}  # bytes of an element; the classes themselves warn when they are asked
_CONSTANTS = (torch.dtype, torch.layout, torch.qscheme)
_CALLS = (
    _TENSORS | _SMALL | _CONTAINERS | {_ENCODE, _TENSOR_WITH_ATTRIBUTES, _PARAMETER_WITH_ATTRIBUTES}
)
_SHADOWED = {*dir(OrderedDict), *dir(torch.nn.Parameter)}


@dataclass(frozen=True)
class Global:
    """A name that stands for an object of this Python: ``torch.FloatStorage``."""

    name: str


@dataclass(frozen=True)
class Storage:
    """The memory of a tensor: its size and that of one element, in bytes."""

    nbytes: int
    itemsize: int


@dataclass
class Made:
    """What a call returned, or a dictionary; ``names`` are the text keys put into it."""

    by: str
    names: set[str] = field(default_factory=set)


def checked_global(module: str, name: str) -> Global:
    """Return the stand-in of a name, or raise ForeignError when it is none that we know."""
    full = f"{'builtins' if module == '__builtin__' else module}.{name}"
    if full in _CALLS or full in _trusted() or _is_value(module, name):
        return Global(full)
    raise ForeignError(full)


def checked_call(function: object, arguments: object) -> Made:
    """Return the stand-in of a call's result, or raise CheckpointError."""
    if type(function) is not Global or type(arguments) is not tuple:
        raise CheckpointError("has a pickle that calls something else than a function")
    name = function.name
    if name in _TENSORS:
        check_view(name, arguments)
    elif name == _TENSOR_WITH_ATTRIBUTES:
        function, _, inner, state = arguments
        checked_call(function, inner)
        _check_attributes(state)
    elif name == _PARAMETER_WITH_ATTRIBUTES:
        _check_attributes(arguments[3])
    elif name == _ENCODE:
        if arguments[1:] != ("latin1",):
            raise CheckpointError("has a pickle with bytes in an odd encoding")
    elif name in _CONTAINERS:
        _check_content(arguments)
    elif name not in _SMALL and name not in _trusted():
        raise CheckpointError(f"has a pickle that calls {name[:80]}; not read")
    return Made(name)


def check_state(target: object, state: object) -> None:
    """Raise CheckpointError unless the state may become the attributes of the target."""
    made = target.by if type(target) is Made else ""
    if made in _trusted():
        return
    if made != "collections.OrderedDict":
        raise CheckpointError("has a pickle that changes something else than a dictionary")
    _check_attributes(state)


def _check_attributes(state: object) -> None:
    """Raise CheckpointError when attributes would stand in for methods that we call later."""
    for part in state if type(state) is tuple else (state,):
        if part is not None and (type(part) is not Made or part.names & _SHADOWED):
            raise CheckpointError("has a pickle that sets attributes which are methods")


def is_plain_key(key: object) -> bool:
    """Tell whether this may be a key of a dictionary: hashing it is cheap.

    Hashing a tuple that is nested a hundred thousand deep overflows the C stack, and a dictionary
    whose long integers all collide takes hours to fill.
    """
    plain = key is None or type(key) in (str, bytes, bool, float)
    return plain or (type(key) is int and abs(key) < 2**72)


def check_key(key: object) -> object:
    """Return what is a key of a dictionary; raise CheckpointError when it is no plain one."""
    if not is_plain_key(key):
        raise CheckpointError("has a dictionary with keys that are neither text nor numbers")
    return key


def storage_of(kind: object, elements: object) -> Storage:
    """Return a storage by its class, such as ``torch.FloatStorage``, and its number of elements."""
    itemsize = _STORAGES.get(last_name(kind).removesuffix("Storage"))
    if itemsize is None or type(elements) is not int or elements < 0:
        raise CheckpointError("has a storage of unknown type or size")
    return Storage(elements * itemsize, itemsize)


def last_name(thing: object) -> str:
    """Return the last part of a stand-in's name, empty for anything else."""
    return thing.name.rpartition(".")[2] if isinstance(thing, Global) else ""


def check_view(name: str, arguments: tuple) -> None:
    """Raise CheckpointError when a tensor would reach beyond its storage.

    PyTorch would then enlarge the storage, to whatever size the pickle says.
    """
    storage, offset, size, stride = arguments[:4]
    if not isinstance(storage, Storage):
        raise CheckpointError("has a tensor without a storage")
    itemsize = storage.itemsize
    if name.endswith("_v3"):
        itemsize = getattr(torch, last_name(arguments[_DTYPE_OF_V3])).itemsize
    numbers = (offset, *size, *stride)
    if len(size) != len(stride) or not all(type(n) is int and n >= 0 for n in numbers):
        raise CheckpointError("has a tensor with an odd shape")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if 0 not in size and (last + 1) * itemsize > storage.nbytes:
        raise CheckpointError("has a tensor that is larger than the data stored for it")


def _check_content(arguments: tuple) -> None:
    for argument in arguments:
        if type(argument) is list:
            for item in argument:
                check_key(item[0] if type(item) in (list, tuple) and item else item)
        elif not (type(argument) is Made and argument.by == "dict"):
            raise CheckpointError("has a dictionary that is made from something odd")


def _is_value(module: str, name: str) -> bool:
    if module == "torch":
        value = getattr(torch, name, None)
        return name == "Tensor" or _is_storage(name) or isinstance(value, _CONSTANTS)
    return module in ("torch.cuda", "torch.storage") and _is_storage(name)


def _is_storage(name: str) -> bool:
    return name.endswith("Storage") and name.removesuffix("Storage") in _STORAGES


def _trusted() -> set[str]:
    """Names of what the user has declared safe with ``torch.serialization.add_safe_globals``."""
    declared = torch.serialization.get_safe_globals()
    return {
        item[1] if isinstance(item, tuple) else f"{item.__module__}.{item.__qualname__}"
        for item in declared
    }
