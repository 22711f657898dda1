"""The errors that users see, how they are worded in one line, and the check of whole numbers."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


class ConvVizError(Exception):
    """Base of every error that this package raises on purpose.

    Examples
    --------
    >>> try:
    ...     cvw.ModelState("a model", torch.zeros(2, 1, 8, 8))
    ... except cvw.ConvVizError as error:
    ...     print(f"{type(error).__name__}: {error}")
    InputError: model: expected an nn.Module, got str
    """


class InputError(ConvVizError, ValueError):
    """An argument, an image or an option that does not fit.

    Examples
    --------
    >>> cvw.Recorder(nn.Linear(2, 1), "runs/x", every=0)
    Traceback (most recent call last):
    convviz_widgets.errors.InputError: every must be a whole number of at least 1, got 0
    """


class SelectionError(InputError):
    """A selection that this state does not have: a channel, image or checkpoint out of range.

    Examples
    --------
    >>> state.select(layer="1", channel=99)
    Traceback (most recent call last):
    convviz_widgets.errors.SelectionError: channel 99 is out of range: 4 channels in 1, 0 to 3
    """


class UnknownLayerError(SelectionError):
    """A layer name that the model does not have.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
    >>> cvw.ModelState(model, torch.zeros(2, 1, 8, 8), layer="relu")
    Traceback (most recent call last):
    convviz_widgets.errors.UnknownLayerError: unknown layer 'relu'; this model has 0, 1
    """


class ModelError(ConvVizError, RuntimeError):
    """A model that cannot be copied, raises, or ignores the weights that it is given.

    Examples
    --------
    >>> class Unfinished(nn.Module):
    ...     def forward(self, images):
    ...         raise NotImplementedError("to be written")
    >>> try:
    ...     cvw.list_layers(Unfinished(), torch.zeros(1, 1, 8, 8))
    ... except cvw.ModelError as error:
    ...     print(error)
    the model raised on images of shape (1, 8, 8): NotImplementedError: to be written
    """


class CheckpointError(ConvVizError):
    """A checkpoint that cannot be read, or that does not fit the model.

    Examples
    --------
    >>> cvw.CheckpointSeries.from_state_dicts([])
    Traceback (most recent call last):
    convviz_widgets.errors.CheckpointError: no state dicts: expected [(step, state_dict), ...]
    """


class RecordError(ConvVizError):
    """A folder that cannot be recorded into: no space, no permission, another recorder in it.

    Examples
    --------
    >>> try:
    ...     cvw.Recorder(nn.Linear(2, 1), "/dev/null/run")
    ... except cvw.RecordError as error:
    ...     print(error)
    cannot record in '/dev/null/run': Not a directory
    """


def in_one_line(error: BaseException) -> str:
    """Return an error in one line; of one that is not ours its class and first line."""
    if isinstance(error, ConvVizError):
        return " ".join(str(error).split())
    kind, text = type(error).__name__, error_text(error)
    return kind if text == kind else f"{kind}: {text}"


def error_text(error: BaseException, at_most: int = 200) -> str:
    """Return the first line of an error's text, cut; the name of its class where it has none."""
    text = str(error).strip().split("\n")[0] or type(error).__name__
    return text if len(text) <= at_most else text[: at_most - 3] + "..."


def strerror(error: Exception) -> str:
    """Return what the system says of an OSError, without number and path; of others the text."""
    text = error.strerror if isinstance(error, OSError) else str(error)
    return text or type(error).__name__


@contextmanager
def record_errors(what: str, directory: Path) -> Iterator[None]:
    """Turn what goes wrong with a folder into a RecordError: what could not be done, where, why."""
    try:
        yield
    except (OSError, CheckpointError, RecordError) as error:
        line = f"cannot {what} in {str(directory)!r}: {strerror(error)}"
        raise RecordError(printable(line)) from error


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


def printable(text: str) -> str:
    r"""Return text with what would break a line, colour it or fail to encode written out.

    >>> printable("a\nb")
    'a\\nb'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def whole_number(value: object) -> int | None:
    """Return a whole number as an int; None for anything else, True and False among it."""
    try:
        return None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def number_of(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural unless there is one.

    >>> number_of(1, "checkpoint"), number_of(2000, "image")
    ('1 checkpoint', '2,000 images')
    """
    return f"{count:,} {noun if count == 1 else noun + 's'}"


def at_least(least: int, name: str, value: object) -> int:
    """Return an argument as an int; raise InputError unless it is a whole number that large."""
    number = whole_number(value)
    if number is None or number < least:
        raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return number


def at_least_or_none(least: int, name: str, value: object) -> int | None:
    """Return what `at_least` returns, or None for None."""
    return None if value is None else at_least(least, name, value)


def checked_index(name: str, value: object, count: int, owner: str) -> int:
    """Return an index as an int; raise SelectionError unless ``owner`` has one of ``count``."""
    number = whole_number(value)
    if number is None:
        raise SelectionError(f"{name} {value!r} is not a whole number")
    if not 0 <= number < count:
        raise SelectionError(f"no {name} {number} in {owner}; it has 0 to {count - 1}")
    return number
