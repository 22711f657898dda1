"""Steps that the user gives: a list, a dict of file name to step, or a callable of the path."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from convviz_widgets.checkpoints.listing import Dated, Found, Item, StoredItem
from convviz_widgets.checkpoints.names import natural
from convviz_widgets.errors import InputError, error_text, number_of, unknown, whole_number

SOURCE = "the given"


class GivenSteps:
    """Puts the user's steps on the files of a directory, before whatever the names say.

    The first files must fit the steps. Of those that come later, one without a step keeps what its
    name says, and a line in the problems.

    Parameters
    ----------
    steps : whole numbers in natural order of the file names; file name to step; or a callable that
        returns the step of a `pathlib.Path`, None where it knows none.

    Raises
    ------
    InputError
        For anything else, and for a step that is no whole number from 0 on.
    """

    def __init__(self, steps: Any) -> None:
        self._call: Callable[[Path], object] | None = None
        self._listed: list[int] | None = None
        self._by_name: dict[str, int | None] = {}
        self._asked: dict[Item, int | None] = {}
        self._is_first = True
        if isinstance(steps, Mapping):
            self._by_name = {_name(key): _step(_name(key), steps[key]) for key in steps}
        elif callable(steps):
            self._call = steps
        else:
            self._listed = _list_of_steps(steps)

    def put_on(self, dated: Sequence[Dated], problems: Mapping[str, str]) -> Found:
        """Return the files with their steps.

        Raises
        ------
        InputError
            When the first files and the steps do not fit each other.
        """
        dated = sorted(dated, key=lambda each: natural(each.item.name))
        if self._is_first:
            self._check_names([each.item.name for each in dated])
        lines: dict[str, str] = {}
        given = tuple(self._with_step(each, lines) for each in dated)
        if self._is_first:
            _check_distinct(given)
            for line in lines.values():
                raise InputError(line)
        self._is_first = False
        return Found(given, {**problems, **lines}, "step")

    def _check_names(self, names: list[str]) -> None:
        if self._listed is not None:
            if len(self._listed) != len(names):
                raise InputError(
                    f"steps: got {number_of(len(self._listed), 'step')} for "
                    f"{number_of(len(names), 'file')}, in natural order {_first(names)}"
                )
            self._by_name = dict(zip(names, self._listed, strict=True))
        for name in self._by_name.keys() - set(names):
            raise InputError(f"steps: {unknown('file', name, names, 'there is')}")

    def _with_step(self, each: Dated, lines: dict[str, str]) -> Dated:
        name = each.item.name
        try:
            step = self._by_name.get(name) if self._call is None else self._asked_for(each.item)
        except InputError as error:
            lines[name], step = str(error), None
        if step is not None:
            time = replace(each.time, step=step, number=None)
            return replace(each, time=time, source=SOURCE)
        if each.time.step is None and self._call is None:
            lines[name] = f"steps: there is none for {name!r}"
        return each

    def _asked_for(self, item: Item) -> int | None:
        if item not in self._asked and self._call is not None:
            path = Path(item.path if isinstance(item, StoredItem) else item.name)
            try:
                answer = self._call(path)
            except Exception as error:
                kind, text = type(error).__name__, error_text(error)
                raise InputError(f"steps({item.name!r}) raised {kind}: {text}") from error
            self._asked[item] = _step(item.name, answer)
        return self._asked.get(item)


def _name(key: object) -> str:
    try:
        return os.fspath(key).replace(os.sep, "/")  # type: ignore[call-overload]
    except TypeError as error:
        raise InputError(f"steps: expected file names, got {key!r}") from error


def _step(name: str, value: object) -> int | None:
    return None if value is None else _checked(value, f"{name!r} has {value!r}")


def _checked(value: object, said: str) -> int:
    step = whole_number(value)
    if step is None or step < 0:
        raise InputError(f"steps: {said}; a step is a whole number from 0 on")
    return step


def _list_of_steps(steps: object) -> list[int]:
    if not isinstance(steps, Iterable) or isinstance(steps, str | bytes | set | frozenset):
        got = type(steps).__name__
        raise InputError(
            f"steps: expected a list, a dict of file name to step or a callable, got {got}"
        )
    return [_checked(value, f"got {value!r} at place {i}") for i, value in enumerate(steps)]


def _check_distinct(given: Iterable[Dated]) -> None:
    by_step: dict[int | None, str] = {}
    for each in given:
        name, step = each.item.name, each.time.step
        if each.source and step in by_step:
            raise InputError(f"steps: {by_step[step]!r} and {name!r} both have step {step:,}")
        by_step |= {step: name} if each.source else {}


def _first(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if names[3:] else "")
