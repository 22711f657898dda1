"""The pages of the explorer: which views lie in which tab, and where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from convviz_widgets.apps.page import Maker
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


Rows = list[list[Maker]]
"""What makes the views of a page, row by row."""


def activations(material: Material) -> Rows:
    """All maps of the layer; below, the selected one and its values."""
    state = material.state
    return [
        [partial(ActivationMosaic, state)],
        [partial(ActivationMap, state), partial(ActivationHistogram, state)],
    ]


def filters(material: Material) -> Rows:
    """The filters of the layer, and the distribution of their weights."""
    return _below_each_other(material.state, FilterMosaic, WeightHistogram)


def units(material: Material) -> Rows:
    """What channels do over all images: one row at a time, see `CHAPTERS`."""
    return _below_each_other(material.state, TopImages, DeadFilters, EmbeddingScatter)


def inputs(material: Material) -> Rows:
    """What goes in: one row at a time, see `CHAPTERS`."""
    state, validation = material.state, material.validation
    return [
        [partial(InputGallery, state, validation=validation, loader=material.loader)],
        [partial(InputHistogram, state, validation=validation)],
    ]


def outputs(material: Material) -> Rows:
    """What comes out: one row at a time, see `CHAPTERS`."""
    state = material.state
    return [
        *_below_each_other(state, Predictions, ConfusionMatrix),
        [partial(OutputGallery, state, run=material.run)],
    ]


def training(material: Material) -> Rows:
    """Losses, and below them accuracies; no page without a run."""
    state, run = material.state, material.run
    if run is None:
        return []
    return [
        [partial(TrainingCurves, state, run=run, quantity=quantity)] for quantity in ("loss", "acc")
    ]


def history(material: Material) -> Rows:
    """What every checkpoint holds on the probe batch: one row at a time, see `CHAPTERS`."""
    return _below_each_other(material.state, DistributionHistory, SparsityHistory, GradientFlow)


def diagnosis(material: Material) -> Rows:
    """What is abnormal, with the way to the evidence."""
    given = {"run": material.run, "validation": material.validation, "loader": material.loader}
    return [[partial(DiagnosisPanel, material.state, **given)]]


def _below_each_other(state: ModelState, *kinds: Callable[[ModelState], View]) -> Rows:
    return [[partial(kind, state)] for kind in kinds]


PAGES: dict[str, Callable[[Material], Rows]] = {
    "Activations": activations,
    "Filters": filters,
    "Units": units,
    "Inputs": inputs,
    "Outputs": outputs,
    "Training": training,
    "History": history,
    "Diagnosis": diagnosis,
}
"""Title of each tab, and what is in it; a page without rows has no tab."""

CHAPTERS = {
    "Inputs": ("Images", "Values"),
    "Units": ("Top images", "Dead filters", "Embedding"),
    "Outputs": ("Classes", "Confusion", "Gallery"),
    "History": ("Distributions", "Sparsity", "Gradients"),
}
"""Names of the rows of a page of which one is shown at a time."""
