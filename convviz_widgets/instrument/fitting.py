"""Whether a state_dict fits a model, told before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from convviz_widgets.errors import CheckpointError


def load_checked(module: nn.Module, state_dict: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Copy a state_dict's values into ``module`` in place; on a mismatch write nothing.

    Parameters
    ----------
    state_dict : its keys may carry the prefixes of torch.compile and DataParallel, or any one
        prefix that all of them share ("model." of a LightningModule) and that leaves ``own``'s.
    own : the module's own ``state_dict()``, whose keys, shapes and kinds of number must be met.

    Raises
    ------
    CheckpointError
        The first three missing and unexpected keys, or the first three shapes that differ.
    """
    if not isinstance(state_dict, Mapping) or not all(isinstance(key, str) for key in state_dict):
        got = type(state_dict).__name__
        raise CheckpointError(f"expected a state_dict of names and tensors, got {got}")
    plain = _plain_keys(state_dict, own)
    _check_fits(plain, own)
    try:
        # assign=True would break weight tying, alias the caller's tensors and change the dtype.
        module.load_state_dict(plain, strict=True, assign=False)
    except Exception as error:
        line = " ".join(str(error).split())[:200]
        raise CheckpointError(f"the checkpoint does not fit the model: {line}") from error


def _plain_keys(state_dict: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the state_dict without the prefixes that wrappers put before its keys."""
    plain = {key.replace("_orig_mod.", ""): value for key, value in state_dict.items()}
    wrapped = plain and all(key.startswith("module.") for key in plain)
    if wrapped and not any(key.startswith("module.") for key in own):
        plain = {key.removeprefix("module."): value for key, value in plain.items()}
    return _without_shared_prefix(plain, own)


def _without_shared_prefix(plain: dict[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``plain`` without what all of its keys have before the model's own ones, if that."""
    shortest, own_shortest = (min(map(len, keys), default=0) for keys in (plain, own))
    prefix = next(iter(plain), "")[: max(0, shortest - own_shortest)]
    if not prefix.endswith(".") or not all(key.startswith(prefix) for key in plain):
        return plain
    inner = {key.removeprefix(prefix): value for key, value in plain.items()}
    return inner if inner.keys() == own.keys() else plain


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
    for first in dict.fromkeys(key.partition(".")[0] for key in state_dict):
        inner = {key.partition(".")[2] for key in state_dict if key.partition(".")[0] == first}
        if inner == own.keys():
            return f"state_dict_key={first!r} takes the part that fits"
    return ""


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
