"""Looks into an ``nn.Module`` through a private replica, and holds the images shown to it."""

from convviz_widgets.instrument.attribution import Attributions, Unit, attribute, attributions
from convviz_widgets.instrument.census import measure_census
from convviz_widgets.instrument.duplicates import (
    Duplicates,
    Leak,
    find_duplicates,
    find_leak,
    find_repeated_batches,
)
from convviz_widgets.instrument.filter_measuring import measure_filters
from convviz_widgets.instrument.image_set import ImageSet
from convviz_widgets.instrument.input_statistics import InputStatistics, input_statistics
from convviz_widgets.instrument.layers import LayerInfo
from convviz_widgets.instrument.loader_batches import LoaderBatch, LoaderBatches, loader_batches
from convviz_widgets.instrument.measurement import (
    BIASES,
    OUTPUT_GRADIENTS,
    OUTPUTS,
    PRE_ACTIVATIONS,
    QUANTITIES,
    WEIGHT_GRADIENTS,
    WEIGHTS,
    AnswerFacts,
    FilterFacts,
    Measurement,
)
from convviz_widgets.instrument.measuring import (
    fired_images,
    measure_activations,
    measure_gradients,
    measure_parameters,
    measure_updates,
    relative_change,
    weights_of,
)
from convviz_widgets.instrument.probe import Probe, list_layers
from convviz_widgets.instrument.receptive import FieldBox, ReceptiveFields
from convviz_widgets.instrument.recording import Gradients, Recording
from convviz_widgets.instrument.sample_hashes import sample_digests

__all__ = [
    "BIASES",
    "OUTPUTS",
    "OUTPUT_GRADIENTS",
    "PRE_ACTIVATIONS",
    "QUANTITIES",
    "WEIGHTS",
    "WEIGHT_GRADIENTS",
    "AnswerFacts",
    "Attributions",
    "Duplicates",
    "FieldBox",
    "FilterFacts",
    "Gradients",
    "ImageSet",
    "InputStatistics",
    "LayerInfo",
    "Leak",
    "LoaderBatch",
    "LoaderBatches",
    "Measurement",
    "Probe",
    "ReceptiveFields",
    "Recording",
    "Unit",
    "attribute",
    "attributions",
    "find_duplicates",
    "find_leak",
    "find_repeated_batches",
    "fired_images",
    "input_statistics",
    "list_layers",
    "loader_batches",
    "measure_activations",
    "measure_census",
    "measure_filters",
    "measure_gradients",
    "measure_parameters",
    "measure_updates",
    "relative_change",
    "sample_digests",
    "weights_of",
]
