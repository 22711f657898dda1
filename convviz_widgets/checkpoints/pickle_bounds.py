"""What a pickle asks for, found out without importing or calling anything that it names.

`walk` follows the stack machine of a pickle on stand-ins; `Checked` refuses what is no tensor or
plain data, or does not fit the data that the file holds.
"""

from __future__ import annotations

import pickletools
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol

import torch

from convviz_widgets.checkpoints.bounds import UnknownObjectError
from convviz_widgets.errors import CheckpointError


class Rules(Protocol):
    """What stands in for each thing that a pickle asks for; CheckpointError for anything else."""

    def dictionary(self) -> object:
        """Return an empty dictionary."""

    def found(self, module: str, name: str) -> object:
        """Return what a name stands for."""

    def called(self, function: object, arguments: object) -> object:
        """Return what a call gives."""

    def storage(self, kind: object, key: str, elements: object) -> object:
        """Return the memory of tensors, by its class, its key in the file and its size."""

    def extend(self, target: object, items: list) -> None:
        """Append items to a list."""

    def update(self, target: object, keys: list, values: list) -> None:
        """Put items into a dictionary."""

    def build(self, target: object, state: object) -> None:
        """Give an object its attributes."""


def walk(file: BinaryIO, rules: Rules) -> object:
    """Go through one pickle, and leave the file behind it.

    Returns
    -------
    object
        What the pickle holds: numbers, text, lists and tuples as they are, else what the rules say.

    Raises
    ------
    CheckpointError
        For what the rules refuse, or an instruction that ``torch.save`` does not write.
    IndexError, KeyError, TypeError, ValueError
        When the pickle is broken.
    """
    machine = _Machine(rules)
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name == "STOP":
            break
        machine.step(opcode.name, argument)
    return machine.stack.pop()


class _Stack:
    """The stack of a pickle, with the marks on it and the memo beside it."""

    def __init__(self) -> None:
        self._items: list = []
        self._outer: list[list] = []
        self._memo: dict[int, object] = {}

    @property
    def top(self) -> Any:
        """What was pushed last."""
        return self._items[-1]

    def push(self, item: object) -> None:
        self._items.append(item)

    def pop(self) -> Any:
        return self._items.pop()

    def mark(self) -> None:
        self._outer.append(self._items)
        self._items = []

    def pop_to_mark(self) -> list:
        """Return what was pushed since the last mark, and take both off."""
        items, self._items = self._items, self._outer.pop()
        return items

    def memorise(self, index: int) -> None:
        self._memo[index] = self.top

    def recall(self, index: int) -> None:
        self.push(self._memo[index])


class _Machine:
    """The stack machine of pickle protocol 2, as far as PyTorch's safe unpickler follows it."""

    def __init__(self, rules: Rules) -> None:
        self.stack = _Stack()
        self._rules = rules

    def step(self, opcode: str, argument: Any) -> None:
        """Do one instruction."""
        if opcode in _LITERALS:
            self.stack.push(argument)
        elif opcode in _EMPTY:
            self.stack.push(_EMPTY[opcode]())
        elif opcode in _STEPS:
            _STEPS[opcode](self, argument)
        else:
            raise CheckpointError(f"has the pickle instruction {opcode}, which is not read")

    def _protocol(self, number: int) -> None:
        if number != 2:
            raise CheckpointError(f"has pickle protocol {number}; torch.save writes 2")

    def _dictionary(self, _: None) -> None:
        self.stack.push(self._rules.dictionary())

    def _tuple(self, _: None) -> None:
        self.stack.push(tuple(self.stack.pop_to_mark()))

    def _tuple_of(self, length: int) -> None:
        items = [self.stack.pop() for _ in range(length)]
        self.stack.push(tuple(reversed(items)))

    def _append(self, _: None) -> None:
        item = self.stack.pop()
        self._rules.extend(self.stack.top, [item])

    def _appends(self, _: None) -> None:
        items = self.stack.pop_to_mark()
        self._rules.extend(self.stack.top, items)

    def _set_item(self, _: None) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._rules.update(self.stack.top, [key], [value])

    def _set_items(self, _: None) -> None:
        items = self.stack.pop_to_mark()
        self._rules.update(self.stack.top, items[::2], items[1::2])

    def _global(self, module_and_name: str) -> None:
        module, _, name = module_and_name.partition(" ")
        self.stack.push(self._rules.found(module, name))

    def _call(self, _: None) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self.stack.push(self._rules.called(function, arguments))

    def _build(self, _: None) -> None:
        state = self.stack.pop()
        self._rules.build(self.stack.top, state)

    def _storage(self, _: None) -> None:
        tag, kind, key, _location, elements, *view = self.stack.pop()
        if tag != "storage" or type(key) is not str or view not in ([], [None]):
            raise CheckpointError("has a pickle that refers to something else than tensor data")
        self.stack.push(self._rules.storage(kind, key, elements))


