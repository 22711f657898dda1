"""A job: one part to be measured at one checkpoint."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from convviz_widgets.state.timeline import Entry

PARAMETERS = "parameters"
ACTIVATIONS = "activations"
GRADIENTS = "gradients"
UPDATES = "updates"
CENSUS = "full census"
FILTERS = "filters"

PARTS = (PARAMETERS, ACTIVATIONS, GRADIENTS, UPDATES, CENSUS, FILTERS)
"""What is measured by itself: the weights alone need no pass; updates need two checkpoints. The
census looks at many more images than the probe batch has, and at the last checkpoint alone."""

Identity = tuple[Hashable, ...]


@dataclass(frozen=True)
class Job:
    """One part to be measured at one checkpoint."""

    part: str
    entry: Entry
    before: Entry | None = None
    """The checkpoint before, for updates; that of step 0, for the census and filters."""

    @property
    def identity(self) -> Identity:
        """What the result belongs to: the part, and the keys of the checkpoints."""
        before = (self.before.key,) if self.before else ()
        return (self.part, self.entry.key, *before)


def jobs_of(part: str, entries: tuple[Entry, ...]) -> list[Job | None]:
    """Return what there is to be measured at each checkpoint; no update leads to the first."""
    if part == CENSUS:
        last = [Job(part, entry, _initial(entries)) for entry in entries[-1:]]
        return [*(None for _ in entries[:-1]), *last]
    if part == FILTERS:
        return [Job(part, entry, _initial(entries)) for entry in entries]
    if part != UPDATES:
        return [Job(part, entry) for entry in entries]
    pairs = zip(entries[1:], entries, strict=False)
    return [None, *(Job(part, entry, before) for entry, before in pairs)]


def _initial(entries: tuple[Entry, ...]) -> Entry | None:
    """Return the checkpoint of step 0, where there is one and another behind it."""
    return entries[0] if len(entries) > 1 and entries[0].step == 0 else None
