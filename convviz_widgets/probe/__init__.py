"""The live model: a private replica, and one forward pass that records every layer."""

from convviz_widgets.probe.attribution import Attributions, Unit, attribute, attributions
from convviz_widgets.probe.gradients import Gradients
from convviz_widgets.probe.layers import LayerInfo, can_die, nonlinearity_of
from convviz_widgets.probe.probe import Probe, list_layers
from convviz_widgets.probe.receptive import FieldBox, ReceptiveFields
from convviz_widgets.probe.recording import Recording

__all__ = [
    "Attributions",
    "FieldBox",
    "Gradients",
    "LayerInfo",
    "Probe",
    "ReceptiveFields",
    "Recording",
    "Unit",
    "attribute",
    "attributions",
    "can_die",
    "list_layers",
    "nonlinearity_of",
]
