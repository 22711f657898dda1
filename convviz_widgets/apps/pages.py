"""The pages of the explorer: which views lie in which tab, and where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from convviz_widgets.record import Run
from convviz_widgets.state import ModelState
from convviz_widgets.views import (
    ActivationHistogram,
    ActivationMap,
    ActivationMosaic,
    ConfusionMatrix,
    DeadFilters,
    DiagnosisPanel,
    DistributionHistory,
    EmbeddingScatter,
    FilterMosaic,
    GradientFlow,
    InputGallery,
    InputHistogram,
    OutputGallery,
    Predictions,
    SparsityHistory,
    TopImages,
    TrainingCurves,
    View,
    WeightHistogram,
)


@dataclass(frozen=True)
class Material:
    """What an explorer was given to look at."""

    state: ModelState
    run: Run | None = None
    validation: Any = None
    loader: Any = None


Page = list[list[View]]
"""Rows of views, as they lie in a tab; hidden until the tab is shown."""


def activations(material: Material) -> Page:
    """All maps of the layer; below, the selected one and its values."""
    state = material.state
    below: list[View] = [
        ActivationMap(state, visible=False),
        ActivationHistogram(state, visible=False),
    ]
    return [[ActivationMosaic(state, visible=False)], below]


def filters(material: Material) -> Page:
    """The filters of the layer, and the distribution of their weights."""
    state = material.state
    return [[FilterMosaic(state, visible=False)], [WeightHistogram(state, visible=False)]]


def units(material: Material) -> Page:
    """What channels do over all images: one row at a time, see `CHAPTERS`."""
    state = material.state
    return [
        [TopImages(state, visible=False)],
        [DeadFilters(state, visible=False)],
        [EmbeddingScatter(state, visible=False)],
    ]


def inputs(material: Material) -> Page:
    """What goes in: one row at a time, see `CHAPTERS`."""
    state, validation = material.state, material.validation
    gallery = InputGallery(state, validation=validation, loader=material.loader, visible=False)
    return [[gallery], [InputHistogram(state, validation=validation, visible=False)]]


def outputs(material: Material) -> Page:
    """What comes out: one row at a time, see `CHAPTERS`."""
    state = material.state
    return [
        [Predictions(state, visible=False)],
        [ConfusionMatrix(state, visible=False)],
        [OutputGallery(state, run=material.run, visible=False)],
    ]


def training(material: Material) -> Page:
    """Losses, and below them accuracies; no page without a run."""
    state, run = material.state, material.run
    if run is None:
        return []
    return [
        [TrainingCurves(state, run=run, quantity=quantity, visible=False)]
        for quantity in ("loss", "acc")
    ]


def history(material: Material) -> Page:
    """What every checkpoint holds on the probe batch: one row at a time, see `CHAPTERS`."""
    state = material.state
    return [
        [DistributionHistory(state, visible=False)],
        [SparsityHistory(state, visible=False)],
        [GradientFlow(state, visible=False)],
    ]


def diagnosis(material: Material) -> Page:
    """What is abnormal, with the way to the evidence."""
    given = {"run": material.run, "validation": material.validation, "loader": material.loader}
    return [[DiagnosisPanel(material.state, **given, visible=False)]]


PAGES: dict[str, Callable[[Material], Page]] = {
    "Activations": activations,
    "Filters": filters,
    "Units": units,
    "Inputs": inputs,
    "Outputs": outputs,
    "Training": training,
    "History": history,
    "Diagnosis": diagnosis,
}
"""Title of each tab, and what is in it; a page without views has no tab."""

CHAPTERS = {
    "Inputs": ("Images", "Values"),
    "Units": ("Top images", "Dead filters", "Embedding"),
    "Outputs": ("Classes", "Confusion", "Gallery"),
    "History": ("Distributions", "Sparsity", "Gradients"),
}
"""Names of the rows of a page of which one is shown at a time."""

EVIDENCE = {
    "dead-layer": ("Units", "Dead filters"),
    "dead-filter": ("Units", "Dead filters"),
    "dying-filter": ("Units", "Dead filters"),
    "noisy-filter": ("Filters", ""),
    "loss-jump": ("Training", ""),
    "loss-surge": ("Training", ""),
    "slow-learning": ("Training", ""),
    "overfit": ("Training", ""),
    "abnormal-weight": ("History", "Distributions"),
    "abnormal-bias": ("History", "Distributions"),
    "skewed-pre-activation": ("History", "Distributions"),
    "vanishing-gradient": ("History", "Gradients"),
    "exploding-gradient": ("History", "Gradients"),
    "update-ratio": ("History", "Gradients"),
    "input-not-centred": ("Inputs", "Values"),
    "input-scale": ("Inputs", "Values"),
    "unequal-input-scales": ("Inputs", "Values"),
    "wrong-preprocessing": ("Inputs", "Values"),
    "repeated-batch": ("Inputs", "Images"),
    "duplicate-sample": ("Inputs", "Images"),
    "train-validation-leak": ("Inputs", "Images"),
    "washed-out-output": ("Outputs", "Gallery"),
    "stuck-output": ("Outputs", "Confusion"),
}
"""Tab and chapter that show what a rule of the diagnosis has found."""
