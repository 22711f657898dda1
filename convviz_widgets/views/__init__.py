"""Views and controls: one widget a file, each a function of the shared selection."""

from convviz_widgets.views.activation_histogram import ActivationHistogram
from convviz_widgets.views.activation_map import ActivationMap
from convviz_widgets.views.activation_mosaic import ActivationMosaic
from convviz_widgets.views.base import View
from convviz_widgets.views.channel_stepper import ChannelStepper
from convviz_widgets.views.checkpoint_clock import CheckpointClock
from convviz_widgets.views.confusion_matrix import ConfusionMatrix
from convviz_widgets.views.dead_filters import DeadFilters
from convviz_widgets.views.diagnosis_panel import DiagnosisPanel
from convviz_widgets.views.distribution_history import DistributionHistory
from convviz_widgets.views.embedding_scatter import EmbeddingScatter
from convviz_widgets.views.filter_mosaic import FilterMosaic
from convviz_widgets.views.gradient_flow import GradientFlow
from convviz_widgets.views.image_strip import ImageStrip
from convviz_widgets.views.input_gallery import InputGallery
from convviz_widgets.views.input_histogram import InputHistogram
from convviz_widgets.views.latent_traversal import LatentTraversal
from convviz_widgets.views.layer_list import LayerList
from convviz_widgets.views.live import Live
from convviz_widgets.views.output_gallery import OutputGallery
from convviz_widgets.views.predictions import Predictions
from convviz_widgets.views.sketchpad import Sketchpad
from convviz_widgets.views.sparsity_history import SparsityHistory
from convviz_widgets.views.status_line import StatusLine
from convviz_widgets.views.top_images import TopImages
from convviz_widgets.views.training_curves import TrainingCurves
from convviz_widgets.views.weight_histogram import WeightHistogram
from convviz_widgets.views.widget_tree import close_tree, listen, widget_tree

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
    "close_tree",
    "listen",
    "widget_tree",
]
