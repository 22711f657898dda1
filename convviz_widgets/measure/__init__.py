"""What a probe measures on images: distributions, gradients, updates, filters, answers, drift."""

from convviz_widgets.measure.answers import AnswerFacts
from convviz_widgets.measure.measurement import (
    BIASES,
    OUTPUT_GRADIENTS,
    OUTPUTS,
    PRE_ACTIVATIONS,
    QUANTITIES,
    WEIGHT_GRADIENTS,
    WEIGHTS,
    FilterFacts,
    Measurement,
    gradient_norm,
)
from convviz_widgets.measure.measuring import (
    fired_images,
    measure_activations,
    measure_filters,
    measure_gradients,
    measure_image_set,
    measure_parameters,
    measure_updates,
    relative_change,
    weights_of,
)

__all__ = [
    "BIASES",
    "OUTPUTS",
    "OUTPUT_GRADIENTS",
    "PRE_ACTIVATIONS",
    "QUANTITIES",
    "WEIGHTS",
    "WEIGHT_GRADIENTS",
    "AnswerFacts",
    "FilterFacts",
    "Measurement",
    "fired_images",
    "gradient_norm",
    "measure_activations",
    "measure_filters",
    "measure_gradients",
    "measure_image_set",
    "measure_parameters",
    "measure_updates",
    "relative_change",
    "weights_of",
]
