"""Drawing: an input that was drawn, and stands in for that of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from convviz_widgets.errors import SelectionError


@dataclass(frozen=True, eq=False)
class Drawing:
    """What the model is shown instead of an image of the set; equal to nothing but itself."""

    image: int
    """Index of the image that it stands in for, and whose label it keeps."""
    input: Tensor
    """``(C, H, W)``, as the model takes it; only to be read."""
    how: str = "painted over"
    """What was done to the image, for captions."""

    def __str__(self) -> str:
        return f"image {self.image}, {self.how}"


Shown = int | Drawing
"""What the model is shown: an image, by its index, or a drawing that stands in for one."""


def image_of(shown: Shown) -> int:
    """Return the index of the image that is shown, or stood in for."""
    return shown.image if isinstance(shown, Drawing) else shown


def shown_name(shown: Shown) -> str:
    """Name what is shown: "image 5", or "image 5, painted over"."""
    return str(shown) if isinstance(shown, Drawing) else f"image {shown}"


def checked_drawing(value: Any, image: int, shape: tuple[int, ...]) -> Drawing | None:
    """Return the drawing that a value stands for: the input itself is copied.

    Raises
    ------
    SelectionError
        If it is no floating tensor of this shape ``(C, H, W)``, or drawn for another image.
    """
    if value is None:
        return None
    if isinstance(value, Drawing) and value.image != image:
        raise SelectionError(f"drawing: expected one of image {image}, got {value}")
    given = value.input if isinstance(value, Drawing) else value
    if not isinstance(given, Tensor) or not given.is_floating_point() or given.shape != shape:
        kind = f"{given.dtype} {tuple(given.shape)}" if isinstance(given, Tensor) else repr(given)
        raise SelectionError(
            f"drawing: expected a floating tensor {shape} as the model takes it, got {kind[:80]}"
        )
    return value if isinstance(value, Drawing) else Drawing(image, given.detach().clone())
