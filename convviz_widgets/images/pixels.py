"""The pixels of pictures as people have them: files, PIL images, arrays and tensors."""

from __future__ import annotations

import os
import stat
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from convviz_widgets.errors import InputError, error_text
from convviz_widgets.images.checks import COLOURS
from convviz_widgets.images.items import kind_of
from convviz_widgets.images.preprocessing import LUMA

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
"""Formats that are read; some others that Pillow knows start programs or open other files."""

ENDINGS = frozenset(
    [
        ".png",
        ".jpg",
        ".jpeg",
        ".jfif",
        ".webp",
        ".bmp",
        ".tif",
        ".tiff",
        ".gif",
        ".ppm",
        ".pgm",
        ".pnm",
    ]
)
"""Endings of files that are taken for pictures."""

_ORIENTATION = 0x0112

_TURNED = (5, 6, 7, 8)
"""Orientations that swap the sides."""

Pixels = Image.Image | np.ndarray
"""A picture of 8 bits, of mode L or RGB; or, where there are more, float32 (H, W, C) in [0, 1]."""


def pixels_of(value: Any, called: str) -> Pixels:
    """Return the pixels of a picture, upright, on white where it is transparent.

    Parameters
    ----------
    value : a path, a PIL image, or an array or tensor: (H, W), (H, W, C) or (C, H, W) with 1, 3 or
        4 channels, whole numbers in 0 to 255, 16 bits without a sign, or floats in 0 to 1.
    called : how an error names it.

    Raises
    ------
    InputError
        It cannot be read, or it cannot be told what its numbers mean.
    """
    if isinstance(value, str | os.PathLike):
        with opened(Path(value).expanduser(), called) as picture:
            return _decoded(picture, called)
    if isinstance(value, Image.Image):
        return _decoded(value, called)
    if isinstance(value, Tensor | np.ndarray):
        return _of_array(value, called)
    raise InputError(
        f"{called}: expected a path, a PIL image, an array or a tensor, got {kind_of(value)}"
    )


