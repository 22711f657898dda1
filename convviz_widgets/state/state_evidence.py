"""State evidence: what the history, and the sweeps, of a state hold, as the rules take it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from convviz_widgets.diagnosis import (
    AnswerFacts,
    Curve,
    FilterNoise,
    Firing,
    GradientDepth,
    TensorFacts,
)
from convviz_widgets.instrument import (
    BIASES,
    INITIAL_COSINE,
    NOISY_FILTERS,
    NOISY_UPDATES,
    OUTPUT_GRADIENTS,
    RANKED_FILTERS,
    UPDATE_RATIO,
    WEIGHTS,
    Measurement,
)
from convviz_widgets.instrument import answers as answer
from convviz_widgets.state.job import (
    ACTIVATIONS,
    CENSUS,
    FILTERS,
    GRADIENTS,
    PARAMETERS,
    UPDATES,
)
from convviz_widgets.state.model_state import ModelState
from convviz_widgets.sweep import SweepResult, can_die
from convviz_widgets.tensors import Distribution
from convviz_widgets.tensors.noisiness import has_full_power


class StateEvidence:
    """Reads what has been measured of a state; nothing is measured here."""

    def __init__(self, state: ModelState) -> None:
        self.state = state
        self._kinds = {info.name: info for info in state.layers}

    def firing(self) -> tuple[Firing, ...]:
        """Return the counts with the most images, by layer and step."""
        found = [
            Firing(layer, step, fired, each.images)
            for part in (ACTIVATIONS, CENSUS)
            for step, each in self._measured(part)
            for layer, fired in each.fired.items()
            if can_die(self._kinds[layer])
        ]
        for step, result in zip(self.state.steps, self.state.sweeps.all(), strict=False):
            found += [] if result is None else firing_of(result, step)
        return with_most_images(found)

    def gradients(self) -> tuple[GradientDepth, ...]:
        """Return the norms over depth, at every checkpoint."""
        return tuple(self._depth(step, each) for step, each in self._measured(GRADIENTS))

    def tensors(self) -> tuple[TensorFacts, ...]:
        """Return the facts of every weight, bias, output and pre-activation."""
        return tuple(
            facts_of(layer, what, step, counted)
            for part in (PARAMETERS, ACTIVATIONS)
            for step, each in self._measured(part)
            for (layer, what), counted in each.distributions.items()
        )

    def is_matrix(self, facts: TensorFacts) -> bool:
        """Tell whether they are of a weight of at least two dimensions."""
        shape = self._kinds[facts.layer].weight_shape
        return facts.what == WEIGHTS and shape is not None and len(shape) >= 2

    def checkpoint_ratios(self) -> dict[str, Curve]:
        """Return by layer how far weights have moved between checkpoints, a step."""
        steps = np.array(self.state.steps)
        measured = self.state.history.all(UPDATES)[: len(steps)]
        apart = np.diff(steps, prepend=steps[0])
        found: dict[str, Curve] = {}
        for layer in self._kinds:
            ratios = [
                math.nan if each is None else each.numbers.get((layer, UPDATE_RATIO), math.nan)
                for each in measured
            ]
            if np.isfinite(ratios).any():
                values = np.array(ratios[1:]) / apart[1 : len(ratios)]
                found[layer] = Curve(layer, steps[1 : len(ratios)], values)
        return found

    def filters(self) -> tuple[FilterNoise, ...]:
        """Return how noisy the filters are, where that has been measured."""
        found = {
            (layer, step): _noise(layer, step, each)
            for part in (FILTERS, CENSUS)
            for step, each in self._measured(part)
            for layer, name in each.numbers
            if name == NOISY_FILTERS and self._has_full_power(layer)
        }
        return tuple(sorted(found.values(), key=lambda each: each.step))

    def answers(self) -> tuple[AnswerFacts, ...]:
        """Return what the model answers, where that has been measured."""
        return tuple(_answers(step, each) for step, each in self._measured(CENSUS))

    def _has_full_power(self, layer: str) -> bool:
        return has_full_power(self._kinds[layer].weight_shape or ())

    def _measured(self, part: str) -> Iterator[tuple[int, Measurement]]:
        measured = self.state.history.all(part)
        for step, found in zip(self.state.steps, measured, strict=False):
            if found is not None:
                yield step, found

    def _depth(self, step: int, found: Measurement) -> GradientDepth:
        counted = {
            info.name: found.distributions[info.name, OUTPUT_GRADIENTS]
            for info in self.state.layers
            if info.weight_shape is not None
            and len(info.weight_shape) >= 2
            and (info.name, OUTPUT_GRADIENTS) in found.distributions
        }
        norms = [math.inf if each.non_finite else each.moments.norm for each in counted.values()]
        return GradientDepth(step, tuple(counted), tuple(norms), found.images)


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


def facts_of(layer: str, what: str, step: int, counted: Distribution) -> TensorFacts:
    """Return the few facts of a distribution that rules look at."""
    moments = counted.moments
    return TensorFacts(
        layer=layer,
        what=what,
        step=step,
        n=counted.n,
        non_finite=counted.non_finite,
        mean=moments.mean,
        std=moments.std,
        skew=moments.skew,
        median=float(counted.percentiles([50.0])[0]) if what in (WEIGHTS, BIASES) else math.nan,
        low=counted.low,
        high=counted.high,
    )


def _noise(layer: str, step: int, found: Measurement) -> FilterNoise:
    def number(name: str) -> float:
        return found.numbers.get((layer, name), math.nan)

    return FilterNoise(
        layer=layer,
        step=step,
        share=number(NOISY_FILTERS),
        count=int(number(RANKED_FILTERS)),
        cosine=number(INITIAL_COSINE),
        update_share=number(NOISY_UPDATES),
    )


def _answers(step: int, found: Measurement) -> AnswerFacts:
    def number(name: str) -> float:
        return found.numbers.get(("", name), math.nan)

    def index(name: str) -> int | None:
        return None if math.isnan(number(name)) else int(number(name))

    return AnswerFacts(
        step=step,
        images=found.images,
        commonest=index(answer.COMMONEST),
        share=number(answer.SHARE),
        label_share=number(answer.LABEL_SHARE),
        pictures=index(answer.PICTURES) or 0,
        chroma=number(answer.CHROMA),
        contrast=number(answer.CONTRAST),
        worst=index(answer.WORST),
    )
