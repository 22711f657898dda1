"""Data evidence: inputs, samples that come twice, batches that repeat, each looked at once."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any

from torch.utils.data import DataLoader

from convviz_widgets.errors import in_one_line
from convviz_widgets.images import (
    Duplicates,
    ImageSet,
    InputStatistics,
    Leak,
    input_statistics,
    loader_batches,
    sample_digests,
)
from convviz_widgets.images.duplicates import Compared, Comparing, comparing
from convviz_widgets.state.background import Stopped

BATCHES = 200
"""Batches of a loader that are compared at most."""

VALUES = 2**26
"""Values of batches that are held at once, at most; of large images fewer batches are compared."""


class DataEvidence:
    """Looks at what a diagnosis was given beside the model.

    Parameters
    ----------
    seen
        The images of the state, None without one.
    images, validation, loader
        As `diagnose` takes them.
    pause
        Called before an image or a batch is read; what it raises ends the look, which begins anew.
    """

    def __init__(
        self,
        seen: ImageSet | None,
        images: Any,
        validation: Any,
        loader: Any,
        pause: Callable[[], object] = lambda: None,
    ) -> None:
        self._seen, self._images = seen, images
        self._validation, self._loader = validation, loader
        self.inputs: InputStatistics | None = None
        self.states_preprocessing = False
        self.duplicates: Duplicates | None = None
        self.leak: Leak | None = None
        self.batches: tuple[tuple[bytes, ...], ...] = ()
        self.problems: tuple[str, ...] = ()
        """One line for each look that failed."""
        self.done, self.total = 0, 3
        """Looks: at the inputs, at the samples, at the batches."""
        self._pause = pause
        self._left = [self._look_at_inputs, self._compare, self._look_at_batches]
        self._under_way: Iterator[None] | None = None

    def go_on(self) -> bool:
        """Do a little more; return whether anything is left. Not by two threads at once."""
        if not self._left:
            return False
        try:
            self._under_way = self._under_way or self._left[0]()
            next(self._under_way)
        except Stopped:
            self._under_way = None
            raise
        except StopIteration:
            self._end_look()
        except Exception as error:  # whatever a data set or a loader may raise
            self.problems = (*self.problems, in_one_line(error))
            self._end_look()
        return bool(self._left)

    def _end_look(self) -> None:
        self._left.pop(0)
        self._under_way = None
        self.done += 1

    @property
    def training(self) -> tuple[str, Any]:
        """The training samples, and the words that stand for them in code."""
        if self._images is not None:
            return "images", self._images
        if isinstance(self._loader, DataLoader) and hasattr(self._loader.dataset, "__getitem__"):
            return "loader.dataset", self._loader.dataset
        return "state.image_set", self._seen

    def _look_at_inputs(self) -> Iterator[None]:
        images = self._images if self._images is not None else self._seen
        if images is None:
            return
        yield
        images = images if isinstance(images, ImageSet) else ImageSet(images)
        self.inputs = input_statistics(images, between=self._pause)
        self.states_preprocessing = images.states_preprocessing

    def _compare(self) -> Iterator[None]:
        name, training = self.training
        validation = self._validation
        if training is None:
            return
        sets = [training] if validation is None else [training, validation]
        compared = yield from _each(comparing(*sets))
        self.duplicates = compared.duplicates()
        if validation is not None and training is not validation:
            leak = compared.leak()
            of_state = name == "state.image_set"  # which may well be the validation images
            self.leak = None if of_state and leak.counts[0] <= _shared(leak) else leak

    def _look_at_batches(self) -> Iterator[None]:
        loader = self._loader
        if loader is None:
            return
        yield
        first = loader_batches(loader, 1).batches
        values = max((each.images.numel() for each in first), default=1)
        count = max(2, min(BATCHES, VALUES // max(1, values)))
        yield
        found = loader_batches(loader, count, between=self._pause)
        self.batches = tuple(tuple(sample_digests(each.images)) for each in found.batches)
        if found.failures:
            self.problems = (*self.problems, next(iter(found.failures.values())))


def _each(steps: Comparing) -> Generator[None, None, Compared]:
    """Go through a generator without what it yields; return what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
        yield


def _shared(leak: Leak) -> int:
    """Return how many samples of the first set are in the second."""
    return sum(len(first) for first, _ in leak.groups)
