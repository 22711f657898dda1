"""The Tape: follows one forward pass, told by permanent hooks and as a function mode."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from convviz_widgets.instrument.activations import ACTIVATION_FUNCTIONS
from convviz_widgets.instrument.call_names import CallNames
from convviz_widgets.instrument.randomness import DROPOUTS, RANDOM, draws, refuse

Origin = tuple[str, str | None]
"""Where a layer comes from: the module's name, and the op of a functional activation."""

_WATCHED = frozenset(ACTIVATION_FUNCTIONS) | DROPOUTS | frozenset(RANDOM)
_unwatched = torch._C.DisableTorchFunction  # in a hook, so that our own calls skip the mode


class Tape(TorchFunctionMode):
    """One forward pass: knows which module runs, names every call, hands it to its subclass.

    Dropout is the identity and other random functions raise, so a pass draws no random number.

    Parameters
    ----------
    modules : the qualified names of all modules.

    Attributes
    ----------
    origins : layer → where it comes from.
    may_draw : set by an owner who gives the generators back, so that random functions run.
    """

    may_draw = False

    def __init__(self, modules: Collection[str]) -> None:
        super().__init__()
        self._names = CallNames(modules)
        self._running: list[tuple[str, str | None]] = []  # module, its layer if it hides its op
        self.origins: dict[str, Origin] = {}

    # For subclasses.

    def output(self, layer: str, output: Any) -> Any:
        """Write down what a layer returned; return what the model goes on with."""
        return output

    def input(self, layer: str, tensor: Any) -> None:
        """Write down what an activation is given."""

    def container(self, layer: str, output: Any) -> Any:
        """Like `output`, for a module whose children have written theirs down already."""
        return output

    # For the hooks of `Wiring`: one `enter` and one `leave` for each role of a module.

    def enter(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note that a module runs; functional activations are named after it."""
        self._running.append((name, None))

    def enter_hiding(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note that a module runs whose functional activations are no layers."""
        self._running.append((name, name))

    def enter_activation(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note that an activation module runs, and its input; it hides the op inside it."""
        layer = self._name_module(name)
        self._running.append((name, layer))
        with _unwatched():
            self.input(layer, _first_argument(args, kwargs))

    def leave(self, name: str, output: Any) -> Any:
        """Note that a module is done."""
        while self._running and self._running.pop()[0] != name:
            pass  # a module that raised, and whose error the model caught, never left
        return output

    def leave_activation(self, name: str, output: Any) -> Any:
        """Note the output of an activation module."""
        layer = self._running[-1][1] or name
        self.leave(name, output)
        with _unwatched():
            return self.output(layer, output)

    def leave_leaf(self, name: str, output: Any) -> Any:
        """Note the output of a module without children."""
        self.leave(name, output)
        return self.leave_unentered(name, output)

    def leave_unentered(self, name: str, output: Any) -> Any:
        """Note the output of a leaf that calls no activation function, so was never entered."""
        layer = self._name_module(name)
        with _unwatched():
            return self.output(layer, output)

    def leave_container(self, name: str, output: Any) -> Any:
        """Note the output of a module with children."""
        self.leave(name, output)
        layer = self._name_module(name)
        with _unwatched():
            return self.container(layer, output)

    def _name_module(self, name: str) -> str:
        layer = self._names.module(name)
        self.origins[layer] = (name, None)
        return layer

    # For torch, which switches the mode off meanwhile.

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func not in _WATCHED:
            return func(*args, **kwargs) if kwargs else func(*args)
        return self._watched(func, args, kwargs or {})

    def _watched(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if func in DROPOUTS:
            return _first_argument(args, kwargs)
        if func in RANDOM and not self.may_draw and draws(func, args, kwargs):
            refuse(func)
        enclosing, hidden_in = self._running[-1] if self._running else ("", None)
        if hidden_in is not None or func not in ACTIVATION_FUNCTIONS:
            return func(*args, **kwargs)
        op = ACTIVATION_FUNCTIONS[func]
        layer = self._names.function(enclosing, op)
        self.origins[layer] = (enclosing, op)
        self.input(layer, _first_argument(args, kwargs))
        return self.output(layer, func(*args, **kwargs))


def _first_argument(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[0] if args else next(iter(kwargs.values()), None)
