"""The parts of what a model returns: tensors in tuples, dicts, dataclasses and other objects."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from convviz_widgets.errors import InputError, unknown
from convviz_widgets.probe.recording import tensors_in

Place = tuple[str | int, ...]
"""The keys, fields and indices that lead from a result to one of its parts; () is the whole."""

_DEEPEST = 6


def tensors_by_place(result: Any, place: Place = ()) -> Iterator[tuple[Place, Tensor]]:
    """Yield every tensor of a result with its place, in order; None and numbers are left out."""
    if isinstance(result, Tensor):
        yield place, result
    elif len(place) < _DEEPEST:
        for key, part in members(result):
            yield from tensors_by_place(part, (*place, key))


def members(value: Any) -> list[tuple[str | int, Any]]:
    """Return key and value of what a container holds: mapping, sequence, dataclass or object."""
    if isinstance(value, Mapping):
        return [(key, part) for key, part in value.items() if isinstance(key, str | int)]
    if isinstance(value, tuple | list):
        return list(zip(getattr(value, "_fields", range(len(value))), value, strict=False))
    if is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name)) for field in fields(value)]
    if isinstance(value, Tensor | nn.Module | type) or callable(value):
        return []
    return list(getattr(value, "__dict__", {}).items())


def part_at(result: Any, place: Place) -> Any:
    """Return the part of a result at a place.

    Raises
    ------
    InputError
        There is none; it names what there is.
    """
    for step in place:
        found = dict(members(result))
        parts = list(found.values())
        if step in found:
            result = found[step]
        elif isinstance(step, int) and -len(parts) <= step < len(parts):
            result = parts[step]
        else:
            raise InputError(unknown("output", step, found, f"the model puts out {named(result)}:"))
    return result


def place_in_words(place: Place) -> str:
    """Return a place as one would read it: 'logits', or index 1, or 'heads' → index 0."""
    return " → ".join(repr(step) if isinstance(step, str) else f"index {step}" for step in place)


def named(result: Any) -> str:
    """Return what a model puts out, in words: "a tensor (1, 5)", "a dict of 'logits', 'hidden'"."""
    if isinstance(result, Tensor):
        return f"a tensor {tuple(result.shape)}"
    keys = [key for key, _ in members(result)]
    is_plain = isinstance(result, tuple | list) and not hasattr(result, "_fields")
    if is_plain:
        return f"a {type(result).__name__} of {len(result)}"
    if not keys:
        return f"a {type(result).__name__}"
    kind = "dict" if isinstance(result, dict) else type(result).__name__
    return f"a {kind} of {', '.join(map(repr, keys[:4]))}{', ...' if len(keys) > 4 else ''}"


def copied(result: Any) -> Any:
    """Return a result whose tensors are the caller's to change."""
    tensors = [tensor for _, tensor in tensors_by_place(result)]
    if len(tensors) == len(tensors_in(result)):
        return tree_map_only(Tensor, Tensor.clone, result)
    # A dataclass, or another object that torch's trees do not look into: copied along.
    return copy.deepcopy(result, {id(tensor): tensor.detach().clone() for tensor in tensors})
