"""Uploaded picture files, read with limits on format and size, whatever is in them."""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from convviz_widgets.errors import InputError, error_text
from convviz_widgets.images.pixels import on_white

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
"""Formats that are read; some others that Pillow knows start programs or open other files."""

MOST_BYTES = 16 * 2**20

MOST_PIXELS = 40_000_000
"""A file of a few bytes may stand for gigabytes of pixels; one this large takes 120 MB."""


def read_picture(name: str, content: bytes, height: int, width: int) -> np.ndarray:
    """Return the picture in a file at another size, its middle cut out: uint8 (height, width, 3).

    What is transparent becomes white; a turned photograph is set upright.

    Parameters
    ----------
    name : name of the file, for errors alone.
    content : its bytes, which nobody has checked.
    height, width : size of the result, in pixels.

    Raises
    ------
    InputError
        In one line: too large, no picture, of another format, or broken.
    """
    called = f"{name[:60]!r}"
    if len(content) > MOST_BYTES:
        raise InputError(f"{called} has {len(content):,} bytes; a picture may have {MOST_BYTES:,}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a picture's size, which is checked here
            with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
                _refuse_too_many_pixels(called, picture)
                picture.draft("RGB", (2 * width, 2 * height))  # of a JPEG, less is decoded
                upright = on_white(ImageOps.exif_transpose(picture))
                fitted = ImageOps.fit(upright, (width, height), Image.Resampling.BOX)
    except InputError:
        raise
    except Exception as error:  # Pillow raises a dozen kinds, struct.error and SyntaxError too
        known = ", ".join(FORMATS)
        is_none = isinstance(error, UnidentifiedImageError)  # its text names an object in memory
        why = "" if is_none else f" ({error_text(error, 120)})"
        raise InputError(f"{called} cannot be read as a picture; expected {known}{why}") from error
    return np.asarray(fitted)


def _refuse_too_many_pixels(called: str, picture: Image.Image) -> None:
    width, height = picture.size
    if width * height > MOST_PIXELS:
        raise InputError(
            f"{called} has {width:,} × {height:,} pixels; a picture may have {MOST_PIXELS:,}"
        )
