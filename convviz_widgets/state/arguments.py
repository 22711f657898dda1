"""Checks of the arguments of a `ModelState`, before anything is copied or written."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from convviz_widgets.checkpoints import CheckpointSeries
from convviz_widgets.errors import InputError, error_text, whole_number

Checkpoints = CheckpointSeries | str | os.PathLike[str] | Sequence[tuple[int, dict[str, Any]]]


def check_model(model: Any) -> None:
    """Raise `InputError` for anything but an ``nn.Module``."""
    if not isinstance(model, nn.Module):
        hint = ""
        if isinstance(model, type) and issubclass(model, nn.Module):
            hint = f"; {model.__name__}(...) makes one"
        elif isinstance(model, Mapping):
            hint = "; model.load_state_dict(...) puts weights into one"
        raise InputError(f"model: expected an nn.Module, got {type(model).__name__}{hint}")


def checkpoint_series(checkpoints: Any) -> CheckpointSeries | None:
    """Return a series as it is, and what stands for one as one: a folder's path, or pairs.

    Raises
    ------
    InputError
        It is anything else.
    CheckpointError
        There is no checkpoint in the folder.
    """
    if isinstance(checkpoints, str | os.PathLike) and Path(checkpoints).expanduser().is_dir():
        return CheckpointSeries.from_directory(checkpoints)
    if isinstance(checkpoints, list | tuple) and checkpoints:
        return CheckpointSeries.from_state_dicts(checkpoints)
    if checkpoints is not None and not isinstance(checkpoints, CheckpointSeries):
        hint = "CheckpointSeries.from_directory(path) makes one"
        got = type(checkpoints).__name__
        if isinstance(checkpoints, str | os.PathLike):
            path = Path(checkpoints).expanduser()
            hint = f"there is no folder {str(checkpoints)!r} either"
            if path.is_file():
                hint = f"{str(checkpoints)!r} is a file; give its folder: {str(path.parent)!r}"
        raise InputError(f"checkpoints: expected a CheckpointSeries, got {got}; {hint}")
    return checkpoints


def check_loss(loss: Any) -> None:
    """Raise `InputError` for anything but a function or None."""
    if loss is not None and not callable(loss):
        expected = "expected a function of output and target, such as torch.nn.functional.mse_loss"
        raise InputError(f"loss: {expected}, got {loss!r}")


def check_device(device: Any) -> None:
    """Raise `InputError` for a device that does not exist, or that torch cannot use here."""
    try:
        torch.zeros(1, device=torch.device(device)).cpu()
    except Exception as error:  # each backend raises another kind
        expected = "expected one that torch can use here, such as 'cpu'"
        raise InputError(
            f"device {str(device)!r}: {expected} ({error_text(error, 120)})"
        ) from error


def checked_budget(budget: Any) -> int:
    """Return the bytes as an int; raise `InputError` for what is no whole number from 0 on."""
    whole = whole_number(budget)
    if whole is None or whole < 0:
        raise InputError(f"memory_budget: expected a whole number of bytes, got {budget!r}")
    return whole


def checked_indices(probe: Sequence[int] | None, images: int) -> tuple[int, ...]:
    """Return the probe's indices, default the first 64; raise `InputError` for one out of range."""
    if probe is None:
        return tuple(range(min(64, images)))
    expected = f"expected image indices from 0 to {images - 1}"
    try:
        indices = [whole_number(index) for index in probe]
    except TypeError:
        raise InputError(f"probe: {expected}, got {probe!r}") from None
    for given, index in zip(probe, indices, strict=True):
        if index is None or not 0 <= index < images:
            raise InputError(f"probe: {expected}, got {given!r}")
    if not indices:
        raise InputError(f"probe: {expected}, got none")
    return tuple(index for index in indices if index is not None)
