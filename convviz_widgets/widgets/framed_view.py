"""FramedView: a view of which the page keeps what it shows at other checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar

from convviz_widgets.errors import InputError
from convviz_widgets.state import Selection
from convviz_widgets.state.published import PUBLISHED
from convviz_widgets.widgets.frames import Frame, FrameBook
from convviz_widgets.widgets.view import View

CLOCK = frozenset({"key", "checkpoint", "step", "label", "revision"})
"""Fields of a selection that say which checkpoint it is."""


class FramedView(View):
    """Show frames of a `FrameBook`; a subclass makes the book and the frame of any selection.

    While nothing else is to be done, the frames of the checkpoints next to the clock are made and
    sent ahead, so that the page moves from one to the next without asking.
    """

    framed: ClassVar[frozenset[str]] = frozenset()
    """Fields of the selection whose change makes all frames other ones; the clock's among them."""

    looks_ahead: ClassVar[bool] = False
    """Whether frames of other checkpoints are made; everything that changes with them is in them.
    """

    book: FrameBook

    def frame_at(self, selection: Selection) -> Frame:
        """Return what the view shows at a selection, whatever is selected; touches no widget."""
        raise NotImplementedError

    def keep_frames(self, book: FrameBook) -> None:
        """Begin to use a book: `build` calls it, when the options have their controls."""
        self.book = book
        self._selection = self.state.selection  # that the frames in the page belong to
        book.link(self.option_links)
        book.options = dict(self._options)
        book.on_new_page(self._begin_anew)
        self.state.announcements.observe(self._announced)
        self.observe(lambda _change: self._wake_book(), names="problem")

    def show_frame(self, frame: Frame, selection: Selection) -> None:
        """Show the frame of a selection, and have those of the checkpoints beside it made."""
        now = PUBLISHED.now(self.state, selection)
        was_sent = self.book.show(frame, now, now["key"] if self.looks_ahead else None)
        if self.looks_ahead:
            if was_sent:
                self.state.afterwards(lambda: self.book.tell_drawn(now))
            self._look_ahead()
            self.state.ahead.hold(self, now["key"], frame.nbytes)

    def _look_ahead(self) -> None:
        """Have frames made while there is a page to show them: a script is not slowed."""
        if self.looks_ahead and self.awake and self.book.is_on_page:
            with suppress(InputError):  # the state is closed: what is seen stays
                self.state.ahead.ask(self, self._make, self._drop, self.framed - CLOCK)

    @property
    def _options(self) -> Mapping[str, Any]:
        return {name: getattr(self, name) for name in self.trait_names(option=True)}

    def _make(self, selection: Selection) -> int:
        """Send the frame of another checkpoint; called by the background."""
        of = self.book.of
        if selection.changed(self._selection) & (self.framed - CLOCK):
            return 0  # something else has been selected since, and ``of`` stands for that
        frame = self.frame_at(selection)
        self.state.ahead.pause()
        key = self.state.frame_key(selection)
        return self.book.keep(frame, key, of)

    def _drop(self, keys: tuple[int, ...]) -> None:
        self.book.drop(set(keys))

    def _wake_book(self) -> None:
        """Have the page's clock wait for the view only while there is something to see."""
        self.book.awake = self.awake and not self.problem

    def _begin_anew(self) -> None:
        """Have all frames made for a page that is new, and has the selected one alone."""
        self._look_ahead()
        self.state.ahead.renew(self)

    def _announced(self, selection: Selection) -> None:
        """Have the page let go of its frames before anybody draws, if they will be others."""
        before, self._selection = self._selection, selection
        if selection.changed(before) & (self.framed - CLOCK):
            self.book.renew(self._options)

    def _option_changed(self, change: Any) -> None:
        if hasattr(self, "book"):
            self.book.renew(self._options)
            self.state.ahead.renew(self)
        super()._option_changed(change)

    def _shown(self, change: Any) -> None:
        if hasattr(self, "book"):
            self._wake_book()
            if not self.awake:
                self.state.ahead.leave(self)
            elif self.book.frame:  # it may be as it was, and not draw
                self._look_ahead()
        super()._shown(change)

    def close(self) -> None:
        """Stop listening to the state, and have no frame made any more."""
        if hasattr(self, "book"):
            self.state.ahead.forget(self)
            self.state.announcements.unobserve(self._announced)
        super().close()
