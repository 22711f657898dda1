"""Arguments that count something."""

from __future__ import annotations

import operator

from convviz_widgets.errors import InputError


def at_least(least: int, name: str, value: object) -> int:
    """Return an argument as an int; raise InputError unless it is a whole number that large."""
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = least - 1
    if number < least or isinstance(value, bool):
        raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return number


def at_least_or_none(least: int, name: str, value: object) -> int | None:
    """Return the same, or None for None."""
    return None if value is None else at_least(least, name, value)
