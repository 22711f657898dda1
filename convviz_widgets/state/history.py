"""History: what is measured at every checkpoint, most of it on the probe batch; on demand."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from convviz_widgets.diagnosis.rules.firing import IMAGES
from convviz_widgets.errors import InputError, unknown
from convviz_widgets.images import ImageSet
from convviz_widgets.measure import (
    Measurement,
    measure_activations,
    measure_filters,
    measure_gradients,
    measure_image_set,
    measure_parameters,
    measure_updates,
    weights_of,
)
from convviz_widgets.measure.responses import ImageBatch
from convviz_widgets.probe import Probe
from convviz_widgets.probe.default_loss import NO_LOSS
from convviz_widgets.probe.output_kinds import OutputKind
from convviz_widgets.state.background import Background, SharedClient
from convviz_widgets.state.measurements import (
    ACTIVATIONS,
    FILTERS,
    GRADIENTS,
    IMAGE_SET,
    PARAMETERS,
    PARTS,
    UPDATES,
    Measurable,
    MeasurementStore,
    measurables,
)
from convviz_widgets.state.model_copy import Stopped
from convviz_widgets.state.recordings import (
    BACKWARD_BYTES,
    BACKWARD_COPIES,
    Loss,
    images_at_once,
)
from convviz_widgets.state.task import Priority, Progress, Task
from convviz_widgets.state.timeline import Entry, Timeline, Weights
from convviz_widgets.tensors import evenly_spread

SAMPLE_IMAGES = IMAGES, 1024
"""Images that stand for the whole set, at least and at most, where there are so many."""

SAMPLE_VALUES = 2**24
"""Values of these images, from which on there are fewer."""


class History(SharedClient[str]):
    """Measurements of every checkpoint: from memory, from disk, or made in the background.

    The selected checkpoint comes first, then the others from coarse to fine; of each of them
    everything that is asked for, so that its weights are loaded once.

    Parameters
    ----------
    background
        Measures.
    timeline
        The checkpoints; those that are files get their measurements kept beside them.
    measurer
        Measures one part of one checkpoint.
    selected
        Returns the key of the checkpoint to begin with.
    """

    def __init__(
        self,
        background: Background,
        timeline: Timeline,
        measurer: Measurer,
        selected: Callable[[], Hashable],
    ) -> None:
        super().__init__(background)
        self._timeline, self._measurer, self._selected = timeline, measurer, selected
        self._store = MeasurementStore()
        self.measured_count = 0
        """How often something was measured, instead of found in memory or on disk."""

    # -- ask ----------------------------------------------------------------------------------

    def ask(self, owner: object, *parts: str) -> None:
        """Have these parts measured for ``owner``, in place of what it asked for before.

        Parameters
        ----------
        owner
            Anything; `leave` with the same object ends it.
        parts
            "parameters", "activations", "gradients", "updates", "image set" or "filters".
        """
        for part in parts:
            if part not in PARTS:
                raise InputError(unknown("part", part, PARTS, "a history has"))
        self._store.forget_all_but(self._timeline.keys)
        super().ask(owner, *parts)

    def close(self) -> None:
        """Stop measuring and forget everything that is in memory; the lock is held."""
        super().close()
        self._store.forget_all_but(())
        self._measurer.close()

    def rest(self) -> None:
        """Free what only further measuring would need; the lock is held."""
        self._measurer.rest()

    # -- look ---------------------------------------------------------------------------------

    def get(self, part: str, index: int) -> Measurement | None:
        """Return what was measured at a checkpoint; None where that is still to be done."""
        wanted = measurables(part, self._timeline.entries)[index]
        return None if wanted is None else self._store.get(wanted)

    def all(self, part: str) -> list[Measurement | None]:
        """Return what was measured at every checkpoint, None where that is still to be done."""
        every = measurables(part, self._timeline.entries)
        return [None if wanted is None else self._store.get(wanted) for wanted in every]

    def progress(self, *parts: str) -> Progress:
        """Return how many of these parts have been measured, of all checkpoints together."""
        entries = self._timeline.entries
        every = [each for part in parts for each in measurables(part, entries) if each is not None]
        failures = [line for each in every if (line := self._store.failure(each))]
        done = sum(self._store.is_settled(each) for each in every)
        failed = sum(line != NO_LOSS for line in failures)
        return Progress(done, len(every), tuple(dict.fromkeys(failures)), failed)

    @property
    def problem(self) -> str:
        """One line when nothing can be kept on disk."""
        return self._store.problem

    # -- work ---------------------------------------------------------------------------------

    def next_task(self) -> Task | None:
        """Return what is still to be measured, most urgent first; the lock is held."""
        entries = self._timeline.entries
        keys, selected = [entry.key for entry in entries], self._selected()
        first = keys.index(selected) if selected in keys else 0
        asked = dict.fromkeys(part for part, _ in self._in_order())
        by_part = [measurables(part, entries) for part in asked]
        for index in (first, *coarse_to_fine(len(entries))):
            for wanted in (every[index] for every in by_part):
                if wanted is not None and not self._store.is_settled(wanted):
                    return self._task(wanted, is_shown=index == first)
        return None

    def _task(self, wanted: Measurable, is_shown: bool) -> Task:
        # No view shows what is measured of the image set, and it takes long.
        is_urgent = is_shown and wanted.part != IMAGE_SET
        return Task(
            do=lambda: self._measure(wanted),
            fail=lambda error: self._fail(wanted, error),
            is_wanted=lambda: self._is_asked(wanted.part),
            priority=Priority.SHOWN if is_urgent else Priority.ASKED,
        )

    def _measure(self, wanted: Measurable) -> None:
        """Measure, unless it was done in an earlier session."""

        def measured() -> Measurement:
            self.measured_count += 1
            return self._measurer.measure(wanted)

        self._store.settle(wanted, self._fingerprint(wanted), measured)

    def _fail(self, wanted: Measurable, error: Exception) -> None:
        if isinstance(error, InputError):  # there are no labels, say: it is the same everywhere
            every = measurables(wanted.part, self._timeline.entries)
            self._store.fail([each for each in every if each is not None], str(error))
        else:
            self._store.fail([wanted], wanted.entry.failure(error))

    def _fingerprint(self, wanted: Measurable) -> str:
        try:
            return self._measurer.fingerprint(wanted)
        except Stopped:
            raise
        except Exception:  # a model may refuse the weights that it tries; nothing is kept then
            return ""


class Measurer:
    """Measures one checkpoint at a time, most of it on the probe batch.

    Used by the thread of the background alone. The images are read at the first use.

    Parameters
    ----------
    background
        Has the copy of the model.
    images, indices
        The state's, and which of them are the probe batch.
    loss
        Loss for gradients.
    kind
        What the model puts out.
    """

    def __init__(
        self,
        background: Background,
        images: ImageSet,
        indices: tuple[int, ...],
        loss: Loss,
        kind: OutputKind,
    ) -> None:
        self._background = background
        self._images, self._indices = images, indices
        self._loss, self._kind = loss, kind
        self._batch: ImageBatch | None = None
        self._fingerprints: dict[str, str] = {}
        self._known_answers: str | None = None
        self._initial: tuple[Hashable, dict[str, Tensor]] = None, {}

    def measure(self, wanted: Measurable) -> Measurement:
        """Return what was found.

        Raises
        ------
        Stopped
            It is not asked for any more: between two layers, or two passes of a few images.
        """
        entry, before = wanted.entry, wanted.before
        load = self._background.model.loaded
        if wanted.part == UPDATES:
            return Measurement() if before is None else self._updates(entry, before)
        pause = self._pause_at(entry)
        if wanted.part in (FILTERS, IMAGE_SET):
            initial = None if before is None else self._kernels(before)
            if wanted.part == FILTERS:
                return measure_filters(load(entry), initial, pause)
            samples = self._samples(entry)
            return measure_image_set(
                load(entry), self._images, samples, initial, pause, kind=self._kind
            )
        if wanted.part == PARAMETERS:
            return measure_parameters(load(entry), pause)
        if wanted.part == ACTIVATIONS:
            return measure_activations(load(entry), self._batches(entry))
        return self._gradients(entry, len(self._indices))

    def fingerprint(self, wanted: Measurable) -> str:
        """Return what tells one model, batch and loss from another, in hex.

        The layers, for activations the images too, for gradients their labels; and what model and
        loss answer with weights that come from the checkpoint's shapes alone. So a result that is
        kept on disk is not taken for that of another forward pass or loss.
        """
        if wanted.part not in self._fingerprints:
            self._fingerprints[wanted.part] = self._taken(wanted)
        return self._fingerprints[wanted.part]

    def rest(self) -> None:
        """Let go of the kernels of step 0, until more is to be measured."""
        self._initial = None, {}

    def close(self) -> None:
        """Let go of the images as well."""
        self.rest()
        self._batch = None

    # -- stages -------------------------------------------------------------------------------

    def _updates(self, entry: Entry, before: Entry) -> Measurement:
        earlier = weights_of(self._background.model.loaded(before), self._pause_at(before))
        probe = self._background.model.loaded(entry)
        return measure_updates(probe, earlier, self._pause_at(entry))

    def _pause_at(self, entry: Entry) -> Callable[[], Probe]:
        """Return what lets others go first, and then has the checkpoint's weights in the copy."""

        def pause() -> Probe:
            self._background.pause()
            return self._background.model.loaded(entry)

        return pause

    def _kernels(self, entry: Entry) -> dict[str, Tensor]:
        """Return the kernels of step 0, kept because every checkpoint is compared with them."""
        key, kernels = self._initial
        if key != entry.key:
            pause = self._pause_at(entry)
            kernels = {
                info.name: weight
                for info in self._background.model.loaded(entry).layers
                if torch.Size((info.weight_shape or ())[2:]).numel() > 1
                and (weight := pause().weight(info.name)) is not None
            }
            self._initial = entry.key, kernels
        return kernels

    def _probe_batch(self) -> ImageBatch:
        """Return the probe batch, from which no image may be missing: each of them was chosen."""

        def one_by_one() -> Iterator[int]:
            for index in self._indices:
                self._background.pause()
                yield index

        if self._batch is None:
            batch = self._background.model.read(one_by_one())
            if batch.failures:
                raise InputError(batch.failures[0])
            self._batch = batch
        return self._batch

    def _inputs(self) -> Tensor:
        inputs = self._probe_batch().inputs
        assert inputs is not None  # there is at least one image, and all could be read
        return inputs

    def _batches(self, entry: Entry) -> Iterator[Tensor]:
        for batch in self._inputs().split(self._background.model.piece_size):
            self._background.pause()
            self._background.model.loaded(entry)
            yield batch

    def _samples(self, entry: Entry | None = None) -> Iterator[ImageBatch]:
        """Yield the images that stand for the whole set, to the model at a checkpoint.

        Those that cannot be read are left out: the others stand for it as well.
        """
        count = 0
        for batch in self._background.batches(
            sample_indices(self._images), self._background.model.piece_size
        ):
            count += len(batch.indices)
            if entry is not None:
                self._background.model.loaded(entry)
            yield batch
        if not count:
            raise InputError(batch.failures[0])

    def _gradients(self, entry: Entry, at_most: int) -> Measurement:
        probe = self._background.model.probe()
        images = min(at_most, images_at_once(BACKWARD_BYTES, BACKWARD_COPIES, probe.layers))
        expected = self._probe_batch().first(images).expected
        return measure_gradients(
            probe,
            self._inputs()[:images],
            lambda output: self._loss(output, expected),
            self._pause_at(entry),
            self._background.model.piece_size,
        )

    def _taken(self, wanted: Measurable) -> str:
        digest = hashlib.sha256(repr(self._background.model.probe().layers).encode())
        if wanted.part == IMAGE_SET:
            digest.update(repr(self._kind).encode())
            for batch in self._samples():
                digest.update(_bytes(batch.inputs))
                digest.update(_bytes(batch.expected))
        if wanted.part in (ACTIVATIONS, GRADIENTS, IMAGE_SET):
            digest.update(_bytes(self._inputs()))
            digest.update(self._answers(wanted.entry).encode())
        if wanted.part == GRADIENTS:
            expected = self._probe_batch().expected
            digest.update(_bytes(expected))
            digest.update(_in_words(self._gradients(_by_shape(wanted.entry), at_most=2)).encode())
        return digest.hexdigest()

    def _answers(self, entry: Entry) -> str:
        """Return what the model does with the first image, in words: one pass for all parts."""
        if self._known_answers is None:
            first = self._inputs()[:1]
            probe = self._pause_at(_by_shape(entry))()
            self._known_answers = _in_words(measure_activations(probe, [first]))
        return self._known_answers


def coarse_to_fine(count: int) -> Iterator[int]:
    """Yield 0 to count - 1: the ends, the middle, the quarters, and so on."""
    seen: set[int] = set()
    step = max(1, count - 1)
    while len(seen) < count:
        for index in (*range(0, count, step), count - 1):
            if index not in seen:
                seen.add(index)
                yield index
        step = max(1, step // 2)


def sample_indices(images: ImageSet) -> tuple[int, ...]:
    """Return the images that stand for a set: all, or so many, spread evenly."""
    least, most = SAMPLE_IMAGES
    fitting = SAMPLE_VALUES // max(1, torch.Size(images.shape).numel())
    count = min(len(images), max(least, min(most, fitting)))
    return evenly_spread(len(images), count)


def _bytes(tensor: Tensor | None) -> bytes:
    return b"" if tensor is None else tensor.contiguous().view(torch.uint8).numpy().tobytes()


def _by_shape(entry: Entry) -> Entry:
    """Return a checkpoint whose weights come from the shapes of these alone."""
    return replace(entry, key=("by shape",), load=lambda: _weights_by_shape(entry.load()))


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
