"""The errors that users see: one clear line that says what came, what was expected, the choices."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ConvVizError(Exception):
    """Base of every error that this package raises on purpose."""


class InputError(ConvVizError, ValueError):
    """An argument, an image or an option that does not fit."""


class SelectionError(InputError):
    """A selection that this state does not have: a channel, image or checkpoint out of range."""


class UnknownLayerError(SelectionError):
    """A layer name that the model does not have."""


class ModelError(ConvVizError, RuntimeError):
    """A model that cannot be copied, raises, or ignores the weights that it is given."""


class CheckpointError(ConvVizError):
    """A checkpoint that cannot be read, or that does not fit the model."""


def in_one_line(error: Exception) -> str:
    """Return an error's text in one line; one that is not ours is named, to be looked up."""
    text = " ".join(str(error).split())
    return text if isinstance(error, ConvVizError) else f"{type(error).__name__}: {text}"


def unknown(what: str, name: object, choices: Iterable[object], owner: str) -> str:
    """Return one line for a name that is not among ``choices``, the nearest match first.

    >>> unknown("layer", "conv9", ["conv1", "fc"], "this model has")
    "unknown layer 'conv9'; did you mean 'conv1'? this model has conv1, fc"
    """
    known = [str(choice) for choice in choices]
    close = difflib.get_close_matches(str(name), known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    shown = ", ".join(known[:20]) + (f", ... ({len(known)} in all)" if len(known) > 20 else "")
    return f"unknown {what} {name!r}; {hint}{owner} {shown or 'none'}"
