"""Pure functions of tensors: display arrays, limits, colours, pictures, mosaics, statistics."""

from convviz_widgets.tensors.colormap import (
    BACKGROUND,
    COLORS,
    DIVERGING,
    HATCH_DARK,
    HATCH_LIGHT,
    NOT_A_NUMBER,
    SEQUENTIAL,
    palette,
    quantize,
    to_rgba,
)
from convviz_widgets.tensors.display import to_display_array
from convviz_widgets.tensors.mosaic import Box, Mosaic
from convviz_widgets.tensors.normalize import (
    Limits,
    channel_limits,
    full_limits,
    normalize,
    symmetric_limits,
    zero_anchored_limits,
)
from convviz_widgets.tensors.png import palette_png, rgb_png

__all__ = [
    "BACKGROUND",
    "COLORS",
    "DIVERGING",
    "HATCH_DARK",
    "HATCH_LIGHT",
    "NOT_A_NUMBER",
    "SEQUENTIAL",
    "Box",
    "Limits",
    "Mosaic",
    "channel_limits",
    "full_limits",
    "normalize",
    "palette",
    "palette_png",
    "quantize",
    "rgb_png",
    "symmetric_limits",
    "to_display_array",
    "to_rgba",
    "zero_anchored_limits",
]
