"""OutputHistory: what the model puts out at each checkpoint, asked in the background."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from convviz_widgets.errors import ConvVizError, InputError
from convviz_widgets.instrument.responses import Responses, joined
from convviz_widgets.state.cache import ByteCache
from convviz_widgets.state.history import Progress
from convviz_widgets.state.measurer import Stopped
from convviz_widgets.state.recordings import CLOSED
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


class OutputHistory:
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

    problem = ""

    def __init__(self, timeline: Timeline, responder: Responder, classes: int | None) -> None:
        self._timeline, self._responder, self._classes = timeline, responder, classes
        self._turn = threading.Condition()  # held for moments, never while answering or telling
        self._thread: threading.Thread | None = None
        self._closed = False
        self._asked: dict[int, tuple[Question, ...]] = {}
        self._numbers: dict[Question, Responses] = {}
        self._whole: ByteCache[Responses] = ByteCache(OUTPUT_BYTES)
        self._sets: dict[Hashable, list[Question]] = {}
        self._begun: tuple[Question | None, list[Responses]] = None, []
        self._failures: dict[Question, str] = {}
        self._observers: list[Callable[[], None]] = []

    # -- ask ----------------------------------------------------------------------------------

    def question(self, index: int, images: tuple[int, ...], whole: bool = False) -> Question:
        """Return the question to a checkpoint; few class scores are kept whole in any case."""
        few = self._classes is not None and len(images) * self._classes <= WHOLE_VALUES
        return Question(self._timeline.keys[index], images, whole or few)

    def ask(self, owner: object, *questions: Question) -> None:
        """Have these answered for ``owner``, in this order, in place of what it asked before."""
        with self._turn:
            if self._closed:
                raise InputError(CLOSED)
            self._asked[id(owner)] = questions
            if self._thread is None and self._next() is not None:
                # No daemon, which could be cut off amid torch; it ends once the main thread has.
                self._thread = threading.Thread(target=self._work, name="convviz-outputs")
                self._thread.start()

    def leave(self, owner: object) -> None:
        """Answer nothing more for ``owner``; what is under way is dropped at the next batch."""
        with self._turn:
            self._asked.pop(id(owner), None)

    def observe(self, observer: Callable[[], None]) -> None:
        """Call ``observer()`` after every batch, from the thread that answers."""
        self._observers = [*self._observers, observer]

    def unobserve(self, observer: Callable[[], None]) -> None:
        """Call it no more."""
        self._observers = [each for each in self._observers if each != observer]

    def wait(self, timeout: float | None = None) -> bool:
        """Return once nothing is left to be done; False when ``timeout`` seconds have passed.

        Not to be called by an observer, nor while a view draws.
        """
        with self._turn:
            return self._turn.wait_for(lambda: self._thread is None, timeout)

    def close(self) -> None:
        """Stop answering and forget everything."""
        with self._turn:
            self._closed = True
            self._observers = []
            for kept in (self._asked, self._numbers, self._whole, self._sets, self._failures):
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

    def _is_asked(self, question: Question) -> bool:
        with self._turn:
            wanted = any(question in questions for questions in self._asked.values())
        return wanted and threading.main_thread().is_alive()

    def _work(self) -> None:
        while True:
            with self._turn:
                found = self._next() if threading.main_thread().is_alive() else None
                if found is None:
                    self._thread = None
                    self._turn.notify_all()
                    break
            try:
                self._answer(*found)
            except Stopped:
                pass
            except Exception as error:  # a broken checkpoint must not end the thread
                self._settle(found[0], failure=_line(found[1], error))
            self._tell()

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

    def _tell(self) -> None:
        for observer in self._observers:
            try:
                observer()
            except Exception:
                logging.getLogger(__name__).exception("an observer of the outputs failed")


def _line(entry: Entry, error: Exception) -> str:
    text = " ".join(str(error).split())
    kind = "" if isinstance(error, ConvVizError) else f"{type(error).__name__}: "
    return f"step {entry.step:,}: {kind}{text}"
