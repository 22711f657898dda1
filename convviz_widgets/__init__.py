"""Jupyter widgets to look inside PyTorch convolutional networks."""

from convviz_widgets.errors import (
    CheckpointError,
    ConvVizError,
    InputError,
    ModelError,
    SelectionError,
    UnknownLayerError,
)

__all__ = [
    "CheckpointError",
    "ConvVizError",
    "InputError",
    "ModelError",
    "SelectionError",
    "UnknownLayerError",
]
