"""Predictions: the classes that the model finds most probable for the selected image."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from ipywidgets import HTML, Layout, Widget
from traitlets import Int

from convviz_widgets.errors import InputError
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
    kind: str
    """Where the probabilities come from."""
    step: int


class Predictions(View):
    """The top classes with their softmax probabilities; the true class is marked.

    Of a model with one output, which has no classes to choose from: the output and its sigmoid.
    """

    title: ClassVar[str] = "Predicted classes"
    depends: ClassVar[frozenset[str]] = frozenset({"key", "image"})

    top = Int(5, min=1, help="How many classes to show.").tag(option=True)

    def build(self) -> Sequence[Widget]:
        """Return the table, tall enough for all its rows."""
        self._table = HTML(layout=Layout(min_height=f"{26 * self.top}px", width="100%"))
        return [self._table]

    def compute(self, selection: Selection) -> Answer:
        """Return the most probable classes.

        Raises
        ------
        InputError
            For scores that are no probabilities, NaN among them.
        """
        scores = self.state.logits(selection=selection).float()  # (K,)
        label = self.state.image_set.label(selection.image)
        truth = "not known" if label is None else self._name(label)
        if len(scores) == 1:
            return self._one(scores[0], truth, selection)
        best = torch.topk(torch.softmax(scores, dim=0), min(self.top, len(scores)))
        _refuse_if_not_finite(best.values, scores, selection)
        indices = tuple(best.indices.tolist())
        names, shares = tuple(map(self._name, indices)), tuple(best.values.tolist())
        kind = f"softmax of {len(scores)} classes"
        return Answer(indices, names, shares, label, truth, kind, selection.step)

    def _one(self, score: torch.Tensor, truth: str, selection: Selection) -> Answer:
        _refuse_if_not_finite(score, score, selection)
        share = torch.sigmoid(score).item()
        kind = f"one output: {score.item():.4g}, the bar is its sigmoid: a probability only if "
        return Answer(
            (0,), ("the output",), (share,), None, truth, f"{kind}trained as one", selection.step
        )

    def draw(self, result: Answer) -> None:
        """Show the bars."""
        classes = zip(result.indices, result.names, result.probabilities, strict=True)
        rows = "".join(_row(name, share, index == result.truth) for index, name, share in classes)
        self._table.value = f'<table style="width:100%;border-spacing:0">{rows}</table>'
        self.say(
            f"{result.kind} · step {result.step:,} · n = 1 image · true class: {result.true_name}"
        )

    def _name(self, index: int) -> str:
        names = self.state.image_set.class_names
        return names[index] if names and index < len(names) else f"class {index}"


def _refuse_if_not_finite(shown: torch.Tensor, scores: torch.Tensor, selection: Selection) -> None:
    if not shown.isfinite().all():
        odd = int((~scores.isfinite()).sum())
        raise InputError(
            f"{odd} of {scores.numel()} outputs are NaN or infinite at step {selection.step:,}: "
            "there are no probabilities"
        )


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
