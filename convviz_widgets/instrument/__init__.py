"""Looks into an ``nn.Module`` through a private replica, and holds the images shown to it."""

from .attribution import Attributions, attribute, attributions
from .image_set import ImageSet
from .layers import LayerInfo, list_layers
from .measurement import (
    BIASES,
    OUTPUT_GRADIENTS,
    OUTPUTS,
    PRE_ACTIVATIONS,
    QUANTITIES,
    WEIGHT_GRADIENTS,
    WEIGHTS,
    Measurement,
)
from .measuring import (
    CONCENTRATION,
    UPDATE_RATIO,
    measure_activations,
    measure_gradients,
    measure_parameters,
    measure_updates,
    weights_of,
)
from .probe import Probe
from .receptive import FieldBox, ReceptiveFields
from .recording import Gradients, Recording
from .unit import Unit

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