# Instructions that push their argument as it is.
_LITERALS = frozenset(
    {"BINUNICODE", "SHORT_BINSTRING", "BINFLOAT", "BININT", "BININT1", "BININT2", "LONG1"}
)

# Instructions that push something new.
_EMPTY: dict[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWFALSE": lambda: False,
    "NEWTRUE": lambda: True,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
}


_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _Machine._protocol,
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), lambda machine, at: machine.stack.memorise(at)),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), lambda machine, at: machine.stack.recall(at)),
    "MARK": lambda machine, _: machine.stack.mark(),
    "EMPTY_DICT": _Machine._dictionary,
    "TUPLE": _Machine._tuple,
    "TUPLE1": lambda machine, _: machine._tuple_of(1),
    "TUPLE2": lambda machine, _: machine._tuple_of(2),
    "TUPLE3": lambda machine, _: machine._tuple_of(3),
    "APPEND": _Machine._append,
    "APPENDS": _Machine._appends,
    "SETITEM": _Machine._set_item,
    "SETITEMS": _Machine._set_items,
    "GLOBAL": _Machine._global,
    **dict.fromkeys(("REDUCE", "NEWOBJ"), _Machine._call),
    "BUILD": _Machine._build,
    "BINPERSID": _Machine._storage,
}


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
class StandIn:
    """What a call returned, or a dictionary; ``names`` are the text keys put into it."""

    by: str
    names: set[str] = field(default_factory=set)


Claim = Callable[[str, int], None]

_DICTIONARIES = ("dict", "collections.OrderedDict", "collections.Counter")


class Checked:
    """Refuses whatever is no tensor or plain data, and keeps no content of dictionaries.

    Parameters
    ----------
    claim : called with the key and the bytes of every storage that the pickle refers to; raises
        CheckpointError when the file does not hold that.
    """

    def __init__(self, claim: Claim) -> None:
        self._claim = claim

    def dictionary(self) -> StandIn:
        """Return a stand-in that knows its keys."""
        return StandIn("dict")

    def found(self, module: str, name: str) -> object:
        """Return the stand-in of a name that we know."""
        return checked_global(module, name)

    def called(self, function: object, arguments: object) -> StandIn:
        """Return the stand-in of a tensor, or of what belongs to one."""
        return checked_call(function, arguments)

    def storage(self, kind: object, key: str, elements: object) -> Storage:
        """Claim the memory, and return its size."""
        storage = declared_storage(kind, elements)
        self._claim(key, storage.nbytes)
        return storage

    def extend(self, target: object, items: list) -> None:
        """Extend lists alone."""
        if type(target) is not list:
            raise CheckpointError("has a pickle that appends to something else than a list")
        target.extend(items)

    def update(self, target: object, keys: list, values: list) -> None:
        """Note the keys of dictionaries."""
        if type(target) is not StandIn or target.by not in _DICTIONARIES:
            raise CheckpointError(
                "has a pickle that sets items of something else than a dictionary"
            )
        target.names.update(key for key in map(check_key, keys) if isinstance(key, str))

    def build(self, target: object, state: object) -> None:
        """Allow attributes that are no methods."""
        made = target.by if type(target) is StandIn else ""
        if made in _trusted():
            return
        if made != "collections.OrderedDict":
            raise CheckpointError("has a pickle that changes something else than a dictionary")
        _check_attributes(state)


