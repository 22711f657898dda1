"""Top: the k strongest images of every channel, merged over batches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from convviz_widgets.probe import FieldBox, LayerInfo, ReceptiveFields

_LAST_IMAGE = 2**32 - 1
_EMPTY = torch.iinfo(torch.int64).min


@dataclass(frozen=True)
class Hit:
    """Where a channel is strongest in one image.

    Attributes
    ----------
    image : index into the data set.
    value : the channel's maximum over that image's map.
    position : (row, col) of the maximum, the first one of several; None in a layer of features.
    box : the pixels that this unit sees; None for images without rows and columns.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(1, 1, 1))
    >>> _ = model[0].weight.data.fill_(1.0), model[0].bias.data.fill_(0.0)
    >>> images = torch.zeros(3, 1, 4, 4)
    >>> images[2, 0, 1, 3] = 5.0
    >>> best, *others = cvw.sweep(model, images, progress=False).top("0", 0)
    >>> best.image, best.value, best.position
    (2, 5.0, (1, 3))
    """

    image: int
    value: float
    position: tuple[int, ...] | None
    box: FieldBox | None


@dataclass(frozen=True, eq=False)
class Top:
    """For each of C channels its k strongest images, at most one of each group, in order.

    A value and its image are one number: the bits of the value in the upper half, the image
    counted backwards in the lower. The larger number is the larger value or, of equal ones, the
    earlier image, so there are no ties, whatever the order in which images come and tops merge.

    Attributes
    ----------
    keys : int64 (C, k), descending.
    positions : int64 (C, k), of the value in its map, counted row by row.
    groups : int64 (C, k), the source of each image; None: each its own.
    """

    keys: Tensor
    positions: Tensor
    groups: Tensor | None

    @classmethod
    def empty(cls, channels: int, k: int, *, grouped: bool) -> Top:
        """Return the places of channels that have seen no image."""
        nowhere = torch.full((channels, k), -1)
        return cls(torch.full((channels, k), _EMPTY), nowhere, nowhere.clone() if grouped else None)

    @property
    def k(self) -> int:
        """How many places each channel has."""
        return self.keys.shape[1]

    @property
    def taken(self) -> Tensor:
        """Which places are taken: bool (C, k)."""
        return self.keys != _EMPTY

    @property
    def values(self) -> Tensor:
        """float32 (C, k); -inf where a place is not taken."""
        values = _in_order((self.keys >> 32).to(torch.int32)).view(torch.float32)
        return values.where(self.taken, -torch.inf)

    @property
    def images(self) -> Tensor:
        """int64 (C, k); -1 where a place is not taken."""
        return (_LAST_IMAGE - (self.keys & _LAST_IMAGE)).where(self.taken, -1)

    @property
    def least(self) -> Tensor:
        """What the value of a later image must exceed to take a place: float32 (C,)."""
        return self.values[:, -1]

    def merged(self, other: Top) -> Top:
        """Return the strongest of both; in any order of merging the same."""
        groups = None
        if self.groups is not None and other.groups is not None:
            groups = torch.cat([self.groups, other.groups], 1)
        keys = torch.cat([self.keys, other.keys], 1)
        positions = torch.cat([self.positions, other.positions], 1)
        return Top(keys, positions, groups)._best(self.k)

    def with_peaks(self, peaks: Peaks, images: Tensor, groups: Tensor | None) -> Top:
        """Return the strongest of these and of a batch.

        Parameters
        ----------
        images : int64 (R,), of the batch's rows, below 2**32.
        groups : int64 (R,), the source of each image.
        """
        channels, rows = peaks.channels, peaks.rows
        if not len(channels):
            return self
        columns = [_keys(peaks.values, images[rows]), peaks.places]
        if groups is not None:
            columns.append(groups[rows])
        affected, counts = channels.unique_consecutive(return_counts=True)
        line = torch.arange(len(affected)).repeat_interleave(counts)
        place = torch.arange(len(channels)) - (counts.cumsum(0) - counts).repeat_interleave(counts)
        wide = Top.empty(len(affected), int(counts.max()), grouped=groups is not None)
        for tensor, column in zip(wide._tensors(), columns, strict=True):
            tensor[line, place] = column
        return self._with(affected, self.of(affected).merged(wide))

    def keep(self, new: Top) -> None:
        """Take over the places of ``new``, in the memory that there is."""
        if new is not self:
            for mine, tensor in zip(self._tensors(), new._tensors(), strict=True):
                mine.copy_(tensor)

    def of(self, channels: Tensor | slice) -> Top:
        """Return the places of some channels."""
        return Top(
            self.keys[channels],
            self.positions[channels],
            None if self.groups is None else self.groups[channels],
        )

    def hits(self, index: int, layer: LayerInfo, fields: ReceptiveFields | None) -> list[Hit]:
        """Return the strongest images of one channel of a layer, the strongest first.

        Parameters
        ----------
        fields : what units see; None: they have no box.
        """
        place = self.of(slice(index, index + 1))
        columns = (column[0].tolist() for column in (place.images, place.values, place.positions))
        found = []
        for image, value, flat in zip(*columns, strict=True):
            if image >= 0:
                position = _position(flat, layer.shape[1:])
                box = None if fields is None else fields.box(layer.name, index, position)
                found.append(Hit(image, value, position, box))
        return found

    def _with(self, channels: Tensor, by: Top) -> Top:
        pairs = zip(self._tensors(), by._tensors(), strict=True)
        changed = [mine.index_copy(0, channels, new) for mine, new in pairs]
        return Top(changed[0], changed[1], changed[2] if len(changed) > 2 else None)

    def _tensors(self) -> list[Tensor]:
        groups = [] if self.groups is None else [self.groups]
        return [self.keys, self.positions, *groups]

    def _best(self, k: int) -> Top:
        keys = self.keys
        if self.groups is not None:
            keys = keys.masked_fill(_beaten(keys, self.groups), _EMPTY)
        best, order = keys.topk(k, dim=1)
        groups = None if self.groups is None else self.groups.gather(1, order)
        return Top(best, self.positions.gather(1, order), groups)


def _position(flat: int, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    return tuple(map(int, np.unravel_index(flat, shape))) if shape else None


def _keys(values: Tensor, images: Tensor) -> Tensor:
    upper = _in_order((values + 0.0).view(torch.int32)).long()  # -0.0 + 0.0 is 0.0
    return (upper << 32) | (_LAST_IMAGE - images)


def _in_order(bits: Tensor) -> Tensor:
    """Return whole numbers in the order of the floats whose bits are given; and back again."""
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


def _beaten(keys: Tensor, groups: Tensor) -> Tensor:
    """Tell which entries of a row have a larger one in their own group: bool (C, n)."""
    descending, by_key = keys.sort(dim=1, descending=True)
    by_group = groups.gather(1, by_key).sort(dim=1, stable=True)
    again = torch.zeros_like(descending, dtype=torch.bool)
    again[:, 1:] = by_group.values[:, 1:] == by_group.values[:, :-1]
    return torch.zeros_like(again).scatter(1, by_key.gather(1, by_group.indices), again)


@dataclass(frozen=True, eq=False)
class Peaks:
    """The largest values of maps, of those that may be among a channel's strongest.

    Attributes
    ----------
    channels, rows : int64 (n,), which map of the batch; channels ascend, rows do in each.
    values : float32 (n,), no NaN.
    places : int64 (n,), where it is in its map, the first one of several.
    """

    channels: Tensor
    rows: Tensor
    values: Tensor
    places: Tensor
