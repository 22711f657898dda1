"""One part of a data set through a model at one checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from convviz_widgets.errors import InputError
from convviz_widgets.instrument import Probe
from convviz_widgets.sweep.coverage import Coverage
from convviz_widgets.sweep.items import Items
from convviz_widgets.sweep.plan import Plan
from convviz_widgets.sweep.reader import Reader
from convviz_widgets.sweep.statistics import Statistics


@dataclass(frozen=True, eq=False)
class Part:
    """What is known after some of the images.

    Attributes
    ----------
    statistics : of the channels of all layers in a row.
    coverage : the images, failed ones too.
    failures : index → one line, of those that could not be loaded.
    """

    statistics: Statistics
    coverage: Coverage
    failures: dict[int, str]

    @classmethod
    def empty(cls, plan: Plan) -> Part:
        """Return what is known after no image."""
        grouped = plan.groups is not None
        return cls(Statistics.empty(plan.channels, plan.k, grouped=grouped), Coverage(), {})

    @property
    def count(self) -> int:
        """Images that went through the model."""
        return len(self.coverage) - len(self.failures)

    def merged(self, other: Part) -> Part:
        """Return what is known after the images of both, which have none in common."""
        return Part(
            self.statistics.merged(other.statistics),
            self.coverage | other.coverage,
            dict(sorted({**self.failures, **other.failures}.items())),
        )


def swept_part(probe: Probe, plan: Plan, items: Items, span: range, before: Part) -> Part:
    """Return what is known after some images.

    Parameters
    ----------
    before : the part that the result will be merged with; nothing is looked for that has no
        chance beside it.

    Raises
    ------
    InputError
        An image cannot be loaded, and the plan does not skip it.
    ModelError
        The model raises.
    """
    reader = Reader(probe, plan, _floor(before, span))
    failures: dict[int, str] = {}
    for start in range(span.start, span.stop, plan.batch_size):
        loaded = items.load(range(start, min(start + plan.batch_size, span.stop)))
        if loaded.failures and not plan.skip:
            raise InputError(next(iter(loaded.failures.values())))
        failures |= loaded.failures
        if len(loaded.indices):
            reader.read(loaded.images, loaded.indices)
    return Part(reader.statistics(), Coverage.of([(span.start, span.stop)]), failures)


def _floor(before: Part, span: range) -> Tensor:
    """Return what a value must exceed to have a chance beside what is known already."""
    least = before.statistics.top.least
    # Of equal values the earlier image wins: an earlier one needs no more than to be equal.
    return least if before.coverage.end <= span.start else torch.full_like(least, -torch.inf)
