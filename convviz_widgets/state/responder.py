"""The Responder: asks one checkpoint after the other what it puts out, through its own probe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from convviz_widgets.instrument.responses import Responses, read_batch, respond
from convviz_widgets.state.own_probe import OwnProbe, fitting
from convviz_widgets.state.timeline import Entry


class Responder(OwnProbe):
    """Answers for one checkpoint; the passes it runs are not counted as the user's.

    Used by one thread at a time. The probe is made at the first use. The lock is held while it is
    made and while images are read, never while the model runs.

    Parameters
    ----------
    probe, lock
        The state's probe, to be copied once, and the lock to hold meanwhile.
    images
        What is asked about.
    """

    def respond(self, entry: Entry, indices: Sequence[int]) -> Iterator[Responses]:
        """Yield what a checkpoint puts out for these images, batch by batch."""
        probe = self._loaded(entry)
        size = fitting(probe.layers)
        for start in range(0, len(indices), size):
            batch = read_batch(self._images, indices[start : start + size], self._lock)
            yield respond(probe, self._images, batch)
