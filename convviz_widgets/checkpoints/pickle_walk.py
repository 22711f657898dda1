"""A pickle, gone through on stand-ins before PyTorch reads it.

PyTorch's ``weights_only`` unpickler keeps foreign code from running, but it still calls what can
fill the memory (``bytearray(10**10)``) and makes storages of whatever size a pickle declares.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO

from convviz_widgets.checkpoints.pickle_calls import (
    Made,
    check_key,
    check_state,
    checked_call,
    checked_global,
    storage_of,
)
from convviz_widgets.errors import CheckpointError

Claim = Callable[[str, int], None]

_LITERALS = frozenset(
    {"BINUNICODE", "SHORT_BINSTRING", "BINFLOAT", "BININT", "BININT1", "BININT2", "LONG1"}
)
_EMPTY: dict[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWFALSE": lambda: False,
    "NEWTRUE": lambda: True,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": partial(Made, "dict"),
}
_DICTIONARIES = ("dict", "collections.OrderedDict", "collections.Counter")


def walk(file: BinaryIO, claim: Claim) -> object:
    """Go through one pickle without making anything, and leave the file behind it.

    Parameters
    ----------
    file
        Positioned at the start of the pickle.
    claim
        Called with the key and the bytes of every storage that the pickle refers to; raises
        CheckpointError when the file does not hold that.

    Returns
    -------
    object
        What the pickle holds: numbers, text, lists and tuples as they are, else stand-ins.

    Raises
    ------
    CheckpointError
        When the pickle asks for anything but tensors and plain data.
    IndexError, KeyError, TypeError, ValueError
        When it is broken.
    """
    machine = _Machine(claim)
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name == "STOP":
            break
        machine.step(opcode.name, argument)
    return machine.stack.pop()


class _Machine:
    """The stack machine of pickle protocol 2, as far as PyTorch's safe unpickler follows it."""

    def __init__(self, claim: Claim) -> None:
        self.stack: list = []
        self._outer: list[list] = []
        self._memo: dict[int, object] = {}
        self._claim = claim

    def step(self, opcode: str, argument: Any) -> None:
        """Do one instruction."""
        if opcode in _LITERALS:
            self.stack.append(argument)
        elif opcode in _EMPTY:
            self.stack.append(_EMPTY[opcode]())
        elif opcode in _STEPS:
            _STEPS[opcode](self, argument)
        else:
            raise CheckpointError(f"has the pickle instruction {opcode}, which is not read")

    def _protocol(self, number: int) -> None:
        if number != 2:
            raise CheckpointError(f"has pickle protocol {number}; torch.save writes 2")

    def _put(self, index: int) -> None:
        self._memo[index] = self.stack[-1]

    def _get(self, index: int) -> None:
        self.stack.append(self._memo[index])

    def _mark(self, _: None) -> None:
        self._outer.append(self.stack)
        self.stack = []

    def _above_mark(self) -> list:
        items, self.stack = self.stack, self._outer.pop()
        return items

    def _tuple(self, _: None) -> None:
        items = self._above_mark()
        self.stack.append(tuple(items))

    def _tuple_of(self, length: int, _: None) -> None:
        items = [self.stack.pop() for _ in range(length)]
        self.stack.append(tuple(reversed(items)))

    def _append(self, _: None) -> None:
        self._extend([self.stack.pop()])

    def _appends(self, _: None) -> None:
        self._extend(self._above_mark())

    def _extend(self, items: list) -> None:
        if type(self.stack[-1]) is not list:
            raise CheckpointError("has a pickle that appends to something else than a list")
        self.stack[-1].extend(items)

    def _set_item(self, _: None) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._update([key, value])

    def _set_items(self, _: None) -> None:
        self._update(self._above_mark())

    def _update(self, keys_and_values: list) -> None:
        target = self.stack[-1]
        if type(target) is not Made or target.by not in _DICTIONARIES:
            raise CheckpointError(
                "has a pickle that sets items of something else than a dictionary"
            )
        keys = [check_key(key) for key in keys_and_values[::2]]
        target.names.update(key for key in keys if isinstance(key, str))

    def _global(self, module_and_name: str) -> None:
        module, _, name = module_and_name.partition(" ")
        self.stack.append(checked_global(module, name))

    def _call(self, _: None) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self.stack.append(checked_call(function, arguments))

    def _build(self, _: None) -> None:
        state = self.stack.pop()
        check_state(self.stack[-1], state)

    def _storage(self, _: None) -> None:
        tag, kind, key, _location, elements, *view = self.stack.pop()
        if tag != "storage" or type(key) is not str or view not in ([], [None]):
            raise CheckpointError("has a pickle that refers to something else than tensor data")
        storage = storage_of(kind, elements)
        self._claim(key, storage.nbytes)
        self.stack.append(storage)


_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _Machine._protocol,
    "BINPUT": _Machine._put,
    "LONG_BINPUT": _Machine._put,
    "BINGET": _Machine._get,
    "LONG_BINGET": _Machine._get,
    "MARK": _Machine._mark,
    "TUPLE": _Machine._tuple,
    "TUPLE1": lambda machine, _: machine._tuple_of(1, _),
    "TUPLE2": lambda machine, _: machine._tuple_of(2, _),
    "TUPLE3": lambda machine, _: machine._tuple_of(3, _),
    "APPEND": _Machine._append,
    "APPENDS": _Machine._appends,
    "SETITEM": _Machine._set_item,
    "SETITEMS": _Machine._set_items,
    "GLOBAL": _Machine._global,
    "REDUCE": _Machine._call,
    "NEWOBJ": _Machine._call,
    "BUILD": _Machine._build,
    "BINPERSID": _Machine._storage,
}
