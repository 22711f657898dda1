"""Looks into an ``nn.Module`` through a private replica, and holds the images shown to it."""

from .attribution import Attributions, attribute, attributions
from .image_set import ImageSet
from .layers import LayerInfo, list_layers
from .probe import Probe
from .recording import Gradients, Recording
from .unit import Unit

__all__ = [
    "Attributions",
    "Gradients",
    "ImageSet",
    "LayerInfo",
    "Probe",
    "Recording",
    "Unit",
    "attribute",
    "attributions",
    "list_layers",
]
