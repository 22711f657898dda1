"""StatusLine: step, forward passes, time of the last redraw, and what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import ClassVar, Unpack

from convviz_widgets.state import ModelState, Selection
from convviz_widgets.views.base import View, ViewOptions


class StatusLine(View):
    """One line about the state and the views that were made with it."""

    caption_lines: ClassVar[int] = 1
    depends: ClassVar[frozenset[str]] = frozenset(field.name for field in fields(Selection))
    instant: ClassVar[bool] = True

    def __init__(
        self, state: ModelState, *, views: Sequence[View] = (), **options: Unpack[ViewOptions]
    ) -> None:
        self._views: list[View] = []
        super().__init__(state, **options)
        for view in views:
            self.watch(view)

    def watch(self, view: View) -> None:
        """Tell of this view, too."""
        self._views.append(view)
        view.observe(lambda _change: self.redraw(), names="redrawn")

    def compute(self, selection: Selection) -> str:
        """Return the line."""
        drawn = [view for view in self._views if view.drew_for(selection)]
        milliseconds = sum(view.seconds for view in drawn) * 1000
        return " · ".join(
            part
            for part in (
                f"step {selection.step:,}",
                f"forward passes: {self.state.forward_count:,}",
                f"last redraw {milliseconds:.0f} ms",
                self.state.status,
                *(f"{view.title}: {view.problem}" for view in self._views if self._fails(view)),
                _problems(self.state.problems),
            )
            if part
        )

    def _fails(self, view: View) -> bool:
        return view.visible and bool(view.problem)

    def draw(self, result: str) -> None:
        """Show the line."""
        self.say(result)


def _problems(problems: dict[str, str]) -> str:
    if not problems:
        return ""
    count, first = len(problems), next(iter(problems.values()))
    files = "file not shown:" if count == 1 else "files not shown, first"
    return f"{count} checkpoint {files} {first}"