# Functions and classes that torch.save names, by what has to be checked when they are called.
_TENSORS = {
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3",
    "torch._utils._rebuild_qtensor",
}  # the view on its storage
_SMALL = {
    "torch.Size",
    "torch.device",
    "torch.serialization._get_layout",
    "torch.nn.parameter.Parameter",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_sparse_tensor",
    "torch._utils._rebuild_meta_tensor_no_storage",
    "builtins.complex",
}  # nothing
_TENSOR_WITH_ATTRIBUTES = "torch._tensor._rebuild_from_type_v2"
_PARAMETER_WITH_ATTRIBUTES = "torch._utils._rebuild_parameter_with_state"
_ENCODE = "_codecs.encode"  # the encoding
_CONTAINERS = {"collections.OrderedDict", "collections.Counter", "builtins.set"}  # the keys
_CALLS = (
    _TENSORS | _SMALL | _CONTAINERS | {_ENCODE, _TENSOR_WITH_ATTRIBUTES, _PARAMETER_WITH_ATTRIBUTES}
)

_STORAGES = {
    **dict.fromkeys(("Byte", "Char", "Bool", "QInt8", "QUInt8", "QUInt4x2", "QUInt2x4"), 1),
    **dict.fromkeys(("Half", "BFloat16", "Short"), 2),
    **dict.fromkeys(("Float", "Int", "QInt32"), 4),
    **dict.fromkeys(("Double", "Long", "ComplexFloat"), 8),
    "ComplexDouble": 16,
    "Untyped": 1,
}  # bytes of an element; the classes themselves warn when they are asked

_CONSTANTS = (torch.dtype, torch.layout, torch.qscheme)


def checked_global(module: str, name: str) -> Global:
    """Return the stand-in of a name, or raise UnknownObjectError when it is none that we know."""
    full = f"{'builtins' if module == '__builtin__' else module}.{name}"
    if full in _CALLS or full in _trusted() or _is_value(module, name):
        return Global(full)
    raise UnknownObjectError(full)


def checked_call(function: object, arguments: object) -> StandIn:
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
    return StandIn(name)


# Attributes of these names would stand in for methods.
_SHADOWED = {*dir(OrderedDict), *dir(torch.nn.Parameter)}


def _check_attributes(state: object) -> None:
    """Raise CheckpointError when attributes would stand in for methods that we call later."""
    for part in state if type(state) is tuple else (state,):
        if part is not None and (type(part) is not StandIn or part.names & _SHADOWED):
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


def declared_storage(kind: object, elements: object) -> Storage:
    """Return a storage by its class, such as ``torch.FloatStorage``, and its number of elements."""
    itemsize = _STORAGES.get(last_name(kind).removesuffix("Storage"))
    if itemsize is None or type(elements) is not int or elements < 0:
        raise CheckpointError("has a storage of unknown type or size")
    return Storage(elements * itemsize, itemsize)


def last_name(thing: object) -> str:
    """Return the last part of a stand-in's name, empty for anything else."""
    return thing.name.rpartition(".")[2] if isinstance(thing, Global) else ""


_DTYPE_OF_V3 = 6  # place of the dtype among the arguments of _rebuild_tensor_v3


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
        elif not (type(argument) is StandIn and argument.by == "dict"):
            raise CheckpointError("has a dictionary that is made from something odd")


def _is_value(module: str, name: str) -> bool:
    if module == "torch":
        value = getattr(torch, name, None)
        return name == "Tensor" or _is_storage(name) or isinstance(value, _CONSTANTS)
    return module in ("torch.cuda", "torch.storage") and _is_storage(name)


def _is_storage(name: str) -> bool:
    return name.endswith("Storage") and name.removesuffix("Storage") in _STORAGES


def _trusted() -> set[str]:
    """Return the names that the user has declared safe by ``add_safe_globals`` of torch."""
    declared = torch.serialization.get_safe_globals()
    return {
        item[1] if isinstance(item, tuple) else f"{item.__module__}.{item.__qualname__}"
        for item in declared
    }
