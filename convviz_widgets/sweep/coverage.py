"""Which images a result is about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Coverage:
    """A set of image indices, as spans [start, stop) in order that do not touch."""

    spans: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, spans: Iterable[tuple[int, int]]) -> Coverage:
        """Return the set of all spans; those that touch become one."""
        joined: list[tuple[int, int]] = []
        for start, stop in sorted(span for span in spans if span[0] < span[1]):
            if joined and start <= joined[-1][1]:
                joined[-1] = joined[-1][0], max(stop, joined[-1][1])
            else:
                joined.append((start, stop))
        return cls(tuple(joined))

    def __len__(self) -> int:
        return sum(stop - start for start, stop in self.spans)

    def __or__(self, other: Coverage) -> Coverage:
        return Coverage.of((*self.spans, *other.spans))

    @property
    def end(self) -> int:
        """One more than the last image."""
        return self.spans[-1][1] if self.spans else 0

    def within(self, wanted: range) -> Coverage:
        """Return the images that are in a range."""
        spans = ((max(a, wanted.start), min(b, wanted.stop)) for a, b in self.spans)
        return Coverage.of(spans)

    def overlaps(self, other: Coverage) -> bool:
        """Tell whether an image is in both."""
        return len(self | other) < len(self) + len(other)

    def missing(self, wanted: range, size: int) -> Iterator[range]:
        """Return what is missing of a range, in ranges that end at multiples of ``size``."""
        position = wanted.start
        for start, stop in (*self.spans, (wanted.stop, wanted.stop)):
            gap = min(start, wanted.stop)
            while position < gap:
                end = min(gap, position - position % size + size)
                yield range(position, end)
                position = end
            position = max(position, stop)
