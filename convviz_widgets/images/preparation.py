"""Preparation: how pictures of any kind become images as a model takes them, and says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from convviz_widgets.errors import InputError, at_least, in_one_line
from convviz_widgets.images.items import DatasetItems, Keys, kind_of
from convviz_widgets.images.pixels import Pixels, in_channels, pixels_of, size_of
from convviz_widgets.images.preprocessing import Preprocessing

CACHE_BYTES = 128 * 2**20
"""Bytes of prepared pictures that are kept, so that none is decoded for each look at it."""

MOST_PIXELS = 2**26
"""Pixels that a prepared picture may have: in RGB they take 0.8 GB."""

Transform = Callable[[Image.Image], Any]


@dataclass(frozen=True, eq=False)
class Preparation:
    """What is done to a picture before a model takes it.

    Attributes
    ----------
    size : height and width in pixels: the picture is scaled to cover them, as a resize of the
        shorter side does for a square, and the middle is cut out; None: as it is.
    channels : 1 or 3.
    mean, std : what is subtracted of pictures in [0, 1], and what divides them, or None; of a
        ``transform`` what it did itself.
    transform : takes the picture, returns the tensor (C, H, W); None: the pixels in [0, 1].
    found : whether mean and std were found in the transform.
    """

    size: tuple[int, int] | None = None
    channels: int = 3
    mean: Any = None
    std: Any = None
    transform: Transform | None = None
    found: bool = False

    @classmethod
    def asked(cls, size: Any, channels: Any, mean: Any, std: Any, transform: Any) -> Preparation:
        """Return what these arguments ask for; raise `InputError` for one that cannot be."""
        if channels not in (1, 3):
            raise InputError(f"channels: expected 1 (grey) or 3 (RGB), got {channels!r}")
        if transform is not None and not callable(transform):
            raise InputError(f"transform: expected a function of a picture, got {transform!r}")
        found = normalize_of(transform) if mean is None and std is None else None
        mean, std = found or (mean, std)
        if transform is None and (mean is not None or std is not None):
            Preprocessing.stated(mean, std, (channels, 1, 1)).refuse_bytes()
        return cls(_checked_size(size), channels, mean, std, transform, found is not None)

    def __call__(self, picture: Any, called: str) -> Tensor:
        """Return a picture, as `pixels_of` takes it, as the model takes it: (C, H, W)."""
        pixels = in_channels(pixels_of(picture, called), self.channels)
        if self.size is not None:
            pixels = _fitted(pixels, self.size)
        if self.transform is not None:
            return self._transformed(pixels, called)
        values = _values(pixels)
        if self.mean is None and self.std is None:
            return values
        stated = Preprocessing.stated(self.mean, self.std, tuple(values.shape))
        return (values - stated.shift.reshape(-1, 1, 1)) / stated.scale.reshape(-1, 1, 1)

    def __str__(self) -> str:
        said = ["grey" if self.channels == 1 else "RGB"]
        if self.size is not None:
            cut = "×".join(map(str, self.size))
            said.insert(0, f"scaled to cover {cut} pixels, the middle cut out")
        if self.transform is None:
            said[-1] += " in 0 to 1"
        else:
            said.append(f"transform {type(self.transform).__name__}")
        if self.mean is not None or self.std is not None:
            where = ", found in the transform" if self.found else ""
            mean, std = (d if v is None else v for v, d in ((self.mean, 0), (self.std, 1)))
            said.append(f"mean {_short(mean)}, std {_short(std)}{where}")
        return " · ".join(said)

    def _transformed(self, pixels: Pixels, called: str) -> Any:
        assert self.transform is not None
        try:
            made = self.transform(_as_picture(pixels))
        except InputError:
            raise
        except Exception as error:  # whatever a transform may raise
            raise InputError(
                f"transform raised on {called}: {in_one_line(error)}; it is given a PIL image, and "
                "returns a floating tensor (C, H, W)"
            ) from error
        if not isinstance(made, Tensor) or not made.is_floating_point():
            raise InputError(
                f"transform returns {kind_of(made)}; expected a floating tensor (C, H, W), as "
                "ToTensor gives"
            )
        return made


class Pictures:
    """A data set of pictures, each prepared when it is read; those read last are kept.

    Parameters
    ----------
    sources : pictures as `pixels_of` takes them, or (picture, label); a list or a map-style data
        set.
    preparation : what is done to each.
    names : how errors call them.
    remarks : what is done to some of them.
    keys : where in an item of a data set the picture and the label are.

    Attributes
    ----------
    keeps_images : whether what is read twice is the same tensor, as long as it is kept, and nobody
        writes to it.
    problems : name → one line, for those that could not be read so far.
    said : what is done to them, in one line.
    """

    def __init__(
        self,
        sources: Any,
        preparation: Preparation,
        names: Sequence[str] | None = None,
        remarks: Sequence[str] = (),
        keys: Keys | None = None,
    ) -> None:
        self._items = DatasetItems(sources, keys, steady=False)
        self._preparation = preparation
        self.keeps_images = preparation.transform is None  # what that gives is seen each time
        self.said = " · ".join([str(preparation), *remarks])
        self._names = names
        self.problems: dict[str, str] = {}
        self._kept: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        kept = self._kept.get(index)
        if kept is None:
            kept = self._made(index)
            if self.keeps_images:
                self._keep(index, kept)
        return kept

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_kept": {}}

    def name(self, index: int) -> str:
        """Return the name of a picture."""
        return f"image {index}" if self._names is None else self._names[index]

    def _made(self, index: int) -> tuple[Any, Any]:
        picture, beside = self._items.parts(index)
        try:
            return self._preparation(picture, self.name(index)), beside
        except InputError as error:
            self.problems[self.name(index)] = str(error)
            raise

    def _keep(self, index: int, made: tuple[Tensor, Any]) -> None:
        room = max(1, CACHE_BYTES // max(1, made[0].nbytes))
        for oldest in list(self._kept)[: max(0, len(self._kept) + 1 - room)]:
            self._kept.pop(oldest, None)  # another thread may have done so
        self._kept[index] = made


def normalize_of(transform: Any) -> tuple[Any, Any] | None:
    """Return mean and std of the Normalize that a transform ends with; None: it has none.

    Nothing may follow it but what leaves the values as they are.
    """
    steps = getattr(transform, "transforms", None)
    if steps is None and isinstance(transform, torch.nn.Sequential):
        steps = list(transform)
    for step in reversed([transform] if steps is None else list(steps)):
        mean, std = getattr(step, "mean", None), getattr(step, "std", None)
        if mean is not None and std is not None:
            return _of_pictures(mean, std)
        if type(step).__name__ not in _LEAVES_VALUES:
            return None
    return None


_LEAVES_VALUES = {"ToTensor", "ToTensorV2", "ToPureTensor", "Identity"}
"""Steps that may follow a Normalize."""


def _of_pictures(mean: Any, std: Any) -> tuple[Any, Any] | None:
    try:
        Preprocessing.stated(mean, std, (torch.as_tensor(mean).numel(), 1, 1)).refuse_bytes()
    except Exception:  # of another kind than is meant here: the range is read off
        return None
    return mean, std


def _checked_size(size: Any) -> tuple[int, int] | None:
    if size is None:
        return None
    sides = tuple(size) if isinstance(size, tuple | list) else (size, size)
    if len(sides) != 2:
        raise InputError(f"size: expected one number of pixels, or (height, width), got {size!r}")
    height, width = (at_least(1, "size", side) for side in sides)
    if height * width > MOST_PIXELS:
        raise InputError(
            f"size: {height:,}×{width:,} are {height * width:,} pixels; at most {MOST_PIXELS:,}"
        )
    return height, width


def _fitted(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Return the middle of a picture that is scaled, antialiased, to just cover a size."""
    height, width = size
    scaled = _covering(size, pixels)
    if scaled[0] * scaled[1] > 4 * MOST_PIXELS:  # a strip: most of it would be cut off again
        pixels = _middle(pixels, size)
        scaled = _covering(size, pixels)
    top, left = (round((have - want) / 2) for have, want in zip(scaled, size, strict=True))
    if isinstance(pixels, Image.Image):
        larger = pixels.resize(scaled[::-1], Image.Resampling.BILINEAR)
        return larger.crop((left, top, left + width, top + height))
    planes = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None]
    grown = F.interpolate(planes, scaled, mode="bilinear", antialias=True)[0].clamp(0, 1)
    return grown[:, top : top + height, left : left + width].permute(1, 2, 0).numpy()


