"""Predictions: the classes that the model finds most probable for the selected image."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from ipywidgets import HTML, Layout, Widget
from traitlets import Int

from convviz_widgets.state import Selection
from convviz_widgets.views.base import View
from convviz_widgets.views.text import ACCENT


@dataclass(frozen=True)
class Answer:
    """The most probable classes, best first, with the true one if it is known."""

    indices: tuple[int, ...]
    names: tuple[str, ...]
    probabilities: tuple[float, ...]
    truth: int | None
    """Index of the true class."""
    true_name: str
    classes: int
    step: int


class Predictions(View):
    """The top classes with their softmax probabilities; the true class is marked."""

    title: ClassVar[str] = "Predicted classes"
    depends: ClassVar[frozenset[str]] = frozenset({"key", "image"})

    top = Int(5, min=1, help="How many classes to show.").tag(option=True)

    def build(self) -> Sequence[Widget]:
        """Return the table, tall enough for all its rows."""
        self._table = HTML(layout=Layout(min_height=f"{26 * self.top}px", width="100%"))
        return [self._table]

    def compute(self, selection: Selection) -> Answer:
        """Return the most probable classes."""
        probabilities = torch.softmax(self.state.logits().float(), dim=0)
        best = torch.topk(probabilities, min(self.top, len(probabilities)))
        label = self.state.image_set.label(selection.image)
        indices = tuple(best.indices.tolist())
        return Answer(
            indices,
            tuple(map(self._name, indices)),
            tuple(best.values.tolist()),
            label,
            "not known" if label is None else self._name(label),
            len(probabilities),
            selection.step,
        )

    def draw(self, result: Answer) -> None:
        """Show the bars."""
        classes = zip(result.indices, result.names, result.probabilities, strict=True)
        rows = "".join(_row(name, share, index == result.truth) for index, name, share in classes)
        self._table.value = f'<table style="width:100%;border-spacing:0">{rows}</table>'
        self.say(
            f"softmax of {result.classes} classes · step {result.step:,} · n = 1 image · "
            f"true class: {result.true_name}"
        )

    def _name(self, index: int) -> str:
        names = self.state.image_set.class_names
        return names[index] if names and index < len(names) else f"class {index}"


def _row(name: str, share: float, true: bool) -> str:
    """Return one line of the table: name, bar, percentage."""
    mark = " ✓" if true else ""
    colour = ACCENT if true else "var(--jp-ui-font-color3, #999)"
    bar = f'<div style="background:{colour};height:14px;width:{share:.2%};min-width:1px"></div>'
    cell = "padding:3px 8px 3px 0;font-size:13px;color:var(--jp-ui-font-color1,#222)"
    return (
        f'<tr style="height:26px"><td style="{cell};width:34%">{html.escape(name)}{mark}</td>'
        f'<td style="{cell}">{bar}</td>'
        f'<td style="{cell};width:56px;text-align:right">{share:.1%}</td></tr>'
    )
