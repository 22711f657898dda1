"""State evidence: what the history, and the sweeps, of a state hold, as the rules take it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from convviz_widgets.diagnosis import (
    AnswersAt,
    FiltersAt,
    Firing,
    GradientDepth,
    Metric,
    TensorFacts,
)
from convviz_widgets.measure import OUTPUT_GRADIENTS, WEIGHTS, Measurement
from convviz_widgets.probe import can_die
from convviz_widgets.state.measurements import (
    ACTIVATIONS,
    CENSUS,
    FILTERS,
    GRADIENTS,
    PARAMETERS,
    UPDATES,
)
from convviz_widgets.state.model_state import ModelState
from convviz_widgets.sweeps import SweepResult
from convviz_widgets.tensors import Distribution
from convviz_widgets.tensors.filter_quality import has_full_power


class StateEvidence:
    """Reads what has been measured of a state; nothing is measured here."""

    def __init__(self, state: ModelState) -> None:
        self.state = state
        self._shapes = {info.name: info.weight_shape or () for info in state.layers}
        self._can_die = {info.name for info in state.layers if can_die(info)}

    def firing(self) -> tuple[Firing, ...]:
        """Return the counts with the most images, by layer and step."""
        found = [
            Firing(layer, step, fired, each.images)
            for part in (ACTIVATIONS, CENSUS)
            for step, each in self._measured(part)
            for layer, fired in each.fired.items()
            if layer in self._can_die
        ]
        for step, result in zip(self.state.steps, self.state.sweeps.all(), strict=False):
            found += [] if result is None else firing_of(result, step)
        return with_most_images(found)

    def gradients(self) -> tuple[GradientDepth, ...]:
        """Return the norms over depth, at every checkpoint, of the layers with matrices."""
        return tuple(
            GradientDepth.of(step, self._by_depth(each), each.images)
            for step, each in self._measured(GRADIENTS)
        )

    def tensors(self) -> tuple[TensorFacts, ...]:
        """Return the facts of every weight, bias, output and pre-activation."""
        return tuple(
            TensorFacts.of(layer, what, step, counted)
            for part in (PARAMETERS, ACTIVATIONS)
            for step, each in self._measured(part)
            for (layer, what), counted in each.distributions.items()
        )

    def is_matrix(self, facts: TensorFacts) -> bool:
        """Tell whether they are of a weight of at least two dimensions."""
        return facts.what == WEIGHTS and len(self._shapes[facts.layer]) >= 2

    def checkpoint_ratios(self) -> dict[str, Metric]:
        """Return by layer how far weights have moved between checkpoints, a step."""
        measured = self.state.history.all(UPDATES)
        steps = self.state.steps[: len(measured)]
        ratios = [{} if each is None else each.update_ratios for each in measured[1 : len(steps)]]
        curves = {
            layer: Metric.of_updates(layer, steps, [each.get(layer, np.nan) for each in ratios])
            for layer in self._shapes
        }
        return {layer: curve for layer, curve in curves.items() if len(curve.finite)}

    def filters(self) -> tuple[FiltersAt, ...]:
        """Return how noisy the filters are, where that has been measured."""
        found = {
            (layer, step): FiltersAt(layer, step, facts)
            for part in (FILTERS, CENSUS)
            for step, each in self._measured(part)
            for layer, facts in each.filters.items()
            if has_full_power(self._shapes[layer])
        }
        return tuple(sorted(found.values(), key=lambda each: each.step))

    def answers(self) -> tuple[AnswersAt, ...]:
        """Return what the model answers, where that has been measured."""
        return tuple(
            AnswersAt(step, each.answers)
            for step, each in self._measured(CENSUS)
            if each.answers is not None
        )

    def _measured(self, part: str) -> Iterator[tuple[int, Measurement]]:
        measured = self.state.history.all(part)
        for step, found in zip(self.state.steps, measured, strict=False):
            if found is not None:
                yield step, found

    def _by_depth(self, found: Measurement) -> dict[str, Distribution]:
        return {
            layer: found.distributions[layer, OUTPUT_GRADIENTS]
            for layer, shape in self._shapes.items()
            if len(shape) >= 2 and (layer, OUTPUT_GRADIENTS) in found.distributions
        }


def firing_of(result: SweepResult, step: int | None = None) -> list[Firing]:
    """Return the counts of a sweep, of one checkpoint or several."""
    parts = [result.at(i) for i in range(len(result.steps))] if result.series else [result]
    found = []
    for part in parts:
        at = part.steps[0] if part.steps else step or 0
        for layer in filter(can_die, part.layers):
            found.append(Firing(layer.name, at, part.fired(layer).numpy(), part.count))
    return found


def with_most_images(found: Sequence[Firing]) -> tuple[Firing, ...]:
    """Return one count for each layer and step: of two, the one over more images."""
    best: dict[tuple[str, int], Firing] = {}
    for each in found:
        known = best.get((each.layer, each.step))
        if known is None or known.images < each.images:
            best[each.layer, each.step] = each
    return tuple(sorted(best.values(), key=lambda each: each.step))
