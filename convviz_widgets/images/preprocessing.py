"""Preprocessing: how pictures are shifted and scaled for a model, done and undone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from convviz_widgets.errors import InputError
from convviz_widgets.images.checks import channels_last, channels_last_hint

LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in the luma of a colour [ITU-R BT.601]."""


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """What was done to pictures in [0, 1] before a model: ``(picture - shift) / scale``.

    Attributes
    ----------
    shift, scale : (C,) or (1,), float32.
    """

    shift: Tensor
    scale: Tensor

    @classmethod
    def stated(
        cls,
        mean: float | Sequence[float] | None,
        std: float | Sequence[float] | None,
        shape: tuple[int, ...],
    ) -> Preprocessing:
        """Return the one with this mean (default 0) and std (default 1), by channel or for all.

        ``shape`` (C, H, W) is that of the images.
        """
        shift = _numbers("mean", 0.0 if mean is None else mean, shape)
        scale = _numbers("std", 1.0 if std is None else std, shape)
        if not bool((scale > 0).all()):
            raise InputError(f"std must be above zero, got {std}")
        return cls(shift, scale)

    def refuse_if_in_bytes(self, image: Tensor) -> None:
        """Raise `InputError` where mean or std count in 0 to 255, as an image (C, H, W) shows."""
        if not self._is_of_pictures(image):
            self.refuse_bytes(lambda right: right._is_of_pictures(image))

    def refuse_bytes(self, fits: Callable[[Preprocessing], bool] = lambda right: True) -> None:
        """Raise `InputError` where mean or std are above 1, and fit if they are divided by 255."""
        mean_in_bytes, std_in_bytes = bool(self.shift.max() > 1), bool(self.scale.max() > 1)
        # Bytes less their mean, not scaled at all, are of std 1 in bytes.
        unscaled = mean_in_bytes and bool((self.scale == 1).all())
        parts = [(255 if mean_in_bytes else 1, 255 if std_in_bytes or unscaled else 1)]
        if mean_in_bytes:
            parts.append((255, 255))
        ways = (Preprocessing(self.shift / mean, self.scale / std) for mean, std in parts)
        right = next(filter(fits, ways), self)
        if right is not self and (mean_in_bytes or std_in_bytes):
            raise InputError(
                f"mean {_listed(self.shift)} and std {_listed(self.scale)} count in 0 to 255, but "
                "pictures here are in 0 to 1; divide by 255: "
                f"mean={_listed(right.shift)}, std={_listed(right.scale)}"
            )

    def _is_of_pictures(self, image: Tensor) -> bool:
        """Tell whether undoing this gives about what a picture holds, 0 to 1."""
        ends = [_finite_range(channel.to("cpu")) for channel in image.detach()]
        undone = torch.tensor(ends) * self.scale.reshape(-1, 1) + self.shift.reshape(-1, 1)
        return bool(undone.min() > -0.5 and undone.max() < 1.5)

    @classmethod
    def read_off(cls, images: Tensor) -> Preprocessing:
        """Return the one that shows images of unknown preprocessing.

        Values in [0, 1] are taken as they are, others from zero up as [0, 255]; where there are
        negative ones, the extremes become black and white.
        """
        low, high = _finite_range(images)
        if low >= 0:
            low, high = 0.0, 1.0 if high <= 1 else max(high, 255.0)
        span = max(high - low, 1e-12)
        return cls(torch.tensor([-low / span]), torch.tensor([1 / span]))

    def undone(self, image: Tensor) -> np.ndarray:
        """Return an image (C, H, W) as a picture, uint8 (H, W, 3), rounded and clipped.

        Grey is repeated; of more than three channels the first three are shown.
        """
        values = image.detach().to("cpu", torch.float32)
        # In place, because an image of 4K takes 100 MB each time that it is copied.
        picture = (values * self.scale.reshape(-1, 1, 1)).add_(self.shift.reshape(-1, 1, 1))
        scaled = picture.nan_to_num_(0.0, 1.0, 0.0).clamp_(0, 1).mul_(255).round_()
        pixels = scaled.to(torch.uint8)
        rgb = pixels[:3] if len(pixels) >= 3 else pixels[:1].expand(3, -1, -1)
        return rgb.permute(1, 2, 0).contiguous().numpy()

    def done(self, picture: np.ndarray, channels: int) -> Tensor:
        """Return a picture, (H, W, 3) in [0, 255], as the model takes it: (channels, H, W).

        For one channel or two it is made grey (luma of ITU-R 601, as Pillow has it); more than
        three have its colours first, then its grey.
        """
        colours = torch.from_numpy(np.asarray(picture, np.float32) / 255).permute(2, 0, 1)
        grey = (colours * torch.tensor(LUMA).reshape(3, 1, 1)).sum(dim=0, keepdim=True)
        known = [colours] if channels >= 3 else []
        planes = torch.cat([*known, grey.expand(channels - 3 * len(known), -1, -1)])
        return (planes - self.shift.reshape(-1, 1, 1)) / self.scale.reshape(-1, 1, 1)


def _finite_range(images: Tensor) -> tuple[float, float]:
    """Return the smallest and the largest finite value; 0 and 1 where there is none."""
    if images.numel():
        ends = torch.stack(images.aminmax()).to(torch.float32)
        if bool(ends.isfinite().all()):  # a NaN anywhere would be both
            return ends[0].item(), ends[1].item()
    finite = images[images.isfinite()].to(torch.float32)
    return (finite.min().item(), finite.max().item()) if len(finite) else (0.0, 1.0)


def _listed(numbers: Tensor) -> str:
    texts = [f"{number:.6g}" for number in numbers.tolist()]
    return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"


def _numbers(what: str, value: float | Sequence[float], shape: tuple[int, ...]) -> Tensor:
    try:
        numbers = torch.as_tensor(value, dtype=torch.float32).flatten()
    except (TypeError, ValueError, RuntimeError):  # a text, say
        numbers = torch.tensor([torch.nan])
    if not bool(numbers.isfinite().all()):
        raise InputError(f"{what}: expected one number or one per channel, got {value!r}")
    if len(numbers) not in (1, shape[0]):
        order = f"; they look like {channels_last_hint(4)}" if channels_last(shape) else ""
        raise InputError(
            f"{what} has {len(numbers)} numbers; the images have {shape[0]} channels{order}"
        )
    return numbers