def opened(path: Path, called: str) -> Image.Image:
    """Open a picture file: its head alone is read.

    Raises
    ------
    InputError
        There is no such file, it is no picture, or one that claims to be too large.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for ever
            raise InputError(f"{called} is no file; ImageSet.from_folder reads folders")
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(path, formats=FORMATS)
    except InputError:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        most = f"{Image.MAX_IMAGE_PIXELS:,} (PIL.Image.MAX_IMAGE_PIXELS)"
        raise InputError(f"{called} claims to have more pixels than {most}") from error
    except Exception as error:  # Pillow raises a dozen kinds
        raise InputError(f"{called} {_why_unread(error)}") from error


def in_channels(pixels: Pixels, channels: int) -> Pixels:
    """Return pixels in grey (1 channel, luma of ITU-R 601) or colour (3)."""
    if isinstance(pixels, Image.Image):
        return pixels.convert("L" if channels == 1 else "RGB")
    if pixels.shape[2] == channels:
        return pixels
    return np.repeat(pixels, 3, axis=2) if channels == 3 else (pixels @ _LUMA)[..., None]


_LUMA = np.array(LUMA, np.float32)


def on_white(picture: Image.Image) -> Image.Image:
    """Return a picture in RGB, on white where it is transparent."""
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layered = picture.convert("RGBA")
    behind = Image.new("RGBA", layered.size, (255, 255, 255, 255))
    return Image.alpha_composite(behind, layered).convert("RGB")


def size_of(pixels: Pixels) -> tuple[int, int]:
    """Return height and width."""
    if isinstance(pixels, Image.Image):
        return pixels.height, pixels.width
    return pixels.shape[0], pixels.shape[1]


def orientation_of(picture: Image.Image) -> int:
    """Return how a photograph is turned, 1 to 8 [EXIF]; 1 where it does not say."""
    if picture.format not in ("JPEG", "MPO", "WEBP", "TIFF") and "exif" not in picture.info:
        return 1  # of a PNG, to look for it would decode all of it
    try:
        orientation = int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # broken notes do not make a broken picture
        return 1
    return orientation if orientation in range(1, 9) else 1


def upright_size(picture: Image.Image) -> tuple[int, int]:
    """Return height and width of a PIL image, once it is upright."""
    width, height = picture.size
    return (width, height) if orientation_of(picture) in _TURNED else (height, width)


def array_size(array: Tensor | np.ndarray) -> tuple[int, int]:
    """Return height and width of an array or a tensor, whichever axis its channels are on."""
    plain = _as_array(array)
    return size_of(_colours_last(plain, "a picture", prefers_first=isinstance(array, Tensor)))


def _why_unread(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):  # its text names an object in memory
        return f"cannot be read as a picture; expected {', '.join(FORMATS)}"
    text = error.strerror if isinstance(error, OSError) and error.strerror else error_text(error)
    return f"cannot be read: {text}"


def _decoded(picture: Image.Image, called: str) -> Pixels:
    try:
        picture.seek(0)  # of an animation, the first frame
        upright = ImageOps.exif_transpose(picture)
        if upright.mode in ("I", "F") or upright.mode.startswith("I;16"):
            return _deep(np.asarray(upright), called)
        if upright.mode in ("1", "L") and not upright.has_transparency_data:
            return upright.convert("L")
        return on_white(upright)
    except InputError:
        raise
    except Exception as error:  # a file that breaks off shows when it is decoded
        raise InputError(f"{called} {_why_unread(error)}") from error


def _deep(values: np.ndarray, called: str) -> np.ndarray:
    """Return grey of more than 8 bits, (H, W), as float32 (H, W, 1) in [0, 1]."""
    if values.dtype.kind == "f":
        return _checked_floats(values.astype(np.float32), called)[..., None]
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65_535:
        raise InputError(f"{called} holds whole numbers from {low:,} to {high:,}; at most 16 bits")
    grey: np.ndarray = values.astype(np.float32)[..., None] / 65_535
    return grey


def _of_array(value: Tensor | np.ndarray, called: str) -> Pixels:
    is_tensor = isinstance(value, Tensor)
    array = _as_array(value)
    array = _colours_last(array, called, prefers_first=is_tensor)
    if array.dtype.kind == "f":
        return _flat(_checked_floats(array.astype(np.float32), called))
    if array.dtype == np.uint16:
        return _flat(array.astype(np.float32) / 65_535)
    if array.dtype == bool:
        array = array * np.uint8(255)
    if array.dtype.kind not in "iu" or array.min() < 0 or array.max() > 255:
        span = f" from {array.min():,} to {array.max():,}" if array.dtype.kind in "iu" else ""
        raise InputError(
            f"{called} holds {array.dtype}{span}; expected 0 to 255, or floats in 0 to 1"
        )
    array = np.ascontiguousarray(array.astype(np.uint8))
    picture = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
    return on_white(picture) if array.shape[2] == 4 else picture


def _as_array(value: Tensor | np.ndarray) -> np.ndarray:
    if not isinstance(value, Tensor):
        return value
    plain = value.detach().cpu()
    return np.asarray((plain.float() if plain.is_floating_point() else plain).numpy())


def _colours_last(array: np.ndarray, called: str, *, prefers_first: bool) -> np.ndarray:
    """Return (H, W, C) of that or of (C, H, W); a tensor is rather the latter."""
    if array.ndim == 2 and array.size:
        return array[..., None]
    if array.ndim == 3 and array.size:
        last, first = array.shape[2] in COLOURS, array.shape[0] in COLOURS
        if first and (prefers_first or not last):
            return np.moveaxis(array, 0, 2)
        if last:
            return array
    raise InputError(
        f"{called} has shape {array.shape}; expected (H, W, C) or (C, H, W) of 1, 3 or 4 channels"
    )


def _checked_floats(values: np.ndarray, called: str) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 1:
        return values
    held = f"{called} holds floats from {low:.3g} to {high:.3g}; expected 0 to 1"
    if low >= 0 and high <= 255:
        raise InputError(f"{held}: divide by 255")
    raise InputError(f"{held}: what is normalised already goes into ImageSet(tensor, mean=, std=)")


def _flat(colours: np.ndarray) -> np.ndarray:
    """Return floats (H, W, C) of 1 or 3 channels, those with a fourth on white."""
    if colours.shape[2] != 4:
        return colours
    alpha = colours[..., 3:]
    flat: np.ndarray = colours[..., :3] * alpha + (1 - alpha)
    return flat
