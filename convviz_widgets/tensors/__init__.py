"""Pure functions of tensors: display arrays, limits, colours, pictures, mosaics, statistics."""

from convviz_widgets.tensors.colormap import (
    BACKGROUND,
    COLORS,
    DIVERGING,
    HATCH_DARK,
    HATCH_LIGHT,
    NOT_A_NUMBER,
    SEQUENTIAL,
    class_colours,
    palette,
    quantize,
    to_rgba,
)
from convviz_widgets.tensors.curves import SMOOTHING, DepthSlope, depth_slope, smooth, thin
from convviz_widgets.tensors.display import to_display_array
from convviz_widgets.tensors.distribution import (
    PERCENTILES,
    SIGMAS,
    Distribution,
    Moments,
    distribution,
    merged,
)
from convviz_widgets.tensors.filter_quality import (
    FilterQuality,
    filter_quality,
    noisiness,
    noisy_share,
    variance_entropy,
)
from convviz_widgets.tensors.filters import (
    FilterTiles,
    colourfulness,
    dominant_frequency,
    filter_order,
    filter_tiles,
)
from convviz_widgets.tensors.heat_map import common_edges, grouped, log_limits, paint_shares, shares
from convviz_widgets.tensors.histogram import Histogram, histogram
from convviz_widgets.tensors.limits import (
    Limits,
    channel_limits,
    full_limits,
    normalize,
    symmetric_limits,
    zero_anchored_limits,
)
from convviz_widgets.tensors.maps import concentration, constant_maps, sparsity, summary
from convviz_widgets.tensors.mosaic import Box, Mosaic
from convviz_widgets.tensors.png import palette_png, rgb_png
from convviz_widgets.tensors.sampling import evenly_spread
from convviz_widgets.tensors.strokes import Brush

__all__ = [
    "BACKGROUND",
    "COLORS",
    "DIVERGING",
    "HATCH_DARK",
    "HATCH_LIGHT",
    "NOT_A_NUMBER",
    "PERCENTILES",
    "SEQUENTIAL",
    "SIGMAS",
    "SMOOTHING",
    "Box",
    "Brush",
    "DepthSlope",
    "Distribution",
    "FilterQuality",
    "FilterTiles",
    "Histogram",
    "Limits",
    "Moments",
    "Mosaic",
    "channel_limits",
    "class_colours",
    "colourfulness",
    "common_edges",
    "concentration",
    "constant_maps",
    "depth_slope",
    "distribution",
    "dominant_frequency",
    "evenly_spread",
    "filter_order",
    "filter_quality",
    "filter_tiles",
    "full_limits",
    "grouped",
    "histogram",
    "log_limits",
    "merged",
    "noisiness",
    "noisy_share",
    "normalize",
    "paint_shares",
    "palette",
    "palette_png",
    "quantize",
    "rgb_png",
    "shares",
    "smooth",
    "sparsity",
    "summary",
    "symmetric_limits",
    "thin",
    "to_display_array",
    "to_rgba",
    "variance_entropy",
    "zero_anchored_limits",
]
