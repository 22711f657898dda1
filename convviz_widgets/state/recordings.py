"""The cache of forward and backward passes, by checkpoint and image, within a budget of bytes."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from math import inf, prod
from time import perf_counter
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from convviz_widgets.errors import CheckpointError, InputError
from convviz_widgets.images import ImageSet
from convviz_widgets.probe import (
    Attributions,
    Gradients,
    LayerInfo,
    Probe,
    Recording,
    Unit,
    attributions,
)
from convviz_widgets.probe.attribution import Position, random_direction
from convviz_widgets.probe.recording import bytes_of, tensors_in
from convviz_widgets.state.selection import Drawing, Shown, image_of, shown_name
from convviz_widgets.state.timeline import Entry

Loss = Callable[[Any, Any], Tensor]

CLOSED = "this state is closed; make a new ModelState"

BACKWARD_BYTES = 2**30
"""Bytes that one backward pass may take; more images than that go through in parts."""

BACKWARD_COPIES = 4
"""Copies of every activation in a backward pass: in the graph, a clone, the gradient, one more."""

IN_VIEW = 4
"""How many of the layers asked for last count as in view when not all of them fit."""


@dataclass(frozen=True)
class NamedUnit:
    """A channel of a layer, or a random direction by its seed, and where it stands.

    Attributes
    ----------
    layer, channel
        As in the selection.
    seed
        The seed of the direction that stands in for the channel; None: the channel.
    positions
        One for each image; None: where it is strongest in each.
    """

    layer: str
    channel: int
    seed: int | None = None
    positions: tuple[Position, ...] | None = None

    def split(self, images: int, size: int, channels: int) -> Iterator[Unit]:
        """Yield the unit for every ``size`` of ``images``, in a layer of so many channels."""
        what = self.channel if self.seed is None else random_direction(channels, self.seed)
        for start in range(0, images, size):
            at = None if self.positions is None else self.positions[start : start + size]
            yield Unit(self.layer, what, at)


class Sized(Protocol):
    """Anything that knows the bytes of its unique storages."""

    @property
    def nbytes(self) -> int:
        """Bytes held, each storage counted once."""
        ...


Held = TypeVar("Held", bound=Sized)


class ByteCache(Generic[Held]):
    """Keep the entries used last, as long as they fit into ``budget`` bytes.

    The entry in use (the one got or put last) is never evicted, so one entry may exceed the
    budget by itself; its owner decides whether to put less of it.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.reserved = 0
        """Bytes that others hold and that count against the budget."""
        self._entries: OrderedDict[Hashable, Held] = OrderedDict()

    @property
    def room(self) -> int:
        """Bytes that one entry may take: the budget less what is reserved."""
        return max(0, self.budget - self.reserved)

    @property
    def nbytes(self) -> int:
        """Bytes held by all entries."""
        return sum(entry.nbytes for entry in self._entries.values())

    def __contains__(self, key: Hashable) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable) -> Held | None:
        """Return the entry and mark it as in use, or None."""
        if key in self._entries:
            self._entries.move_to_end(key)
        return self._entries.get(key)

    def peek(self, key: Hashable) -> Held | None:
        """Return the entry without marking it as in use, or None."""
        return self._entries.get(key)

    def put(self, key: Hashable, entry: Held) -> None:
        """Add or replace an entry and evict the least recently used ones beyond the budget."""
        self._entries[key] = entry
        self._entries.move_to_end(key)
        self.trim()

    def trim(self) -> None:
        """Evict the least recently used entries until the rest fits; the last one stays."""
        held = self.nbytes
        while held > self.room and len(self._entries) > 1:
            _, evicted = self._entries.popitem(last=False)
            held -= evicted.nbytes

    def forget(self, unwanted: Callable[[Hashable], bool]) -> None:
        """Forget the entries whose keys are unwanted."""
        for key in [key for key in self._entries if unwanted(key)]:
            del self._entries[key]

    def clear(self) -> None:
        """Forget every entry."""
        self._entries.clear()


