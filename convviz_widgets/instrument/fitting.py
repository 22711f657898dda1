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
    state_dict : its keys may carry the prefixes of torch.compile and DataParallel.
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
        return {key.removeprefix("module."): value for key, value in plain.items()}
    return plain


def _check_fits(state_dict: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    missing = [key for key in own if key not in state_dict]
    unexpected = [key for key in state_dict if key not in own]
    if missing or unexpected:
        parts = [_listed("missing", missing), _listed("unexpected", unexpected)]
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
