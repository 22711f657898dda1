"""Which images of a large set are asked about."""

from __future__ import annotations

from functools import lru_cache

from convviz_widgets.images import ImageSet
from convviz_widgets.state import Question

MOST = 1024
"""Images that a classifier answers unasked."""


@lru_cache(maxsize=32)  # a view asks after every batch, for up to 100,000 numbers
def spread(total: int, most: int) -> tuple[int, ...]:
    """Return ``most`` of the numbers below ``total``, evenly spread, or all of them.

    >>> spread(10, 4)
    (0, 2, 5, 7)
    """
    count = min(total, most)
    return tuple(index * total // count for index in range(count))


def asked_of(question: Question, images: ImageSet) -> str:
    """Say of how many images a question is, if not of all; follows n."""
    asked, total = len(question.images), len(images)
    return "" if asked == total else f" ({asked:,} asked of {total:,}, evenly spread)"
