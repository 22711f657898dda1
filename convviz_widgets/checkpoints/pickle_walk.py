"""The stack machine of a pickle, run on stand-ins: nothing that it names is imported or called."""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol

from convviz_widgets.errors import CheckpointError

_LITERALS = frozenset(
    {"BINUNICODE", "SHORT_BINSTRING", "BINFLOAT", "BININT", "BININT1", "BININT2", "LONG1"}
)
_EMPTY: dict[str, Callable[[], object]] = {
    "NONE": lambda: None,
    "NEWFALSE": lambda: False,
    "NEWTRUE": lambda: True,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
}


class Rules(Protocol):
    """What stands in for everything that a pickle asks for, or CheckpointError."""

    def dictionary(self) -> object:
        """Return an empty dictionary."""
        ...

    def found(self, module: str, name: str) -> object:
        """Return what a name stands for."""
        ...

    def called(self, function: object, arguments: object) -> object:
        """Return what a call gives."""
        ...

    def storage(self, kind: object, key: str, elements: object) -> object:
        """Return the memory of tensors, by its class, its key in the file and its size."""
        ...

    def extend(self, target: object, items: list) -> None:
        """Put items behind those of a list."""
        ...

    def update(self, target: object, keys: list, values: list) -> None:
        """Put items into a dictionary."""
        ...

    def build(self, target: object, state: object) -> None:
        """Give an object its attributes."""
        ...


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


class _Machine:
    """The stack machine of pickle protocol 2, as far as PyTorch's safe unpickler follows it."""

    def __init__(self, rules: Rules) -> None:
        self.stack: list = []
        self._outer: list[list] = []
        self._memo: dict[int, object] = {}
        self._rules = rules

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

    def _dictionary(self, _: None) -> None:
        self.stack.append(self._rules.dictionary())

    def _tuple(self, _: None) -> None:
        items = self._above_mark()
        self.stack.append(tuple(items))

    def _tuple_of(self, length: int, _: None) -> None:
        items = [self.stack.pop() for _ in range(length)]
        self.stack.append(tuple(reversed(items)))

    def _append(self, _: None) -> None:
        item = self.stack.pop()
        self._rules.extend(self.stack[-1], [item])

    def _appends(self, _: None) -> None:
        items = self._above_mark()
        self._rules.extend(self.stack[-1], items)

    def _set_item(self, _: None) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._rules.update(self.stack[-1], [key], [value])

    def _set_items(self, _: None) -> None:
        items = self._above_mark()
        self._rules.update(self.stack[-1], items[::2], items[1::2])

    def _global(self, module_and_name: str) -> None:
        module, _, name = module_and_name.partition(" ")
        self.stack.append(self._rules.found(module, name))

    def _call(self, _: None) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self.stack.append(self._rules.called(function, arguments))

    def _build(self, _: None) -> None:
        state = self.stack.pop()
        self._rules.build(self.stack[-1], state)

    def _storage(self, _: None) -> None:
        tag, kind, key, _location, elements, *view = self.stack.pop()
        if tag != "storage" or type(key) is not str or view not in ([], [None]):
            raise CheckpointError("has a pickle that refers to something else than tensor data")
        self.stack.append(self._rules.storage(kind, key, elements))


_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _Machine._protocol,
    "BINPUT": _Machine._put,
    "LONG_BINPUT": _Machine._put,
    "BINGET": _Machine._get,
    "LONG_BINGET": _Machine._get,
    "MARK": _Machine._mark,
    "EMPTY_DICT": _Machine._dictionary,
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
