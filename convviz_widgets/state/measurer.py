"""The Measurer: measures one checkpoint at a time on the probe batch, through its own probe."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor

from convviz_widgets.diagnosis.rules.firing import IMAGES
from convviz_widgets.instrument import (
    ImageSet,
    Measurement,
    Probe,
    measure_activations,
    measure_census,
    measure_filters,
    measure_gradients,
    measure_parameters,
    measure_updates,
    weights_of,
)
from convviz_widgets.instrument.census import Batch, spread_over
from convviz_widgets.state.background import Stopped
from convviz_widgets.state.job import (
    ACTIVATIONS,
    CENSUS,
    FILTERS,
    GRADIENTS,
    PARAMETERS,
    UPDATES,
    Job,
)
from convviz_widgets.state.recordings import Loss, cross_entropy
from convviz_widgets.state.timeline import Entry, Weights

FORWARD_BYTES = 2**28
"""Activations of one forward pass; more images than that go through the model in batches."""

BACKWARD_BYTES = 2**30
"""Activations and gradients of one backward pass, which cannot be cut: fewer images take part."""

CENSUS_IMAGES = IMAGES, 1024
"""Images that a census looks at, at least and at most, where there are so many."""

CENSUS_VALUES = 2**24
"""Values of its images, from which on it looks at fewer."""

BACKWARD_COPIES = 4
"""Of every activation in a backward pass: in the graph, its clone, its gradient, in passing."""


class Measurer:
    """Measures on the probe batch; the passes it runs are not counted as the user's.

    Used by one thread at a time. The probe is made, and the images are read, at the first use.

    Parameters
    ----------
    probe, lock
        The state's probe, to be copied once, and the lock to hold meanwhile.
    images, indices
        The probe batch.
    loss
        For gradients; None: cross-entropy with the labels.
    """

    def __init__(
        self,
        probe: Probe,
        lock: AbstractContextManager[Any],
        images: ImageSet,
        indices: tuple[int, ...],
        loss: Loss | None,
    ) -> None:
        self._shared: Probe | None = probe
        self._lock = lock
        self._images, self._indices = images, indices
        self._loss = loss or cross_entropy
        self._probe: Probe | None = None
        self._batch: Tensor | None = None
        self._fingerprints: dict[str, str] = {}
        self._initial: tuple[Hashable, dict[str, Tensor]] = None, {}

    def measure(self, job: Job, go_on: Callable[[], bool] = lambda: True) -> Measurement:
        """Return what was found; raise `Stopped` between two batches once ``go_on()`` is false."""
        probe = self._ready()
        if job.part == UPDATES:
            if job.before is None:
                return Measurement()
            self._load(job.before)
            earlier = weights_of(probe)
            self._load(job.entry)
            return measure_updates(probe, earlier)
        if job.part == FILTERS:
            initial = None if job.before is None else self._weights(job.before)
            self._load(job.entry)
            return measure_filters(probe, initial)
        self._load(job.entry)
        if job.part == PARAMETERS:
            return measure_parameters(probe)
        if job.part == ACTIVATIONS:
            return measure_activations(probe, self._batches(go_on))
        if job.part == CENSUS:
            return self._counted(job, go_on)
        return self._gradients(len(self._indices))

    def fingerprint(self, job: Job) -> str:
        """Return what tells one model, batch and loss from another, in hex.

        The layers, for activations the images too, for gradients their labels; and what model and
        loss answer with weights that come from the checkpoint's shapes alone. So a result that is
        kept on disk is not taken for that of another forward pass or loss.
        """
        if job.part not in self._fingerprints:
            self._fingerprints[job.part] = self._taken(job)
        return self._fingerprints[job.part]

    def close(self) -> None:
        """Let go of both probes and of the images; what is under way ends as `Stopped`."""
        self._shared = self._probe = self._batch = None
        self._initial = None, {}

    # -- stages -------------------------------------------------------------------------------

    def _ready(self) -> Probe:
        if self._probe is None:
            with self._lock:
                if self._shared is None:
                    raise Stopped
                self._probe = self._shared.twin(self._images.input(0))
        return self._probe

    def _load(self, entry: Entry) -> None:
        probe = self._ready()
        if probe.key != entry.key:
            probe.load(entry.load(), entry.key)

    def _weights(self, entry: Entry) -> dict[str, Tensor]:
        """Return the weights of step 0, kept because every checkpoint is compared with them."""
        key, weights = self._initial
        if key != entry.key:
            self._load(entry)
            weights = weights_of(self._ready())
            self._initial = entry.key, weights
        return weights

    def _inputs(self) -> Tensor:
        batch = self._batch
        if batch is None:
            with self._lock:
                self._batch = batch = self._images.batch(self._indices)
        return batch

    def _batches(self, go_on: Callable[[], bool]) -> Iterator[Tensor]:
        for batch in self._inputs().split(self._fitting(FORWARD_BYTES, copies=2)):
            if not go_on():
                raise Stopped
            yield batch

    def _counted(self, job: Job, go_on: Callable[[], bool]) -> Measurement:
        probe, initial = self._ready(), None
        if job.before is not None:
            self._load(job.before)
            initial = weights_of(probe)
            self._load(job.entry)
        return measure_census(probe, self._images, self._census(go_on), initial)

    def _census(self, go_on: Callable[[], bool]) -> Iterator[Batch]:
        """Yield images that are spread evenly over the whole set."""
        indices = census_indices(self._images)
        size = self._fitting(FORWARD_BYTES, copies=2)
        for start in range(0, len(indices), size):
            if not go_on():
                raise Stopped
            chosen = indices[start : start + size]
            with self._lock:
                batch = Batch(chosen, self._images.batch(chosen), self._images.expected(chosen))
            yield batch

    def _gradients(self, at_most: int) -> Measurement:
        images = min(at_most, self._fitting(BACKWARD_BYTES, BACKWARD_COPIES))
        expected = self._images.expected(self._indices[:images])
        return measure_gradients(
            self._ready(), self._inputs()[:images], lambda output: self._loss(output, expected)
        )

    def _fitting(self, nbytes: int, copies: int) -> int:
        """Return how many images may pass at once, at least one."""
        values = sum(torch.Size(info.shape).numel() for info in self._ready().layers)
        return max(1, nbytes // (4 * copies * max(1, values)))

    def _taken(self, job: Job) -> str:
        digest = hashlib.sha256(repr(self._ready().layers).encode())
        if job.part == CENSUS:
            for batch in self._census(lambda: True):
                digest.update(_bytes(batch.inputs))
                digest.update(b"" if batch.expected is None else _bytes(batch.expected))
        if job.part in (ACTIVATIONS, GRADIENTS, CENSUS):
            digest.update(_bytes(self._inputs()))
            self._ready().load(_weights_by_shape(job.entry.load()))
            answers = measure_activations(self._ready(), [self._inputs()[:1]])
            digest.update(_in_words(answers).encode())
        if job.part == GRADIENTS:
            expected = self._images.expected(self._indices)
            digest.update(b"" if expected is None else _bytes(expected))
            digest.update(_in_words(self._gradients(at_most=2)).encode())
        return digest.hexdigest()


def census_indices(images: ImageSet) -> tuple[int, ...]:
    """Return the images that a census looks at: all, or so many, spread evenly."""
    least, most = CENSUS_IMAGES
    fitting = CENSUS_VALUES // max(1, torch.Size(images.shape).numel())
    count = min(len(images), max(least, min(most, fitting)))
    return spread_over(len(images), count)


def _bytes(tensor: Tensor) -> bytes:
    return tensor.contiguous().view(torch.uint8).numpy().tobytes()


def _weights_by_shape(weights: Weights) -> dict[str, Tensor]:
    """Return other weights of the same names and shapes, about as large as those of a new net."""

    def wave(name: str, like: Tensor) -> Tensor:
        if not like.is_floating_point():
            return like
        values = torch.arange(like.numel(), dtype=torch.float64).mul_(2.4).add_(2).sin_()
        if name.endswith("running_var"):
            values = 1.5 + values
        elif like.ndim >= 2:
            values = values * (4 / max(1, like[0].numel())) ** 0.5
        return values.to(like.dtype).reshape(like.shape)

    return {name: wave(name, value) for name, value in weights.items() if isinstance(value, Tensor)}


def _in_words(measured: Measurement) -> str:
    """Return mean and spread of everything, to so few digits that rounding does not show."""
    words = (
        f"{name} {part.n} {part.moments.mean:.2e} {part.moments.std:.2e}"
        for name, part in measured.distributions.items()
    )
    return "\n".join(words)
