"""The tape of a pass that follows what every tensor can see of the image."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from convviz_widgets.instrument.receptive.axis import Axis
from convviz_widgets.instrument.receptive.field import Field, broadcast, concatenated, hull, whole
from convviz_widgets.instrument.receptive.rules import FUNCTIONS, RULES, Rule
from convviz_widgets.instrument.recording import tensors_in
from convviz_widgets.instrument.tape import Tape

_aten = torch.ops.aten
_Place = tuple[int, Any, tuple[int, ...], tuple[int, ...]]


class FieldTape(Tape):
    """Writes down the field of every layer's output; None where it does not see the image.

    Fields belong to memory, not to objects: torch may hand out a view under a new one.

    Parameters
    ----------
    modules : the qualified names of all modules.
    containers : the layers that are containers.
    images : what the model is given, (1, C, ...).
    """

    def __init__(
        self, modules: Collection[str], *, containers: Container[str], images: Tensor
    ) -> None:
        super().__init__(modules)
        self._containers = containers
        self._following = _Following(images)
        self.fields: dict[str, Field | None] = {}

    def output(self, layer: str, output: Any) -> Any:
        """Write down the field of a layer's output."""
        tensor = next(iter(tensors_in(output)), None)
        if tensor is not None:
            self.fields[layer] = self._following.field_of(tensor)
        return output

    def container(self, layer: str, output: Any) -> Any:
        """Write down the field of a container that is a layer."""
        return self.output(layer, output) if layer in self._containers else output

    def __enter__(self) -> FieldTape:
        super().__enter__()
        self._following.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._following.__exit__(*error)
        super().__exit__(*error)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = super().__torch_function__(func, types, args, kwargs)
        if func in FUNCTIONS:
            self._following.apply(FUNCTIONS[func], result, (*args, *(kwargs or {}).values()))
        return result


class _Following(TorchDispatchMode):
    """Keeps the field of every tensor that an operation returns or writes into."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self._alive: list[Tensor] = []  # so that no memory is used twice in this pass
        self._fields: dict[_Place, Field] = {}
        self._memories: dict[int, Field] = {}
        pixels = (Axis.of_pixels(dim, images.shape[dim]) for dim in range(2, images.ndim))
        self._keep(images, tuple(pixels))

    def field_of(self, tensor: Tensor) -> Field | None:
        """Return the field of a tensor; of one seen in no other way, that of all its memory."""
        found = self._fields.get(_place(tensor))
        return self._memories.get(_memory(tensor)) if found is None else found

    def apply(self, rule: Rule, result: Any, args: tuple[Any, ...]) -> None:
        """Give a result the field that a rule makes of the first argument's."""
        field = self.field_of(args[0])
        if field is not None:
            self._hand_out(rule(field, result, args), result)

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        written = _written(func, args)
        made = self._made(func, result, (*args, *(kwargs or {}).values()))
        if made is not None:
            self._hand_out(made, result)
        if written is not None and made is not None:
            self._spread_over_memory(written)
        return result

    def _made(self, func: Any, result: Any, args: tuple[Any, ...]) -> Field | list[Field] | None:
        sources = [tensor for tensor in tensors_in(args) if tensor.numel()]
        seen = [(tensor, self.field_of(tensor)) for tensor in sources]
        known = [(tensor, field) for tensor, field in seen if field is not None]
        if not known:
            return None
        packet = func.overloadpacket
        if packet is _aten.cat:
            dim = (args[1] if len(args) > 1 else 0) % result.ndim
            return concatenated([field for _, field in seen], dim)
        if packet is _aten.copy_:
            known = [pair for pair in known if pair[0] is not args[0]] or known
        if packet is _aten.copy_ or torch.Tag.pointwise in func.tags:
            output = result[0] if isinstance(result, tuple | list) else result
            return hull(broadcast(field, tensor, output) for tensor, field in known)
        rule = RULES.get(packet)
        if rule is not None and len(known) == 1 and known[0][0] is args[0]:
            with suppress(LookupError, TypeError, ValueError):  # a form that the rule does not know
                return rule(known[0][1], result, args)
        return hull(whole(field) for _, field in known)

    def _hand_out(self, made: Field | list[Field], result: Any) -> None:
        results = tensors_in(result)
        if isinstance(made, list):
            for tensor, field in zip(results, made, strict=True):
                self._keep(tensor, field)
            return
        for tensor in results:
            self._keep(tensor, made if tensor.shape == results[0].shape else whole(made))

    def _keep(self, tensor: Tensor, field: Field) -> None:
        self._alive.append(tensor)
        if not all(_fits(axis, tensor) for axis in field):
            field = whole(field)
        self._fields[_place(tensor)] = field
        memory = _memory(tensor)
        known = self._memories.get(memory)
        everything = whole(field)
        self._memories[memory] = everything if known is None else hull((known, everything))

    def _spread_over_memory(self, written: Tensor) -> None:
        """Let other views of memory that was written into see what was written."""
        place, memory = _place(written), _memory(written)
        if place not in self._fields:
            return
        news = whole(self._fields[place])
        for other, field in self._fields.items():
            if other[0] == memory and other != place:
                self._fields[other] = hull((field, news))


def _fits(axis: Axis, tensor: Tensor) -> bool:
    if axis.dim is None:
        return True
    return axis.dim < tensor.ndim and len(axis.low) == tensor.shape[axis.dim]


def _place(tensor: Tensor) -> _Place:
    return _memory(tensor), tensor.storage_offset(), tuple(tensor.shape), tensor.stride()


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _written(func: Any, args: tuple[Any, ...]) -> Tensor | None:
    """Return the first argument if the operation writes into it."""
    if not args or not isinstance(args[0], Tensor):
        return None
    alias = func._schema.arguments[0].alias_info
    return args[0] if alias is not None and alias.is_write else None
