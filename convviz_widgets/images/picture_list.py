"""Lists of pictures: what somebody has in hand as something to index, and what it is like."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from convviz_widgets.errors import InputError
from convviz_widgets.images.checks import COLOURS, described
from convviz_widgets.images.folder import head_of, in_text
from convviz_widgets.images.items import DatasetItems, is_image
from convviz_widgets.images.pixels import array_size, upright_size


def picture_list(pictures: Any, channels: int | None) -> Any:
    """Return pictures as something to index: one array or picture, too.

    Three planes alone are one picture in colour, or three in grey: ``channels`` tells.

    Raises
    ------
    InputError
        It cannot be indexed, or holds nothing.
    """
    if isinstance(pictures, str | os.PathLike | Image.Image):
        return [pictures]
    if isinstance(pictures, Tensor | np.ndarray):
        return [pictures] if _is_one(pictures, channels) else list(pictures)
    if not (hasattr(pictures, "__len__") and hasattr(pictures, "__getitem__")):
        more = "; give its .dataset" if hasattr(pictures, "dataset") else "; list(...) makes one"
        raise InputError(f"pictures: expected a list, got {type(pictures).__name__}{more}")
    if isinstance(pictures, Mapping):
        raise InputError("pictures: expected a list, got a dict; list(pictures.values()) makes one")
    return pictures


def channels_of(sources: Any) -> int:
    """Return 1 where all pictures are grey, as far as that shows without reading files, else 3."""
    some = sources if isinstance(sources, list | tuple) else (sources[i] for i in range(1))
    return 1 if all(_is_grey(DatasetItems([each]).parts(0)[0]) for each in some) else 3


def sizes_of(sources: Any) -> Counter[tuple[int, int]]:
    """Return how many pictures of a list are of each height and width; of a data set nothing."""
    if not isinstance(sources, list | tuple):
        return Counter()
    return Counter(size for each in sources if (size := _size_ahead(each)) is not None)


def names_of(sources: Any) -> tuple[str, ...] | None:
    """Return the names of the files in a list of paths; None for anything else."""
    if isinstance(sources, list | tuple) and all(isinstance(s, str | os.PathLike) for s in sources):
        return tuple(in_text(Path(source).name) for source in sources)
    return None


def _is_one(array: Any, channels: int | None) -> bool:
    """Tell whether an array or tensor is one picture, and not several."""
    if array.ndim != 3 or array.shape[2] in COLOURS or len(array) == 1:
        return bool(array.ndim < 4)
    if len(array) == 3 and channels is None:
        raise InputError(
            f"{described(array)} is one picture in colour, or three in grey: channels=3 or "
            "channels=1 tells which"
        )
    return len(array) == 3 and channels == 3


def _is_grey(picture: Any) -> bool:
    if isinstance(picture, Image.Image):
        return picture.mode[0] in "1LIF" and picture.mode not in ("LAB", "LA")
    if isinstance(picture, Tensor | np.ndarray):
        return picture.ndim == 2 or (
            picture.ndim == 3 and 1 in (picture.shape[0], picture.shape[-1])
        )
    return False


def _size_ahead(source: Any) -> tuple[int, int] | None:
    """Return height and width without decoding anything; None where they do not show."""
    picture = DatasetItems([source]).parts(0)[0]
    if isinstance(picture, str | os.PathLike):
        return head_of(Path(picture).expanduser(), str(picture)).size
    if isinstance(picture, Image.Image):
        return upright_size(picture)
    return array_size(picture) if is_image(picture) else None