@dataclass(frozen=True)
class KeptPass:
    """What is kept of one forward pass, and the layers that ran in it."""

    recording: Recording
    ran: frozenset[str]

    @property
    def nbytes(self) -> int:
        """Bytes held, each storage counted once."""
        return self.recording.nbytes

    def lacks(self, layer: str) -> bool:
        """Tell whether a layer ran but was not kept, for want of memory."""
        return layer in self.ran and layer not in self.recording.outputs

    def activation(self, layer: str, side: str, where: str) -> Tensor:
        """Return one layer's output, or the input of an activation, without the batch axis.

        Parameters
        ----------
        side
            "out", "in", or "table": the output as (C, T), with the tokens that lie on no image.
        where
            Which image at which checkpoint that is, for errors.
        """
        recording = self.recording
        if layer not in self.ran:
            raise InputError(f"layer {layer!r} did not run for {where}")
        if side == "in" and layer not in recording.inputs:
            known = ", ".join(recording.inputs) or "none"
            raise InputError(f"{layer} is no activation; inputs are recorded for {known}")
        found = (recording.inputs if side == "in" else recording.outputs)[layer]
        if len(found) != 1:
            raise InputError(
                f"layer {layer!r} puts out {tuple(found.shape)} for one image, and no axis of it "
                "is known to be that of the images: look at another layer"
            )
        return _table(found[0], recording.prefixes.get(layer)) if side == "table" else found[0]


@dataclass(frozen=True)
class KeptMaps:
    """What is kept of the pixels that a unit answers to."""

    found: Attributions

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self.found.maps.nbytes


class Recordings:
    """Recordings and gradients of one probe, cached by checkpoint and image within a budget.

    Only the latest drawing is remembered: a stroke makes a new one with every frame.
    """

    def __init__(self, probe: Probe, images: ImageSet, budget: int) -> None:
        self.seconds = inf
        """How long the last load and forward pass took; infinite, so slow, before the first."""
        self.load_seconds = 0.0
        """How long the last load alone took."""
        self._probe: Probe | None = probe
        self._images = images
        self._cache: ByteCache[KeptPass | Gradients | KeptMaps] = ByteCache(budget)
        self._asked: list[str] = []
        self._drawing: Drawing | None = None
        self._notes: dict[str, str] = {}
        self._originals = bytes_of(tensors_in(probe.original))
        self.reserve(0)

    @property
    def probe(self) -> Probe:
        """The probe that everything is recorded with."""
        if self._probe is None:
            raise InputError(CLOSED)
        return self._probe

    @property
    def status(self) -> str:
        """One line while something takes more memory than it should."""
        return "; ".join(note for note in self._notes.values() if note)

    @property
    def nbytes(self) -> int:
        """Bytes held, reserved ones included."""
        return self._cache.nbytes + self._cache.reserved

    def reserve(self, captured: int) -> None:
        """Count bytes of captured weights against the budget, and of the original ones."""
        budget = self._cache.budget
        self._cache.reserved = captured + self._originals
        self._cache.trim()
        much = captured > budget / 2
        note = f"captures hold {captured:,} bytes of the budget of {budget:,}"
        self._notes["captures"] = note if much else ""

    def close(self) -> None:
        """Forget everything, and let go of the probe."""
        self._cache.clear()
        self._cache.reserved = 0
        self._probe = self._drawing = None

    def peek(self, entry: Entry, shown: Shown, layer: str | None) -> KeptPass | None:
        """Return a pass that is there and knows a layer's output, or that it has none.

        It marks nothing as used, and needs no lock. None: a forward pass is needed.
        """
        kept = self._cache.peek((entry.key, shown))
        if not isinstance(kept, KeptPass) or (layer is not None and kept.lacks(layer)):
            return None
        return kept

    def load(self, entry: Entry) -> Probe:
        """Return the probe with the weights of ``entry`` in it."""
        probe = self.probe
        if probe.key != entry.key:
            started = perf_counter()
            try:
                probe.load(entry.load(), entry.key)
            except CheckpointError as error:
                raise CheckpointError(f"{entry.name}: {error}") from error
            self.load_seconds = perf_counter() - started
        return probe

    def activation(self, entry: Entry, shown: Shown, layer: str, side: str) -> Tensor:
        """Return what `KeptPass.activation` does, from memory or after a forward pass."""
        self._asked = [layer, *(name for name in self._asked if name != layer)][:IN_VIEW]
        kept = self._kept(entry, shown, layer)
        return kept.activation(layer, side, f"{shown_name(shown)} at {entry.label}")

    def result(self, entry: Entry, shown: Shown) -> Any:
        """Return the model's own output."""
        return self._kept(entry, shown, None).recording.result

    def gradients(self, entry: Entry, images: tuple[Shown, ...], loss: Loss) -> Gradients:
        """Return the gradients of the loss on these images."""
        key = ("gradients", entry.key, *images)
        kept = self._cache.get(key)
        if not isinstance(kept, Gradients):
            target = self._images.expected(map(image_of, images))
            inputs = torch.cat([self._input(shown) for shown in images])  # (N, C, H, W)
            kept = self.load(entry).backward(inputs, lambda output: loss(output, target))
            self._keep(key, kept, images)
            over = kept.nbytes > self._cache.room
            note = f"over budget: the gradients alone take {kept.nbytes:,} bytes"
            self._notes["gradients"] = note if over else ""
        return kept

    def attributions(
        self, entry: Entry, images: tuple[int, ...], unit: NamedUnit, method: str
    ) -> Attributions:
        """Return the pixels that a unit answers to, in each of these images."""
        key = ("attributions", entry.key, images, unit, method)
        kept = self._cache.get(key)
        if not isinstance(kept, KeptMaps):
            probe, batch = self.load(entry), self._images.batch(images)
            fitting = images_at_once(BACKWARD_BYTES, BACKWARD_COPIES, probe.layers)
            channels = next(layer.shape[0] for layer in probe.layers if layer.name == unit.layer)
            parts = [
                attributions(probe, some, unit=part, method=method)
                for some, part in zip(
                    batch.split(fitting), unit.split(len(images), fitting, channels), strict=True
                )
            ]
            kept = KeptMaps(_joined(parts))
            self._cache.put(key, kept)
        return kept.found

    def _input(self, shown: Shown) -> Tensor:
        return shown.input[None] if isinstance(shown, Drawing) else self._images.input(shown)

    def _keep(self, key: Hashable, found: KeptPass | Gradients, images: Sequence[Shown]) -> None:
        """Keep what was computed on these images, and forget what was on a drawing before."""
        for shown in images:
            if isinstance(shown, Drawing) and shown is not self._drawing:
                self._drawing = shown
                self._cache.forget(_is_of_a_drawing)
        self._cache.put(key, found)

    def _kept(self, entry: Entry, shown: Shown, layer: str | None) -> KeptPass:
        kept = self._cache.get((entry.key, shown))
        if not isinstance(kept, KeptPass) or (layer is not None and kept.lacks(layer)):
            started = perf_counter()
            recording = self.load(entry).record(self._input(shown))
            self.seconds = perf_counter() - started
            room, ran = self._cache.room, recording.outputs
            some = within(room, recording, self._asked)
            note = f"over budget: {len(some.outputs)} of {len(ran)} layers kept"
            self._notes["layers"] = note if recording.nbytes > room else ""
            kept = KeptPass(some, frozenset(ran))
            self._keep((entry.key, shown), kept, [shown])
        return kept