def _covering(size: tuple[int, int], pixels: Pixels) -> tuple[int, int]:
    """Return the height and width of a picture that is scaled to just cover a size."""
    (height, width), (rows, columns) = size, size_of(pixels)
    if height * columns >= width * rows:
        return height, max(width, int(height * columns / rows))
    return max(height, int(width * rows / columns)), width


def _middle(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """Return the middle of a strip, twice as long as is wanted of it at most."""
    rows, columns = size_of(pixels)
    most = 2 * min(rows, columns) * -(-max(size) // min(size))
    # An odd length keeps an odd middle: half a pixel would be scaled, too.
    tall, wide = (side if side <= most else most + (side - most) % 2 for side in (rows, columns))
    top, left = (rows - tall) // 2, (columns - wide) // 2
    if isinstance(pixels, Image.Image):
        return pixels.crop((left, top, left + wide, top + tall))
    return pixels[top : top + tall, left : left + wide]


def _values(pixels: Pixels) -> Tensor:
    """Return pixels as a tensor (C, H, W) in [0, 1]."""
    if isinstance(pixels, Image.Image):
        array = np.array(pixels)
        array = array[..., None] if array.ndim == 2 else array
        return torch.from_numpy(array).permute(2, 0, 1).float().div(255).contiguous()
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(pixels, 2, 0)))


def _as_picture(pixels: Pixels) -> Image.Image:
    if isinstance(pixels, Image.Image):
        return pixels
    array = (pixels * 255).round().astype(np.uint8)
    return Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)


def _short(numbers: Any) -> str:
    values = torch.as_tensor(numbers, dtype=torch.float64).flatten().tolist()
    texts = [f"{value:.3g}" for value in values]
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"
