"""Show me: where in the explorer the evidence of a finding is seen, and with which options.

`EVIDENCE` names the place for each rule that it knows; a finding of another rule is seen by what it
is about: a channel, a layer or the run. What is needed to see it there is measured. Clock, layer,
channel and image are selected before, by the finding itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from convviz_widgets.apps.pages import ExplorerSources
from convviz_widgets.diagnosis import Finding, Metric, RunCurves, has_update_ratios, run_curves
from convviz_widgets.measure import (
    BIASES,
    OUTPUT_GRADIENTS,
    OUTPUTS,
    PRE_ACTIVATIONS,
    QUANTITIES,
    WEIGHTS,
)
from convviz_widgets.state import ACTIVATIONS, PARAMETERS, ModelState
from convviz_widgets.tensors import SMOOTHING
from convviz_widgets.views import (
    ActivationMosaic,
    ConfusionMatrix,
    DeadFilters,
    DistributionHistory,
    FilterMosaic,
    GradientFlow,
    InputGallery,
    InputHistogram,
    OutputGallery,
    TrainingCurves,
)
from convviz_widgets.views.histograms import ALL, TAKEN, UNDONE
from convviz_widgets.views.history.distribution_plots import THIS_STEP, WHOLE_RUN
from convviz_widgets.views.history.gradient_flow import RATIOS, SLOPES
from convviz_widgets.views.inputs.gallery_sources import IMAGES, LOADER
from convviz_widgets.views.outputs.confusion_matrix import SHARES
from convviz_widgets.views.units.firing_picture import RAREST
from convviz_widgets.widgets import View

Options = Mapping[str, Any]


@dataclass(frozen=True)
class ExplorerPlace:
    """A tab, its chapter, and how the views of a kind in it show the evidence."""

    tab: str
    chapter: str
    kind: type[View]
    options: tuple[Options, ...] = ({},)
    """Options of each view of the kind, in the order of the views on the page."""
    needs_sweep: bool = False
    """Whether there is nothing to see before the clock's checkpoint has been swept."""
    has_threshold: bool = False
    """Whether the threshold of the finding is a value of the curves that are shown."""

    def prepare(self, views: Iterable[View], finding: Finding, state: ModelState) -> None:
        """Give the views of the page their options, and start a sweep if they need one."""
        fitting = [view for view in views if isinstance(view, self.kind)]
        for view, options in zip(fitting, self.options, strict=False):
            for name, value in options.items():
                setattr(view, name, value)
            if isinstance(view, TrainingCurves):
                view.show_all_steps()
                view.marked = finding.log_step, finding.threshold if self.has_threshold else None
                view.redraw()
        checkpoint = state.selection.checkpoint
        if self.needs_sweep and state.sweeps.at(checkpoint) is None:
            state.sweeps.ask(checkpoint)


def evidence_place(finding: Finding, sources: ExplorerSources) -> ExplorerPlace:
    """Return where the evidence of a finding is seen in an explorer of these sources."""
    return EVIDENCE.get(finding.rule, _by_subject)(finding, sources)


# -- Units, Filters, Activations, Outputs: one place each -------------------------------------

Finder = Callable[[Finding, ExplorerSources], ExplorerPlace]


def _always(place: ExplorerPlace) -> Finder:
    return lambda _finding, _sources: place


DEAD = ExplorerPlace("Units", "Dead filters", DeadFilters, ({"order": RAREST},), needs_sweep=True)

FILTERS = ExplorerPlace("Filters", "", FilterMosaic, ({"stopped": False},))

MAPS = ExplorerPlace("Activations", "", ActivationMosaic)

PICTURES = ExplorerPlace("Outputs", "Gallery", OutputGallery, ({"stopped": False},))

CONFUSED = ExplorerPlace(
    "Outputs", "Confusion", ConfusionMatrix, ({"colour": SHARES, "stopped": False},)
)

# -- Inputs -----------------------------------------------------------------------------------


def _values(side: str, channel: str = ALL) -> ExplorerPlace:
    options = {"source": IMAGES, "side": side, "channel": channel}
    return ExplorerPlace("Inputs", "Values", InputHistogram, (options,))


def _samples(_finding: Finding, sources: ExplorerSources) -> ExplorerPlace:
    """Show the samples that are there more than once, where these are the state's images.

    Samples of a loader's data set are compared instead where there is one; the gallery does not
    know them, and would show none.
    """
    options = {"source": IMAGES, "only": sources.loader is None}
    return ExplorerPlace("Inputs", "Images", InputGallery, (options,))


BATCHES = ExplorerPlace("Inputs", "Images", InputGallery, ({"source": LOADER, "only": False},))

# -- Training ---------------------------------------------------------------------------------


def _curves(sources: ExplorerSources) -> RunCurves:
    return RunCurves() if sources.run is None else run_curves(sources.run.metrics)


def _metrics(*plots: Iterable[Metric | None], **options: Any) -> ExplorerPlace:
    """Show these metrics, plot by plot; what a run lacks is left out."""
    tags = [tuple(curve.name for curve in plot if curve is not None) for plot in plots]
    shown = tuple({"tags": each, **options} for each in tags)
    return ExplorerPlace("Training", "", TrainingCurves, shown)


