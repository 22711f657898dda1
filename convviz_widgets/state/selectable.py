"""What can be selected: one selection, and whoever changes or draws it does so in one order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from traitlets import HasTraits, Instance

from convviz_widgets.state.publisher import Locked, Publisher, Selected, publish
from convviz_widgets.state.selection import Selection


class Selectable(HasTraits):
    """What views show of a state, and the one lock under which it changes.

    Its owner knows what can be selected: `_resolve`.
    """

    checkpoint = Selected(help="Index into `steps`; assigning None selects the last.")
    image = Selected(help="Index into the image set.")
    layer = Selected(help="Qualified layer name; assigning it clamps the channel.")
    channel = Selected(help="Channel of the layer, from 0.")
    target = Selected(help="Class that explanations are for; None: the predicted one.")
    direction = Selected(help="Seed of a random direction instead of the channel, or None.")
    drawing = Selected(help="Input (C, H, W) that stands in for the image's; None: its own.")
    selection = Instance(Selection, read_only=True, help="All of the above, as one value.")
    follow = Locked(False, help="Select each new checkpoint as soon as a refresh finds it.")

    def __init__(self) -> None:
        super().__init__()
        self._publisher = Publisher(self._publish)

    def _resolve(self, current: Selection, changes: dict[str, Any]) -> Selection:
        """Return what changes lead to, or raise where they cannot be made."""
        raise NotImplementedError

    def select(self, **changes: Any) -> Selection:
        """Change several fields at once; every view draws at most once.

        Anything invalid raises before anything is written. A ``select`` made by an observer while
        the state publishes is queued, so that every view sees all selections in the same order.

        Returns
        -------
        The selection that these changes lead to.
        """
        return self._submit(lambda current: self._resolve(current, changes))

    def publishing_here(self) -> bool:
        """Tell whether this thread is publishing: controls then ignore their own changes."""
        return self._publisher.here()

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """The one lock that every write and every publication holds."""
        return self._publisher.lock

    @contextmanager
    def hold(self) -> Iterator[Selection]:
        """Keep the selection still while a view draws; what it selects is published after."""
        with self._publisher.hold(lambda: self.selection):
            yield self.selection

    def afterwards(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when this publication is over and the lock is free.

        For an observer that changes another state: two states whose threads wait for each other's
        lock would wait for ever.
        """
        self._publisher.afterwards(callback)

    def when_free(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` now unless another thread publishes, else after that."""
        self._publisher.when_free(callback)

    def _submit(self, change: Callable[[Selection], Selection]) -> Selection:
        return self._publisher.submit(lambda: self.selection, change)

    def _publish(self, chosen: Selection) -> None:
        # The selection first: a raising observer of one field must not keep the views from drawing.
        names = [name for name, trait in self.traits().items() if isinstance(trait, Selected)]
        publish(self, {"selection": chosen, **{name: getattr(chosen, name) for name in names}})
