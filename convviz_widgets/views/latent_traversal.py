"""LatentTraversal: a strip of pictures for each latent factor, the others held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Unpack

import numpy as np
import torch
from ipywidgets import Box, Layout, Widget
from torch import Tensor
from traitlets import Enum, Float, Int

from convviz_widgets.errors import InputError, whole_number
from convviz_widgets.probe.decoder import Decode, traversal_change, traversal_codes
from convviz_widgets.state import ModelState, Selection
from convviz_widgets.tensors import Mosaic
from convviz_widgets.widgets.controls import choice, line, number
from convviz_widgets.widgets.frames import Frame
from convviz_widgets.widgets.mosaic_view import MosaicView, Picture, Tiles
from convviz_widgets.widgets.text import StripLabels
from convviz_widgets.widgets.view import ViewOptions

VALUES = 11
"""Pictures in a strip; the middle one stands for zero."""

TILE, GAP = 40, 2
"""Largest side of a picture, and what lies between two, in CSS pixels."""

ROWS = 10
"""Most strips that are shown at a time."""

ORDERS = {"by how much they change": "change", "by number": "number"}

HELD = {"at the image's code": "image", "at zero": "zero"}


@dataclass(frozen=True)
class Strips(Tiles):
    """Pictures of the factors that are shown, strip by strip."""

    factors: tuple[int, ...] = ()
    change: tuple[float, ...] = ()
    """How much each factor that is shown changes the pictures, in their units."""
    settings: tuple[float, ...] = ()
    """What the factor is set to, along a strip."""
    code: tuple[float, ...] = ()
    """The code that the others are held at, all factors."""


class LatentTraversalOptions(ViewOptions, total=False):
    """Options of `LatentTraversal`."""

    order: Literal["change", "number"]
    held: Literal["image", "zero"]
    span: float
    first: int


class LatentTraversal(MosaicView):
    """One strip a latent factor: it runs from end to end, the others are held.

    A factor without effect leaves its strip as it is; training a variational autoencoder usually
    leaves some [Higgins et al., ICLR 2017].

    Parameters
    ----------
    state
        The `ModelState`; its clock scrubs the decoder, if that is part of the model.
    decode
        A function of codes (B, Z) that returns pictures (B, C, H, W): ``model.decode``, a
        decoder module, or any other; see `Decoder`.
    size
        Z, how many factors a code has; default: those of the layer ``code``.
    code
        The layer whose output is the image's code, such as the means of a variational
        autoencoder. Without it the other factors are held at zero.

    Raises
    ------
    InputError
        There is no decoder, or no telling how many factors a code has.

    Examples
    --------
    >>> decoder = nn.Sequential(nn.Linear(3, 16), nn.Sigmoid(), nn.Unflatten(1, (1, 4, 4)))
    >>> view = cvw.LatentTraversal(state, decode=decoder, size=3, span=2.0)
    >>> view.painted.mosaic.count  # 3 factors, 11 pictures each
    33
    >>> len(view.painted.tiles.factors)
    3
    """

    title: ClassVar[str] = "Latent factors"
    depends: ClassVar[frozenset[str]] = frozenset({"key", "image", "layer", "channel"})
    framed: ClassVar[frozenset[str]] = frozenset({"key", "image"})
    caption_lines: ClassVar[int] = 3
    fits_narrower: ClassVar[bool] = False
    frame: ClassVar[tuple[int, int]] = (482, 422)
    reads_weights: ClassVar[bool] = True

    order = Enum(tuple(ORDERS.values()), "change", help="Order of the strips.").tag(option=True)
    held = Enum(tuple(HELD.values()), "image", help="Where the others are held.").tag(option=True)
    span = Float(3.0, min=0.01, help="Factors run from −span to span.").tag(option=True)
    first = Int(0, min=0, help="Place of the first strip that is shown.").tag(option=True)

    def __init__(
        self,
        state: ModelState,
        *,
        decode: Decode | None = None,
        size: int | None = None,
        code: str | None = None,
        **options: Unpack[LatentTraversalOptions],
    ) -> None:
        if not isinstance(state, ModelState) or decode is None:
            raise InputError(
                "LatentTraversal takes a ModelState and a decoder: "
                "LatentTraversal(state, decode=model.decode, size=10)"
            )
        self._decoder = state.decoder(decode)
        self._code = code
        self._size = _checked_size(size, None if code is None else state.layer_info(code).shape)
        super().__init__(state, **options)

    def controls(self) -> Sequence[Widget]:
        """Return what is held, the order, and which strips are shown."""
        held = choice(self, "held", "Others", list(HELD.items()), 190)
        held.disabled = self._code is None
        self._labels = StripLabels()
        return [
            line(
                held,
                choice(self, "order", "Factors", list(ORDERS.items()), 240),
                number(self, "first", "from place", 120),
            ),
        ]

    def build(self) -> Sequence[Widget]:
        """Return the controls, and the strips beside their names."""
        *above, raster, pointed = super().build()
        raster.height = GAP + min(self._size, ROWS) * (TILE + GAP)
        still = Layout(flex="0 0 auto", overflow="hidden")
        return [*above, Box([self._labels, raster], layout=still), pointed]

    def tiles(self, selection: Selection) -> Strips:
        """Return the strips that are shown, as colours."""
        held = self._held_at(selection)  # (Z,)
        values = torch.linspace(-self.span, self.span, VALUES)
        codes = traversal_codes(held, values).flatten(0, 1)  # (Z·V, Z)
        found = self.state.decoded(self._decoder, codes, selection=selection)  # (Z·V, C, H, W)
        strips = found.unflatten(0, (self._size, VALUES))  # (Z, V, C, H, W)
        change = traversal_change(strips)
        ranked = change.argsort(descending=True, stable=True)
        order = ranked if self.order == "change" else torch.arange(self._size)
        shown = order[min(self.first, self._size - 1) :][:ROWS]
        return Strips(
            self._colours(strips[shown].flatten(0, 1)),
            caption=self._caption_of(selection, len(shown)),
            factors=tuple(shown.tolist()),
            change=tuple(change[shown].tolist()),
            settings=tuple(values.tolist()),
            code=tuple(held.tolist()),
        )

    def mosaic(self, tiles: Tiles) -> Mosaic:
        """Return one row a factor, every picture as large as the frame allows."""
        count, height, width = tiles.values.shape[:3]
        largest = max(height, width)
        return Mosaic(
            count,
            height,
            width,
            columns=VALUES,
            enlarge=max(1, TILE // largest),
            reduce=max(1, -(-largest // TILE)),
            gap=GAP,
        )

    def draw(self, result: Any) -> None:
        """Send the strips and their names."""
        strips, mosaic = result.picture.tiles, result.picture.mosaic
        self._labels.show(
            [
                (f"z{factor}", f"{change:.3f}")
                for factor, change in zip(strips.factors, strips.change, strict=True)
            ],
            mosaic.box(0).height + GAP,
        )
        super().draw(result)

    def selected_tile(self, selection: Selection, picture: Picture) -> int | None:
        """Return the picture nearest to the image's own, in the strip of the selected factor."""
        strips = picture.tiles
        assert isinstance(strips, Strips)
        if selection.layer != self._code or selection.channel not in strips.factors:
            return None
        own = strips.code[selection.channel]
        nearest = int(np.abs(np.subtract(strips.settings, own)).argmin())
        return strips.factors.index(selection.channel) * VALUES + nearest

    def pick(self, tile: int) -> None:
        """Select the factor as a channel of the layer that codes come from."""
        strips = self.painted.tiles if self.painted else None
        if isinstance(strips, Strips) and self._code is not None:
            self.state.select(layer=self._code, channel=strips.factors[tile // VALUES])

    def frame_of(self, picture: Picture) -> Frame:
        """Return the strips, each picture of them named."""
        names = tuple(self.describe(tile, picture) for tile in range(picture.mosaic.count))
        return replace(super().frame_of(picture), names=names)

    def describe(self, tile: int, picture: Picture) -> str:
        """Say what the factor is set to, and what it is in the image."""
        strips = picture.tiles
        assert isinstance(strips, Strips)
        factor, value = strips.factors[tile // VALUES], strips.settings[tile % VALUES]
        own = f"; {strips.code[factor]:z.2f} in the code" if self._holds_image else ""
        return f"factor z{factor} = {value:z.2f}{own}"

    @property
    def _holds_image(self) -> bool:
        return self._code is not None and self.held == "image"

    def _held_at(self, selection: Selection) -> Tensor:
        if not self._holds_image:
            return torch.zeros(self._size)
        return self.state.recorded(self._code, selection=selection).flatten().float().cpu()

    def _colours(self, pictures: Tensor) -> np.ndarray:
        """Return pictures (n, C, H, W) as colours (n, H, W, 3) in [0, 1]."""
        undone = self.state.image_set.preprocessing.undone
        if pictures.shape[1] != self.state.image_set.shape[0]:
            raise InputError(
                f"decode returned pictures of {pictures.shape[1]} channels; "
                f"the images have {self.state.image_set.shape[0]}"
            )
        return np.stack([undone(picture) for picture in pictures]) / 255

    def _caption_of(self, selection: Selection, shown: int) -> str:
        where = f"the code of {selection.image_name}" if self._holds_image else "zero"
        clock = "" if self._decoder.follows else "; THE CLOCK DOES NOT CHANGE THIS DECODER"
        return (
            f"{shown} of {self._size} factors, each from {-self.span:g} to {self.span:g}, the "
            f"others held at {where} · {selection.label}{clock} · beside each its change: "
            f"RMS difference from the strip's mean, n = {VALUES} pictures"
        )


def _checked_size(size: int | None, shape: tuple[int, ...] | None) -> int:
    found = whole_number(size if size is not None else (shape or (0,))[0])
    fits = shape is None or tuple(shape) == (found,)
    if found is None or found < 1 or not fits:
        beside = "" if shape is None else f" for codes of shape {tuple(shape)}"
        raise InputError(f"size= is how many factors a code has, 1 or more; got {size}{beside}")
    return found
