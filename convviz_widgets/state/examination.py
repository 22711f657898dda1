"""The examination: gathers what a state, its run and its data tell, for the rules to judge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from convviz_widgets.diagnosis import (
    Evidence,
    Finding,
    Firing,
    GradientDepth,
    Report,
    RunCurves,
    TensorFacts,
    examine,
    run_curves,
)
from convviz_widgets.errors import InputError
from convviz_widgets.instrument import (
    BIASES,
    OUTPUT_GRADIENTS,
    OUTPUTS,
    PRE_ACTIVATIONS,
    WEIGHTS,
    Measurement,
)
from convviz_widgets.record import Run
from convviz_widgets.state.job import ACTIVATIONS, CENSUS, GRADIENTS, PARAMETERS
from convviz_widgets.state.model_state import ModelState
from convviz_widgets.sweep import SweepResult

NEVER_ZERO = ("gelu", "silu", "sigmoid", "tanh", "softmax", "softplus", "mish", "elu", "celu")
"""Kinds of activations to which "dead" does not apply: they have no exact zeros."""

PARTS = (PARAMETERS, ACTIVATIONS, GRADIENTS, CENSUS)
"""What the history has to measure."""


class Examination:
    """Everything that a diagnosis can ask of what it was given; nothing of it is required."""

    def __init__(
        self,
        state: ModelState | None = None,
        *,
        run: Run | None = None,
        sweep: SweepResult | None = None,
    ) -> None:
        self.state, self.run, self.sweep = state, run, sweep

    def measure(self) -> None:
        """Have the history measure what is missing, and wait for it."""
        if self.state is None:
            return
        history = self.state.history
        history.ask(self, *PARTS)
        try:
            history.wait()
        finally:
            history.leave(self)

    def report(self) -> Report:
        """Return what the rules say to everything that is known by now."""
        report = examine(self.evidence())
        return replace(report, findings=tuple(self._placed(each) for each in report.findings))

    def evidence(self) -> Evidence:
        """Return everything that is known by now."""
        return Evidence(
            curves=RunCurves() if self.run is None else run_curves(self.run.metrics),
            firing=tuple(self._firing()),
            gradients=tuple(self._gradients()),
            tensors=tuple(self._tensors()),
        )

    def _measured(self, part: str) -> Iterator[tuple[int, Measurement]]:
        if self.state is None:
            return
        measured = self.state.history.all(part)
        for step, found in zip(self.state.steps, measured, strict=False):
            if found is not None:
                yield step, found

    def _firing(self) -> Iterator[Firing]:
        for part in (ACTIVATIONS, CENSUS):
            for step, found in self._measured(part):
                for layer, fired in found.fired.items():
                    if self._can_die(layer):
                        yield Firing(layer, step, fired, found.images, part)

    def _can_die(self, layer: str) -> bool:
        """Tell whether an activation puts out exact zeros, as ReLU does."""
        assert self.state is not None
        kind = self.state.layer_info(layer).kind.lower().strip("_")
        return kind not in NEVER_ZERO and kind != "logsigmoid"

    def _gradients(self) -> Iterator[GradientDepth]:
        if self.state is None:
            return
        weighted = [i.name for i in self.state.layers if i.weight_shape and len(i.weight_shape) > 1]
        for step, found in self._measured(GRADIENTS):
            counted = {
                layer: found.distributions[layer, OUTPUT_GRADIENTS]
                for layer in weighted
                if (layer, OUTPUT_GRADIENTS) in found.distributions
            }
            norms = [np.inf if each.non_finite else each.moments.norm for each in counted.values()]
            yield GradientDepth(step, tuple(counted), tuple(norms), found.images)

    def _tensors(self) -> Iterator[TensorFacts]:
        for part in (PARAMETERS, ACTIVATIONS):
            for step, found in self._measured(part):
                for (layer, what), each in found.distributions.items():
                    if what in (WEIGHTS, BIASES, OUTPUTS, PRE_ACTIVATIONS):
                        median = float(each.percentiles([50.0])[0])
                        moments = each.moments
                        yield TensorFacts(
                            layer,
                            what,
                            step,
                            each.n,
                            each.non_finite,
                            moments.mean,
                            moments.std,
                            moments.skew,
                            median,
                            each.low,
                            each.high,
                        )

    def _placed(self, finding: Finding) -> Finding:
        """Return the finding with what the state has to select for its evidence to be seen."""
        state = self.state
        if state is None:
            return replace(finding, select={})
        select: dict[str, Any] = {}
        if finding.step is not None:
            before = [i for i, step in enumerate(state.steps) if step <= finding.step]
            select["checkpoint"] = before[-1] if before else 0
        if finding.layer in {info.name for info in state.layers}:
            select["layer"] = finding.layer
            select |= {k: v for k, v in finding.select.items() if k == "channel"}
        return replace(finding, select=select)


def diagnose(
    state: ModelState | None = None,
    *,
    run: Run | None = None,
    sweep: SweepResult | None = None,
    images: Any = None,
    validation: Any = None,
    loader: Any = None,
) -> list[Finding]:
    """Return what is abnormal, the gravest first; an empty list where nothing is.

    Every argument may be missing: the rules work from what there is.
    """
    if state is not None and not isinstance(state, ModelState):
        raise InputError(f"diagnose: expected a ModelState, got {type(state).__name__}")
    examination = Examination(state, run=run, sweep=sweep)
    examination.measure()
    return list(examination.report().findings)