def within(room: int, recording: Recording, first: Sequence[str]) -> Recording:
    """Return as many layers of a recording as ``room`` bytes hold: these first, then the small."""
    if recording.nbytes <= room:
        return recording
    outputs = recording.outputs
    first = [name for name in first if name in outputs]
    rest = sorted(outputs.keys() - set(first), key=lambda name: outputs[name].nbytes)
    order = [*first, *rest]
    # Layers share storages and bring their inputs, so bytes are counted of the whole.
    fitting = bisect_right(
        range(len(order) + 1),
        room,
        lo=len(first),
        key=lambda count: recording.restricted(order[:count]).nbytes,
    )
    return recording.restricted(order[: max(len(first), fitting - 1)])


def images_at_once(nbytes: int, copies: int, layers: Sequence[LayerInfo]) -> int:
    """Return how many images may pass with so many copies of every layer kept, at least one."""
    values = sum(prod(layer.shape) for layer in layers)
    return max(1, nbytes // (4 * copies * max(1, values)))


def _table(output: Tensor, first: Tensor | None) -> Tensor:
    """Return the output (C, ...) of a layer as a table (C, T), the tokens in front of it first."""
    table = output.flatten(1)
    return table if first is None else torch.cat([first[0], table], 1)


def _is_of_a_drawing(key: Hashable) -> bool:
    return isinstance(key, tuple) and any(isinstance(part, Drawing) for part in key)


def _joined(parts: list[Attributions]) -> Attributions:
    return Attributions(
        torch.cat([part.maps for part in parts]),
        torch.cat([part.values for part in parts]),
        tuple(position for part in parts for position in part.positions or ()),
        tuple(dict.fromkeys(name for part in parts for name in part.kept)),
    )
