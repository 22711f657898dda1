"""Colour slots: the 256 entries of a palette picture, for values and for what is no value."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_rgb

from convviz_widgets.errors import InputError, unknown

COLORS = 249
"""Number of slots for values. Odd, so that the middle of a signed scale has a slot of its own."""

HATCH_DARK, HATCH_LIGHT, NOT_A_NUMBER, BACKGROUND = 252, 253, 254, 255
"""Slots for what is no value. Dark and light stripes lie side by side: on any colour, in a light
and in a dark theme, one of the two stands out. Magenta (NaN) is in none of the scales."""

SEQUENTIAL = ("viridis", "magma", "inferno", "cividis", "gray")
"""Scales from dark to light, for values from zero up."""

DIVERGING = ("blue-orange", "purple-green", "gray")
"""Scales whose middle is mid-grey, for signed values. The coloured ones get lighter to both sides
(those of matplotlib have a white or black middle, which reads as an extreme on one of the two
themes); gray, from black over mid-grey to white, is how filters are usually printed."""

SPECIAL_COLORS = {
    HATCH_DARK: (64, 64, 64, 255),
    HATCH_LIGHT: (190, 190, 190, 255),
    NOT_A_NUMBER: (255, 0, 255, 255),
    BACKGROUND: (0, 0, 0, 0),
}

CLASSES = (
    *("#000000", "#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7"),
    *("#88ccee", "#882255", "#117733", "#ddcc77", "#332288", "#aa4499", "#44aa99", "#999933"),
)
"""Colours of classes, which the colour-blind can tell apart: first those of Okabe and Ito, with
black for class 0, which is mostly the background; then Tol's. Later classes have them paler."""

_PALER = 0.6

_BUILT: dict[str, Colormap] = {
    "blue-orange": LinearSegmentedColormap.from_list(
        "blue-orange", ["#9fdcff", "#2f7fe0", "#808080", "#d9622b", "#ffd98a"]
    ),
    "purple-green": LinearSegmentedColormap.from_list(
        "purple-green", ["#e6ccff", "#9457d6", "#808080", "#3a9a4b", "#c9f5b0"]
    ),
}


@lru_cache
def palette(name: str) -> np.ndarray:
    """Return the colours of all slots: uint8 (256, 4) RGBA, read-only.

    Raises
    ------
    InputError
        For a name that is in neither `SEQUENTIAL` nor `DIVERGING`.
    """
    names = tuple(dict.fromkeys(SEQUENTIAL + DIVERGING))
    if name not in names:
        raise InputError(unknown("colour map", name, names, "there are"))
    scale = _BUILT.get(name) or colormaps[name]
    colors = np.zeros((256, 4), np.uint8)
    colors[:COLORS] = scale(np.linspace(0, 1, COLORS), bytes=True)
    for slot, color in SPECIAL_COLORS.items():
        colors[slot] = color
    colors.flags.writeable = False
    return colors


def class_colours(count: int) -> np.ndarray:
    """Return a colour for each of so many classes: uint8 (count, 3)."""
    colours = np.array([to_rgb(colour) for colour in CLASSES])
    index = np.arange(count)
    strength = _PALER ** (index // len(CLASSES))[:, np.newaxis]
    shades = 1 - strength * (1 - colours[index % len(CLASSES)])
    return np.rint(shades * 255).astype(np.uint8)


def quantize(normalized: np.ndarray) -> np.ndarray:
    """Return the colour slot of each value in [0, 1]: uint8, same shape; NaN has its own slot."""
    return _steps(normalized, COLORS - 1, missing=NOT_A_NUMBER)


def to_rgba(normalized: np.ndarray) -> np.ndarray:
    """Return the pixels of colours (..., 3) in [0, 1]: uint8 (..., 4), opaque.

    A pixel with a NaN gets the colour of NaN.
    """
    pixels = np.full((*normalized.shape[:-1], 4), 255, np.uint8)
    pixels[..., :3] = _steps(normalized, 255, missing=0)
    pixels[np.isnan(normalized).any(axis=-1)] = SPECIAL_COLORS[NOT_A_NUMBER]
    return pixels


def _steps(normalized: np.ndarray, steps: int, missing: int) -> np.ndarray:
    """Return the nearest of the numbers 0 to `steps`, or `missing` for NaN."""
    scaled = np.empty(normalized.shape, np.float32)
    np.multiply(normalized, np.float32(steps), out=scaled)
    scaled += 0.5  # the cast below cuts off
    absent = np.isnan(scaled)
    if absent.any():
        scaled[absent] = missing
    return scaled.astype(np.uint8)
