"""Looks into an ``nn.Module`` through a private replica, and holds the images shown to it."""

from convviz_widgets.instrument.attribution import Attributions, attribute, attributions
from convviz_widgets.instrument.image_set import ImageSet
from convviz_widgets.instrument.layers import LayerInfo, list_layers
from convviz_widgets.instrument.measurement import (
    BIASES,
    OUTPUT_GRADIENTS,
    OUTPUTS,
    PRE_ACTIVATIONS,
    QUANTITIES,
    WEIGHT_GRADIENTS,
    WEIGHTS,
    Measurement,
)
from convviz_widgets.instrument.measuring import (
    CONCENTRATION,
    UPDATE_RATIO,
    measure_activations,
    measure_gradients,
    measure_parameters,
    measure_updates,
    weights_of,
)
from convviz_widgets.instrument.probe import Probe
from convviz_widgets.instrument.receptive import FieldBox, ReceptiveFields
from convviz_widgets.instrument.recording import Gradients, Recording
from convviz_widgets.instrument.unit import Unit

__all__ = [
    "BIASES",
    "CONCENTRATION",
    "OUTPUTS",
    "OUTPUT_GRADIENTS",
    "PRE_ACTIVATIONS",
    "QUANTITIES",
    "UPDATE_RATIO",
    "WEIGHTS",
    "WEIGHT_GRADIENTS",
    "Attributions",
    "FieldBox",
    "Gradients",
    "ImageSet",
    "LayerInfo",
    "Measurement",
    "Probe",
    "ReceptiveFields",
    "Recording",
    "Unit",
    "attribute",
    "attributions",
    "list_layers",
    "measure_activations",
    "measure_gradients",
    "measure_parameters",
    "measure_updates",
    "weights_of",
]
