"""The state dict inside whatever a training script has saved, and its way into a model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from convviz_widgets.checkpoints.bounds import UnknownObject, UnknownObjectError
from convviz_widgets.errors import CheckpointError, unknown

_NESTED_KEYS = ("state_dict", "model_state_dict", "model", "model_state")
_DEEPEST = 4
_WRAPPING = (  # torch.compile, FSDP, activation checkpointing, Lightning's strategies
    "_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module"
)
_COMPILED = re.compile(rf"(?:^|(?<=\.))(?:{_WRAPPING})\.")
_PARALLEL = "module."
_BATCHES = "num_batches_tracked"  # files of before PyTorch 0.4.1 have none, and frozen layers
_AVERAGED = "n_averaged"  # what AveragedModel adds to the "module." of the model it averages

Value = TypeVar("Value")


def find_state_dict(content: object, key: str | None = None) -> dict[str, Tensor]:
    """Return the tensors by name: nested dictionaries opened, the prefixes of wrappers taken off.

    Anything that is no tensor (epoch, settings) is left out; the tensors are not copied.

    Parameters
    ----------
    content : what a file holds, or a state dict.
    key : where the state dict is in ``content``: a key, or the prefix that its names share there
        ("model" for the "model.conv1.weight" of a LightningModule). None: under "state_dict",
        "model_state_dict", "model" or "model_state", nested ones too, else ``content`` itself, else
        the one dictionary of tensors that it has.

    Raises
    ------
    CheckpointError
        When there is no such key, no tensor, or more than one state dict to choose from.
    """
    found = _innermost(content, _DEEPEST) if key is None else _under(content, key)
    tensors = _tensors(found)
    if not tensors:
        tensors = _tensors(_only_state_dict(found))
    return strip_prefixes(tensors)


def strip_prefixes(tensors: Mapping[str, Value]) -> dict[str, Value]:
    """Return the same tensors without the prefixes of DataParallel, DDP, FSDP and torch.compile.

    >>> list(strip_prefixes({"module._orig_mod.fc.weight": Tensor(), "module.fc.bias": Tensor()}))
    ['fc.weight', 'fc.bias']
    """
    plain = _uncompiled(tensors)
    inside = plain.keys() - {_AVERAGED}
    while inside and all(name.startswith(_PARALLEL) for name in inside):
        plain = {name.removeprefix(_PARALLEL): plain[name] for name in plain if name in inside}
        inside = plain.keys() - {_AVERAGED}
    return plain


def _uncompiled(tensors: Mapping[str, Value]) -> dict[str, Value]:
    plain = {_COMPILED.sub("", name): tensor for name, tensor in tensors.items()}
    # Fewer: there were both "a" and "_orig_mod.a", so no wrapper; they are left apart.
    return plain if len(plain) == len(tensors) else dict(tensors)


def _innermost(content: object, depth: int) -> object:
    """Return the state dict below one of the usual keys, or the content as it is."""
    if isinstance(content, Mapping) and depth:
        for key in _NESTED_KEYS:
            inner = _innermost(content.get(key), depth - 1)
            if _tensors(inner):
                return inner
    return content


def _under(content: object, key: str) -> object:
    if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
        return _innermost(content[key], _DEEPEST)
    prefix = key.rstrip(".") + "."
    tensors = _tensors(_innermost(content, _DEEPEST))
    below = {
        name.removeprefix(prefix): tensors[name] for name in tensors if name.startswith(prefix)
    }
    if not below:
        raise CheckpointError(unknown("state_dict_key", key, _choices(content), "there is"))
    return below


def _only_state_dict(content: object) -> object:
    """Return the one dictionary of tensors inside a dictionary that has none itself."""
    if isinstance(content, UnknownObject):
        raise UnknownObjectError(content.name)
    if not isinstance(content, Mapping):
        raise CheckpointError(f"holds no state dict but a {type(content).__name__}")
    inside = [key for key, value in content.items() if _tensors(value)]
    if len(inside) > 1:
        names = ", ".join(repr(key) for key in inside[:10])
        raise CheckpointError(f"holds several state dicts; state_dict_key picks one: {names}")
    if not inside:
        _refuse_foreign(content)
        keys = ", ".join(repr(key) for key in list(content)[:10])
        raise CheckpointError(f"holds no tensors by name; its keys: {keys or 'none'}")
    return content[inside[0]]


def _refuse_foreign(content: Mapping) -> None:
    """Raise UnknownObjectError for what may hold the weights, the usual entries first."""
    for key in (*_NESTED_KEYS, *content):
        value = content.get(key)
        if isinstance(value, UnknownObject):
            raise UnknownObjectError(value.name, str(key))


def _choices(content: object) -> list[object]:
    if not isinstance(content, Mapping):
        return []
    nested = [key for key, value in content.items() if isinstance(value, Mapping)]
    tensors = _tensors(_innermost(content, _DEEPEST))
    return nested or sorted({name.partition(".")[0] for name in tensors})


def _tensors(found: object) -> dict[str, Tensor]:
    if not isinstance(found, Mapping):
        return {}
    return {
        name: value.detach()
        for name, value in found.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }


def load_checked(module: nn.Module, state_dict: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Copy a state_dict's values into ``module`` in place; on a mismatch write nothing.

    Parameters
    ----------
    state_dict : its keys may carry the prefixes of torch.compile and DataParallel, or any one
        prefix that all of them share ("model." of a LightningModule) and that leaves ``own``'s;
        or they may lack one that all of ``own``'s share, as behind a wrapper.
        Counts of batches that it lacks stay the model's, as ``load_state_dict`` has it.
    own : the module's own ``state_dict()``, whose keys, shapes and kinds of number must be met.

    Raises
    ------
    CheckpointError
        The first three missing and unexpected keys, or the first three shapes that differ.
    """
    if not isinstance(state_dict, Mapping) or not all(isinstance(key, str) for key in state_dict):
        got = type(state_dict).__name__
        raise CheckpointError(f"expected a state_dict of names and tensors, got {got}")
    plain = _with_counts_of_batches(_plain_keys(state_dict, own), own)
    _check_fits(plain, own)
    try:
        # assign=True would break weight tying, alias the caller's tensors and change the dtype.
        module.load_state_dict(plain, strict=True, assign=False)
    except Exception as error:
        line = " ".join(str(error).split())[:200]
        raise CheckpointError(f"the checkpoint does not fit the model: {line}") from error


