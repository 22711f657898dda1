"""Jupyter widgets to look inside PyTorch convolutional networks."""

from convviz_widgets.apps import Comparison, Explorer, explore
from convviz_widgets.checkpoints import CheckpointSeries
from convviz_widgets.diagnosis import Finding
from convviz_widgets.errors import (
    CheckpointError,
    ConvVizError,
    InputError,
    ModelError,
    RecordError,
    SelectionError,
    UnknownLayerError,
)
from convviz_widgets.images import ImageSet
from convviz_widgets.probe import LayerInfo, attribute, list_layers
from convviz_widgets.record import Recorder, Run, Series
from convviz_widgets.state import ModelState, Selection, diagnose
from convviz_widgets.sweeps import Hit, SweepInterrupted, SweepResult, sweep
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
    LatentTraversal,
    OutputGallery,
    Predictions,
    Sketchpad,
    SparsityHistory,
    TopImages,
    TrainingCurves,
    WeightHistogram,
)

__version__ = "0.1.0"

__all__ = [
    "ActivationHistogram",
    "ActivationMap",
    "ActivationMosaic",
    "CheckpointError",
    "CheckpointSeries",
    "Comparison",
    "ConfusionMatrix",
    "ConvVizError",
    "DeadFilters",
    "DiagnosisPanel",
    "DistributionHistory",
    "EmbeddingScatter",
    "Explorer",
    "FilterMosaic",
    "Finding",
    "GradientFlow",
    "Hit",
    "ImageSet",
    "InputError",
    "InputGallery",
    "InputHistogram",
    "LatentTraversal",
    "LayerInfo",
    "ModelError",
    "ModelState",
    "OutputGallery",
    "Predictions",
    "RecordError",
    "Recorder",
    "Run",
    "Selection",
    "SelectionError",
    "Series",
    "Sketchpad",
    "SparsityHistory",
    "SweepInterrupted",
    "SweepResult",
    "TopImages",
    "TrainingCurves",
    "UnknownLayerError",
    "WeightHistogram",
    "attribute",
    "diagnose",
    "explore",
    "list_layers",
    "sweep",
]
