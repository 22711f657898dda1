"""The views, in folders like the tabs of the Explorer; in no tab: Sketchpad, LatentTraversal."""

from convviz_widgets.views.activations import ActivationMap, ActivationMosaic
from convviz_widgets.views.controls.clock import CheckpointClock, Live, StatusLine
from convviz_widgets.views.controls.image_strip import ImageStrip
from convviz_widgets.views.controls.selectors import ChannelStepper, LayerList
from convviz_widgets.views.diagnosis_panel import DiagnosisPanel
from convviz_widgets.views.filters import FilterMosaic
from convviz_widgets.views.histograms import (
    ActivationHistogram,
    InputHistogram,
    WeightHistogram,
)
from convviz_widgets.views.history.distribution_history import DistributionHistory
from convviz_widgets.views.history.gradient_flow import GradientFlow
from convviz_widgets.views.history.sparsity_history import SparsityHistory
from convviz_widgets.views.inputs.input_gallery import InputGallery
from convviz_widgets.views.latent_traversal import LatentTraversal
from convviz_widgets.views.outputs.confusion_matrix import ConfusionMatrix
from convviz_widgets.views.outputs.output_gallery import OutputGallery
from convviz_widgets.views.outputs.predictions import Predictions
from convviz_widgets.views.sketchpad import Sketchpad
from convviz_widgets.views.training_curves import TrainingCurves
from convviz_widgets.views.units.dead_filters import DeadFilters
from convviz_widgets.views.units.embedding_scatter import EmbeddingScatter
from convviz_widgets.views.units.top_images import TopImages
from convviz_widgets.widgets import View

__all__ = [
    "ActivationHistogram",
    "ActivationMap",
    "ActivationMosaic",
    "ChannelStepper",
    "CheckpointClock",
    "ConfusionMatrix",
    "DeadFilters",
    "DiagnosisPanel",
    "DistributionHistory",
    "EmbeddingScatter",
    "FilterMosaic",
    "GradientFlow",
    "ImageStrip",
    "InputGallery",
    "InputHistogram",
    "LatentTraversal",
    "LayerList",
    "Live",
    "OutputGallery",
    "Predictions",
    "Sketchpad",
    "SparsityHistory",
    "StatusLine",
    "TopImages",
    "TrainingCurves",
    "View",
    "WeightHistogram",
]
