"""Reads the evidence of a diagnosis off what has been measured of a state."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from convviz_widgets.checkpoints import TrainingTime, label_at
from convviz_widgets.checkpoints.training_time import EPOCH, STEP
from convviz_widgets.diagnosis import (
    AnswersAt,
    Evidence,
    FiltersAt,
    Firing,
    GradientDepth,
    Moment,
    TensorFacts,
    UpdateCurve,
)
from convviz_widgets.diagnosis.rules.updates import CANNOT_JUDGE
from convviz_widgets.measure import (
    BIASES,
    PRE_ACTIVATIONS,
    WEIGHTS,
    Measurement,
)
from convviz_widgets.probe import can_die
from convviz_widgets.probe.default_loss import NO_LOSS
from convviz_widgets.record import Run
from convviz_widgets.state.log_steps import log_steps
from convviz_widgets.state.measurements import (
    ACTIVATIONS,
    FILTERS,
    GRADIENTS,
    IMAGE_SET,
    PARAMETERS,
    UPDATES,
)
from convviz_widgets.state.model_state import ModelState
from convviz_widgets.sweeps import SweepResult
from convviz_widgets.tensors.filter_quality import has_full_power

FIELDS = {
    PARAMETERS: ("tensors", "weights", "biases"),
    ACTIVATIONS: ("firing", "tensors", "pre_activations"),
    IMAGE_SET: ("firing", "filters", "answers"),
    GRADIENTS: ("gradients",),
    UPDATES: ("checkpoint_ratios",),
}
"""Which fields of the evidence are read from each part of the history."""


class StateEvidence:
    """Reads what has been measured of a state; nothing is measured here."""

    def __init__(self, state: ModelState, run: Run | None = None) -> None:
        self.state, self._run = state, run
        self._shapes = {info.name: info.weight_shape or () for info in state.layers}
        self._can_die = {info.name for info in state.layers if can_die(info)}

    def added_to(self, found: Evidence) -> Evidence:
        """Return evidence with what has been measured of the state beside it."""
        tensors, ratios = self.tensors(), self.checkpoint_ratios()
        is_judged = all(each.per == "step" for each in ratios.values())
        is_judged = is_judged or bool(found.curves.update_ratios)
        return replace(
            found,
            classes=self.state.output_kind.loss_classes,
            firing=with_most_images([*self.firing(), *found.firing]),
            gradients=self.gradients(),
            unmeasured={**self.unmeasured(), **found.unmeasured},
            tensors=tensors,
            weights=tuple(each for each in tensors if self.is_matrix(each)),
            biases=tuple(each for each in tensors if each.what == BIASES),
            pre_activations=tuple(each for each in tensors if each.what == PRE_ACTIVATIONS),
            filters=self.filters(),
            checkpoint_ratios=ratios,
            in_part={} if is_judged else {"update-ratio": self._unspaced()},
            answers=self.answers(),
        )

    def unmeasured(self) -> dict[str, str]:
        """Return which fields of the evidence could not be measured, and the first reason."""
        failures = {
            name: why
            for part, names in FIELDS.items()
            for why in self.state.history.progress(part).failures[:1]
            for name in names
        }
        return {name: why for name, why in failures.items() if why != NO_LOSS}

    def firing(self) -> tuple[Firing, ...]:
        """Return the counts with the most images, by layer and step."""
        found = [
            Firing(layer, step, fired, each.images, moment=moment)
            for part in (ACTIVATIONS, IMAGE_SET)
            for step, moment, each in self._measured(part)
            for layer, fired in each.fired.items()
            if layer in self._can_die
        ]
        moments = self.moments()
        for step, result in zip(moments, self.state.sweeps.all(), strict=False):
            found += () if result is None else firing_of(result, moments, step)
        return with_most_images(found)

    def gradients(self) -> tuple[GradientDepth, ...]:
        """Return the norms over depth, at every checkpoint, of the layers with matrices."""
        return tuple(
            GradientDepth.of(
                step, each.gradients_over_depth(self.state.layers), each.images, moment
            )
            for step, moment, each in self._measured(GRADIENTS)
        )

    def tensors(self) -> tuple[TensorFacts, ...]:
        """Return the facts of every weight, bias, output and pre-activation."""
        return tuple(
            TensorFacts.of(layer, what, step, counted, moment)
            for part in (PARAMETERS, ACTIVATIONS)
            for step, moment, each in self._measured(part)
            for (layer, what), counted in each.distributions.items()
        )

    def is_matrix(self, facts: TensorFacts) -> bool:
        """Tell whether they are of a weight of at least two dimensions."""
        return facts.what == WEIGHTS and len(self._shapes[facts.layer]) >= 2

    def checkpoint_ratios(self) -> dict[str, UpdateCurve]:
        """Return by layer how far weights have moved between checkpoints, a step.

        Where no two neighbours are known to be so many steps apart: how far from one to the next.
        """
        measured = self.state.history.all(UPDATES)
        steps = self.state.steps[: len(measured)]
        known = log_steps(self.state.steps, self._run)
        between = tuple(map(_apart, known.done, known.done[1:]))[: len(steps) - 1]
        is_known = bool(np.isfinite(between).any()) or not between
        facts: dict[str, Any] = {
            "between": between if is_known else (1.0,) * len(between),
            "per": "step" if is_known else "epoch" if steps.unit == EPOCH else "checkpoint",
            "how": "" if steps.unit == STEP else known.lengths,
            "moments": [*self.moments().values()][1 : len(steps)],
        }
        ratios = [{} if each is None else each.update_ratios for each in measured[1 : len(steps)]]
        curves = {
            layer: UpdateCurve.of_updates(
                layer, steps, [each.get(layer, np.nan) for each in ratios], **facts
            )
            for layer in self._shapes
        }
        return {layer: curve for layer, curve in curves.items() if len(curve.finite)}

    def filters(self) -> tuple[FiltersAt, ...]:
        """Return how noisy the filters are, where that has been measured."""
        found = {
            (layer, step): FiltersAt(layer, step, facts, moment)
            for part in (FILTERS, IMAGE_SET)
            for step, moment, each in self._measured(part)
            for layer, facts in each.filters.items()
            if has_full_power(self._shapes[layer])
        }
        return tuple(sorted(found.values(), key=lambda each: each.step))

    def answers(self) -> tuple[AnswersAt, ...]:
        """Return what the model answers, where that has been measured."""
        return tuple(
            AnswersAt(step, each.answers, moment)
            for step, moment, each in self._measured(IMAGE_SET)
            if each.answers is not None
        )

    def _measured(self, part: str) -> Iterator[tuple[int, Moment, Measurement]]:
        measured = self.state.history.all(part)
        for (step, moment), found in zip(self.moments().items(), measured, strict=False):
            if found is not None:
                yield step, moment, found

    def moments(self) -> dict[int, Moment]:
        """Return by number when each checkpoint was, by its name and by the log."""
        steps = self.state.steps
        known = log_steps(steps, self._run)
        places = known.done if self._run is None else known.places
        times = zip(steps.labels, steps.times, known.done, places, strict=True)
        moments = (Moment(label, _may_be_first(time, done), at) for label, time, done, at in times)
        return dict(zip(steps, moments, strict=True))

    def _unspaced(self) -> str:
        """Return why it is not known how many steps lie between checkpoints, and the remedy."""
        counted = {
            EPOCH: f"the checkpoints count epochs, {CANNOT_JUDGE} without steps_per_epoch=",
            STEP: f"fewer than two checkpoints have a step, {CANNOT_JUDGE} without steps=",
        }
        unknown = f"what the numbers of the checkpoints count is not known, {CANNOT_JUDGE} without"
        return counted.get(self.state.steps.unit, f"{unknown} steps=")


def _apart(first: int | None, second: int | None) -> float:
    """Return the steps between two checkpoints; NaN where that is not known."""
    if first is None or second is None or second <= first:
        return math.nan
    return float(second - first)


def _may_be_first(time: TrainingTime, done: int | None) -> bool:
    """Tell whether a checkpoint may hold the weights that the training began with."""
    return 0 in (time.epoch, time.number) if done is None else done == 0


def firing_of(
    result: SweepResult, moments: Mapping[int, Moment], step: int, *, is_given: bool = False
) -> tuple[Firing, ...]:
    """Return the counts of a sweep: of each of its checkpoints, or of that of ``step``."""
    parts = [result.at(i) for i in range(len(result.steps))] if result.series else [result]
    found = []
    for part in parts:
        number = part.steps[0] if part.steps else step
        moment = moments.get(number)
        if moment is None and part.steps:
            moment = Moment(label_at(part.steps, 0), number == 0)
        found += [
            Firing(layer.name, number, part.fired(layer).numpy(), part.count, is_given, moment)
            for layer in filter(can_die, part.layers)
        ]
    return tuple(found)


def with_most_images(found: Sequence[Firing]) -> tuple[Firing, ...]:
    """Return one count for each layer and step: of two, the one over more images."""
    best: dict[tuple[str, int], Firing] = {}
    for each in found:
        known = best.get((each.layer, each.step))
        if known is None or known.images < each.images:
            best[each.layer, each.step] = each
    return tuple(sorted(best.values(), key=lambda each: each.step))
