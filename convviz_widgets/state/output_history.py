"""The output history: what the model puts out at each checkpoint, computed in the background."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from math import prod

from convviz_widgets.images import ImageSet
from convviz_widgets.measure.responses import Responses, joined, respond
from convviz_widgets.probe.output_kinds import OutputKind
from convviz_widgets.state.background import Background, SharedClient
from convviz_widgets.state.recordings import ByteCache
from convviz_widgets.state.task import Priority, Progress, Task
from convviz_widgets.state.timeline import Entry, Timeline

OUTPUT_BYTES = 2**26
"""Bytes of outputs that are kept; the numbers of each image are kept beside them."""

WHOLE_VALUES = 2**18
"""Scores of one question up to which they are kept whole, whether asked for or not."""

BEGUN = 4
"""Questions that are answered in part, and whose parts are kept."""


@dataclass(frozen=True)
class Question:
    """What one checkpoint puts out for some images."""

    key: Hashable
    """The checkpoint's key."""
    images: tuple[int, ...]
    whole: bool = False
    """Whether the outputs themselves are wanted, not only numbers by image."""


class OutputHistory(SharedClient[Question]):
    """Answers questions from memory, or has them answered in the background.

    They are answered in their order; the observers are told after every batch of images.

    Parameters
    ----------
    background
        Runs the model.
    timeline
        The checkpoints, captures among them.
    images
        What the questions are about.
    kind
        What the model puts out.
    """

    problem = ""

    def __init__(
        self, background: Background, timeline: Timeline, images: ImageSet, kind: OutputKind
    ) -> None:
        super().__init__(background)
        self._timeline, self._images, self._kind = timeline, images, kind
        self._numbers: dict[Question, Responses] = {}
        self._whole: ByteCache[Responses] = ByteCache(OUTPUT_BYTES)
        self._sets: dict[Hashable, list[Question]] = {}
        self._begun: dict[Question, list[Responses]] = {}
        self._failures: dict[Question, str] = {}

    # -- ask ----------------------------------------------------------------------------------

    def question(self, index: int, images: tuple[int, ...], whole: bool = False) -> Question:
        """Return the question to a checkpoint; few class scores are kept whole in any case."""
        few = self._kind.answers and len(images) * prod(self._kind.shape) <= WHOLE_VALUES
        return Question(self._timeline.keys[index], images, whole or few)

    def close(self) -> None:
        """Stop answering and forget everything; the lock is held."""
        super().close()
        for kept in (self._numbers, self._whole, self._sets, self._begun, self._failures):
            kept.clear()

    # -- look ---------------------------------------------------------------------------------

    def get(self, question: Question) -> Responses | None:
        """Return the answer; None where there is none yet.

        That for one image may be part of an answer for many.
        """
        with self._lock:
            return self._get(question)

    def progress(self, *questions: Question) -> Progress:
        """Return how many images of these questions have been answered, and what has failed."""
        with self._lock:
            failures = [self._failures[each] for each in questions if each in self._failures]
            total = sum(len(each.images) for each in questions)
            return Progress(sum(map(self._done, questions)), total, tuple(dict.fromkeys(failures)))

    def _done(self, question: Question) -> int:
        """Return how many images are answered: not all of them as long as there is no answer."""
        count = len(question.images)
        begun = _count(self._begun.get(question, ()))
        return count if self._is_settled(question) else min(begun, count - 1)

    def _get(self, question: Question) -> Responses | None:
        if not question.whole:
            return self._numbers.get(question)
        found = self._whole.get(question)
        if found is None and len(question.images) == 1:
            larger = (self._whole.peek(each) for each in self._sets.get(question.key, ()))
            (image,) = question.images
            holds = (each for each in larger if each is not None and image in each.indices)
            return next(holds, None)
        return found

    def _is_settled(self, question: Question) -> bool:
        return question in self._failures or self._get(question) is not None

    # -- work ---------------------------------------------------------------------------------

    def next_task(self) -> Task | None:
        """Return the first question that has no answer; the lock is held."""
        entries = self._timeline.by_key
        for question, is_first in self._in_order():
            if question.key in entries and not self._is_settled(question):
                return self._task(question, entries[question.key], is_first)
        return None

    def _task(self, question: Question, entry: Entry, is_first: bool) -> Task:
        return Task(
            do=lambda: self._answer(question, entry),
            fail=lambda error: self._settle(question, failure=entry.failure(error)),
            is_wanted=lambda: self._is_asked(question),
            priority=Priority.SHOWN if is_first else Priority.ASKED,
        )

    def _answer(self, question: Question, entry: Entry) -> None:
        """Answer a question, or a part of it, from where it was left last."""
        with self._lock:
            parts = self._begun.pop(question, [])
            self._begun[question] = parts
            while len(self._begun) > BEGUN:
                self._begun.pop(next(iter(self._begun)))
        for batch in self._background.batches(question.images[_count(parts) :]):
            probe = self._background.model.loaded(entry)
            part = respond(probe, self._images, batch, self._kind)
            with self._lock:
                parts.append(part if question.whole else part.without_outputs())
            if _count(parts) < len(question.images):
                self.notify()
                if self._background.turn_is_over():
                    return
        self._settle(question, answer=joined(parts))

    def _settle(
        self, question: Question, *, answer: Responses | None = None, failure: str = ""
    ) -> None:
        with self._lock:
            self._begun.pop(question, None)
            if self._closed:
                return
            if answer is None:
                self._failures[question] = failure
            elif question.whole:
                self._whole.put(question, answer)
                larger = self._sets.setdefault(question.key, [])
                if len(question.images) > 1 and question not in larger:
                    larger.append(question)
            else:
                self._numbers[question] = answer


def _count(parts: Iterable[Responses]) -> int:
    """Return how many images these are about, those that could not be read included."""
    return sum(len(part.indices) + len(part.failures) for part in parts)