def _loss(_finding: Finding, sources: ExplorerSources, smoothing: float) -> ExplorerPlace:
    return _metrics([_curves(sources).loss], smoothing=smoothing)


def _overfit(_finding: Finding, sources: ExplorerSources) -> ExplorerPlace:
    curves = _curves(sources)
    losses = [curves.loss, curves.validation_loss]
    return _metrics(losses, [curves.accuracy, curves.validation_accuracy])


def _of_layer(curves: Mapping[str, Metric], layer: str | None) -> list[Metric]:
    """Return the curves of a layer's parameters; of all, where none belongs to it."""
    own = [curve for name, curve in curves.items() if layer in (name, name.rpartition(".")[0])]
    return own or list(curves.values())


# -- History ----------------------------------------------------------------------------------


def _distribution(quantity: str, *, values: str = WHOLE_RUN, normal: bool = False) -> ExplorerPlace:
    options = {"quantity": quantity, "values": values, "normal": normal, "stopped": False}
    return ExplorerPlace("History", "Distributions", DistributionHistory, (options,))


def _gradients(over: str) -> ExplorerPlace:
    options = {"of": OUTPUT_GRADIENTS, "over": over, "stopped": False}
    return ExplorerPlace("History", "Gradients", GradientFlow, (options,))


def _exploding(finding: Finding, sources: ExplorerSources) -> ExplorerPlace:
    """Show the slope over depth; a leap from step to step is of no layer."""
    norms = _curves(sources).gradient_norms
    return _gradients(SLOPES) if finding.layer else _metrics(norms.values())


def _ratios(finding: Finding, sources: ExplorerSources) -> ExplorerPlace:
    run = sources.run
    if run is None or not has_update_ratios(run.metrics):
        return _gradients(RATIOS)
    shown = _metrics(_of_layer(_curves(sources).update_ratios, finding.layer))
    return replace(shown, has_threshold=True)


def _non_finite(finding: Finding, sources: ExplorerSources) -> ExplorerPlace:
    """Show what is not finite at the finding's step: a gradient, a tensor, or the loss."""
    curves = _curves(sources)
    step = None if finding.when else finding.step
    gradients = [each for each in curves.gradient_norms.values() if _ends(each, step)]
    if gradients:
        return _metrics(gradients, smoothing=0.0)
    quantity = _quantity_not_finite(finding, sources.state)
    if quantity is None and curves.loss is not None and _ends(curves.loss, step):
        return _metrics([curves.loss], smoothing=0.0)
    return _distribution(quantity or OUTPUTS)


def _ends(curve: Metric, step: int | None) -> bool:
    """Tell whether a curve is not finite from this step on."""
    odd = curve.steps[~np.isfinite(curve.values)]
    return bool(odd.size) and int(odd[0]) == step


def _quantity_not_finite(finding: Finding, state: ModelState) -> str | None:
    """Return which values of the layer are not finite at the finding's step, if that is known."""
    is_counted = finding.when or state.steps.unit == "step"
    if not is_counted or finding.step not in state.steps:
        return None
    index = state.steps.index(finding.step)
    measured = [state.history.get(part, index) for part in (PARAMETERS, ACTIVATIONS)]
    odd = {
        quantity
        for each in measured
        if each is not None
        for (layer, quantity), counted in each.distributions.items()
        if layer == finding.layer and counted.non_finite
    }
    return next((quantity for quantity in QUANTITIES if quantity in odd), None)


# -- Rules that have no place of their own ----------------------------------------------------


def _by_subject(finding: Finding, sources: ExplorerSources) -> ExplorerPlace:
    """Show the map of the finding's channel, the outputs of its layer, or the loss of the run."""
    if finding.layer is None:
        return _metrics([_curves(sources).loss])
    return _distribution(OUTPUTS) if finding.channel is None else MAPS


EVIDENCE: dict[str, Finder] = {
    "non-finite": _non_finite,
    "train-validation-leak": _samples,
    "repeated-batch": _always(BATCHES),
    "duplicate-sample": _samples,
    "wrong-preprocessing": _always(_values(UNDONE)),
    "input-scale": _always(_values(TAKEN)),
    "exploding-gradient": _exploding,
    "loss-jump": partial(_loss, smoothing=SMOOTHING),
    "dead-layer": _always(DEAD),
    "vanishing-gradient": _always(_gradients(SLOPES)),
    "loss-surge": partial(_loss, smoothing=0.0),
    "overfit": _overfit,
    "slow-learning": partial(_loss, smoothing=SMOOTHING),
    "washed-out-output": _always(PICTURES),
    "update-ratio": _ratios,
    "stuck-output": _always(CONFUSED),
    "abnormal-weight": _always(_distribution(WEIGHTS)),
    "abnormal-bias": _always(_distribution(BIASES)),
    "input-not-centred": _always(_values(TAKEN)),
    "unequal-input-scales": _always(_values(TAKEN, "channel 0")),
    "noisy-filter": _always(FILTERS),
    "skewed-pre-activation": _always(
        # A later step may reach so far that on the axis of the run this one is a single row.
        _distribution(PRE_ACTIVATIONS, values=THIS_STEP, normal=True)
    ),
    "dead-filter": _always(DEAD),
    "dying-filter": _always(DEAD),
}
"""Where each rule's evidence is seen; see `_by_subject` for a rule that is not here."""
