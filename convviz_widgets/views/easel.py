"""Easel: what a pointer draws, noted at once and painted when there is time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from convviz_widgets.state import Drawing, Shown, image_of
from convviz_widgets.tensors import Brush
from convviz_widgets.tensors.brush import Point

Mix = Callable[[str], Tensor]
"""From the name of a paint to its values, (C, 1, 1) or (C, H, W) as the model takes them."""


@dataclass(frozen=True)
class Press:
    """The beginning of a stroke."""

    point: Point
    brush: Brush
    paint: str


class Stroke:
    """One stroke over a picture (C, H, W); where it does not reach, the values stay as they are."""

    def __init__(self, begun: Press, picture: Tensor, paint: Tensor) -> None:
        self._brush, self._last = begun.brush, begun.point
        self._picture = picture
        self._paint = paint.to(picture).expand_as(picture)
        height, width = picture.shape[1:]
        self._coverage = np.zeros((height, width), np.float32)
        self.go_to(begun.point)

    def go_to(self, point: Point) -> None:
        """Draw a straight line on from where the stroke is."""
        height, width = self._coverage.shape
        covered = self._brush.coverage([self._last, point], height, width)
        np.maximum(self._coverage, covered, out=self._coverage)
        self._last = point

    @property
    def painted(self) -> Tensor:
        """The picture with the stroke on it."""
        coverage = torch.from_numpy(self._coverage).to(self._picture)
        mixed = torch.lerp(self._picture, self._paint, coverage.expand_as(self._picture))
        return torch.where(coverage > 0, mixed, self._picture)  # 0 × infinity is no number


class Easel:
    """Holds the stroke under way, on whatever picture is selected.

    `press`, `move` and `lift` only note what happened; `paint` does all of it.
    """

    def __init__(self) -> None:
        self._noted: deque[Press | Point | None] = deque()
        self._stroke: Stroke | None = None
        self._on: Shown | None = None

    def press(self, point: Point, brush: Brush, paint: str) -> None:
        """Begin a stroke."""
        self._noted.append(Press(point, brush, paint))

    def move(self, point: Point) -> None:
        """Go on with it."""
        self._noted.append(point)

    def lift(self) -> None:
        """End it."""
        self._noted.append(None)

    def paint(self, shown: Shown, picture: Tensor, mix: Mix) -> Drawing | None:
        """Return what is shown, with all on it that was noted; None where that is nothing.

        Parameters
        ----------
        shown, picture
            What is selected, and its values (C, H, W). A stroke that began on another is over.
        mix
            Gives the values of a paint.
        """
        if shown != self._on:
            self._stroke = None
        before = picture
        while self._noted:
            noted = self._noted.popleft()
            if isinstance(noted, Press):
                self._stroke = Stroke(noted, picture, mix(noted.paint))
            elif self._stroke is not None and noted is not None:
                self._stroke.go_to(noted)
            if self._stroke is not None and (noted is None or not self._noted):
                picture = self._stroke.painted
            if noted is None:
                self._stroke = None
        if picture is before:
            return None
        self._on = Drawing(image_of(shown), picture, _how(shown))
        return self._on


def _how(shown: Shown) -> str:
    """Say that a picture was painted over, once."""
    before = shown.how if isinstance(shown, Drawing) else ""
    over = Drawing.how
    return before if over in before else f"{before}, {over}".lstrip(", ")