def _plain_keys(state_dict: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state_dict without the prefixes that wrappers put before its keys."""
    has_such_a_part = any(key.startswith(_PARALLEL) for key in own)
    plain = _uncompiled(state_dict) if has_such_a_part else strip_prefixes(state_dict)
    return _with_own_prefix(_without_shared_prefix(plain, own), own)


def _with_own_prefix(plain: dict[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``plain`` with the prefix that a wrapper puts before all keys of the model, if any."""
    prefix = next(iter(own), "").removesuffix(next(iter(plain), ""))
    if not prefix.endswith(".") or _but_counts(own) != _but_counts(prefix + key for key in plain):
        return plain
    return {prefix + key: value for key, value in plain.items()}


def _without_shared_prefix(plain: dict[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``plain`` without the prefix that all of its keys put before the model's, if any."""
    shortest, own_shortest = (min(map(len, keys), default=0) for keys in (plain, own))
    prefix = next(iter(plain), "")[: max(0, shortest - own_shortest)]
    if not prefix.endswith(".") or not all(key.startswith(prefix) for key in plain):
        return plain
    inner = {key.removeprefix(prefix): value for key, value in plain.items()}
    return inner if _but_counts(inner) == _but_counts(own) else plain


def _but_counts(keys: Iterable[str]) -> set[str]:
    return {key for key in keys if key.rpartition(".")[2] != _BATCHES}


def _with_counts_of_batches(plain: dict[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``plain`` with just those counts of batches that the model's normalisations have."""

    def of_normalisations(keys: Mapping[str, Any], where: Mapping[str, Any]) -> set[str]:
        counts = keys.keys() - _but_counts(keys)
        return {key for key in counts if f"{key.removesuffix(_BATCHES)}running_mean" in where}

    lacking = of_normalisations(own, plain) - plain.keys()
    superfluous = of_normalisations(plain, own) - own.keys()
    kept = {key: value for key, value in plain.items() if key not in superfluous}
    return {**kept, **{key: own[key] for key in lacking}}


def _check_fits(state_dict: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    missing = [key for key in own if key not in state_dict]
    unexpected = [key for key in state_dict if key not in own]
    if missing or unexpected:
        parts = [
            _listed("missing", missing),
            _listed("unexpected", unexpected),
            _part_that_fits(state_dict, own),
        ]
        raise CheckpointError(
            f"the checkpoint does not fit the model: {'; '.join(part for part in parts if part)}"
        )
    differing = [
        f"{key}: {difference}"
        for key, value in state_dict.items()
        if (difference := _difference(value, own[key]))
    ]
    if differing:
        raise CheckpointError(f"the checkpoint does not fit the model: {_listed('', differing)}")


def _part_that_fits(state_dict: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """Return a hint for a state_dict that holds the model beside other things."""
    fitting = []
    for first in dict.fromkeys(key.partition(".")[0] for key in state_dict):
        inner = (key.partition(".")[2] for key in state_dict if key.partition(".")[0] == first)
        if _but_counts(inner) == _but_counts(own):
            fitting.append(f"state_dict_key={first!r}")
    parts = "the part that fits" if len(fitting) == 1 else "one of the parts that fit"
    return f"{' or '.join(fitting)} takes {parts}" if fitting else ""


def _listed(what: str, items: list[str]) -> str:
    if not items:
        return ""
    more = f", ... ({len(items)} in all)" if len(items) > 3 else ""
    return f"{what} {', '.join(items[:3])}{more}".strip()


def _difference(value: Any, own: Any) -> str:
    if not isinstance(own, Tensor):
        return ""  # a module's extra state: its own business
    if not isinstance(value, Tensor):
        return f"got {type(value).__name__}, expected a tensor"
    if value.shape != own.shape:
        return f"got shape {tuple(value.shape)}, expected {tuple(own.shape)}"
    if value.is_meta:
        return "got a meta tensor, which has no values"
    if value.layout != own.layout or value.is_quantized != own.is_quantized:
        return f"got a {value.layout} {value.dtype} tensor, expected a plain one"
    if _kind(value.dtype) != _kind(own.dtype):
        return f"got {value.dtype}, expected {own.dtype}"
    return ""


def _kind(dtype: torch.dtype) -> str:
    if dtype.is_floating_point or dtype.is_complex:
        return "floating" if dtype.is_floating_point else "complex"
    return "whole"
