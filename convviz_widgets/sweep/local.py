"""A sweep in this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from convviz_widgets.instrument import Probe
from convviz_widgets.sweep.items import Items
from convviz_widgets.sweep.part import Part, swept_part
from convviz_widgets.sweep.plan import Plan


class LocalSweep:
    """Sweeps part after part, with one probe.

    Parameters
    ----------
    probe : holds the model's weights.
    """

    def __init__(self, probe: Probe, plan: Plan, items: Items) -> None:
        self._probe = probe
        self._plan = plan
        self._items = items

    def parts(
        self, weights: Mapping[str, Any] | None, wanted: range, before: Part
    ) -> Iterator[Part]:
        """Yield what is missing of a range of images at one checkpoint.

        Parameters
        ----------
        weights : of the checkpoint; None: those that the model had.
        before : what is known already.
        """
        if weights is not None:
            self._probe.load(weights)
        known = before
        for span in before.coverage.missing(wanted, self._plan.part):
            part = swept_part(self._probe, self._plan, self._items, span, known)
            known = known.merged(part)
            yield part
