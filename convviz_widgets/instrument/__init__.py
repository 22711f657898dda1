"""Looks into an ``nn.Module`` through a private replica, and holds the images shown to it."""

from .image_set import ImageSet
from .layers import LayerInfo, list_layers
from .probe import Probe
from .recording import Gradients, Recording

__all__ = ["Gradients", "ImageSet", "LayerInfo", "Probe", "Recording", "list_layers"]
