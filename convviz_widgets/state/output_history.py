"""OutputHistory: what the model puts out at each checkpoint, asked in the background."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar

from convviz_widgets.errors import in_one_line
from convviz_widgets.instrument.responses import Responses, joined
from convviz_widgets.state.cache import ByteCache
from convviz_widgets.state.demand import OnDemand
from convviz_widgets.state.history import Progress
from convviz_widgets.state.responder import Responder
from convviz_widgets.state.timeline import Entry, Timeline

OUTPUT_BYTES = 2**26
"""What the outputs that are kept may take; numbers by image are kept beside them."""

WHOLE_VALUES = 2**18
"""Outputs of a question that are kept without being asked for."""


@dataclass(frozen=True)
class Question:
    """What one checkpoint puts out for some images."""

    key: Hashable
    """Of the checkpoint."""
    images: tuple[int, ...]
    whole: bool = False
    """Whether the outputs themselves are wanted, not only numbers by image."""


class OutputHistory(OnDemand[Question, tuple[Question, Entry]]):
    """Answers questions from memory, or has them answered by a thread of its own.

    It works while somebody asks for something that is missing, in the order of the questions, and
    tells the observers after every batch of images.

    Parameters
    ----------
    timeline
        The checkpoints, captures among them.
    responder
        Answers for one of them.
    classes
        Of the model; None where it has none.
    """

    thread_name: ClassVar[str] = "convviz-outputs"
    problem = ""

    def __init__(self, timeline: Timeline, responder: Responder, classes: int | None) -> None:
        super().__init__()
        self._timeline, self._responder, self._classes = timeline, responder, classes
        self._numbers: dict[Question, Responses] = {}
        self._whole: ByteCache[Responses] = ByteCache(OUTPUT_BYTES)
        self._sets: dict[Hashable, list[Question]] = {}
        self._begun: tuple[Question | None, list[Responses]] = None, []
        self._failures: dict[Question, str] = {}

    # -- ask ----------------------------------------------------------------------------------

    def question(self, index: int, images: tuple[int, ...], whole: bool = False) -> Question:
        """Return the question to a checkpoint; few class scores are kept whole in any case."""
        few = self._classes is not None and len(images) * self._classes <= WHOLE_VALUES
        return Question(self._timeline.keys[index], images, whole or few)

    def close(self) -> None:
        """Stop answering and forget everything."""
        with self._turn:
            super().close()
            for kept in (self._numbers, self._whole, self._sets, self._failures):
                kept.clear()
            self._begun = None, []
        self._responder.close()

    # -- look ---------------------------------------------------------------------------------

    def get(self, question: Question) -> Responses | None:
        """Return the answer; None where there is none yet.

        That for one image may be part of an answer for many.
        """
        with self._turn:
            return self._get(question)

    def progress(self, *questions: Question) -> Progress:
        """Return how many images of these questions have been answered, and what has failed."""
        with self._turn:
            begun, parts = self._begun
            under_way = sum(len(part.indices) + len(part.failures) for part in parts)
            total = sum(len(each.images) for each in questions)
            done = sum(
                len(each.images)
                if self._is_settled(each)
                # Not all of them: done is what has an answer.
                else min(under_way, len(each.images) - 1) * (each == begun)
                for each in questions
            )
            failures = [self._failures[each] for each in questions if each in self._failures]
            return Progress(done, total, tuple(dict.fromkeys(failures)))

    @property
    def forward_count(self) -> int:
        """Forward passes so far, none of which counts as the user's."""
        return self._responder.forward_count

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

    def _next(self) -> tuple[Question, Entry] | None:
        """Return the first question that has no answer; the lock is held."""
        entries = {entry.key: entry for entry in self._timeline.entries}
        for questions in self._asked.values():
            for each in questions:
                if each.key in entries and not self._is_settled(each):
                    return each, entries[each.key]
        return None

    def _do(self, task: tuple[Question, Entry]) -> None:
        self._answer(*task)

    def _fail(self, task: tuple[Question, Entry], error: Exception) -> None:
        question, entry = task
        self._settle(question, failure=f"step {entry.step:,}: {in_one_line(error)}")

    def _answer(self, question: Question, entry: Entry) -> None:
        """Answer a question, from where it was left when it was dropped last."""
        with self._turn:
            begun, parts = self._begun
            parts = parts if begun == question else []
            self._begun = question, parts
        done = sum(len(part.indices) + len(part.failures) for part in parts)
        for part in self._responder.respond(entry, question.images[done:]):
            with self._turn:
                parts.append(part if question.whole else part.without_outputs())
            if not self._is_asked(question):
                return
            self._tell()
        self._settle(question, answer=joined(parts))

    def _settle(
        self, question: Question, *, answer: Responses | None = None, failure: str = ""
    ) -> None:
        with self._turn:
            self._begun = None, []
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
