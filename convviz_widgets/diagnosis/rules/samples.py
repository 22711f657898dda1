"""Rules for samples that come more than once: only hashes find them, the curves do not."""

from __future__ import annotations

from collections.abc import Sequence

from convviz_widgets.diagnosis.code import DUPLICATES, LEAK, repeated_code
from convviz_widgets.diagnosis.finding import WARNING, Finding
from convviz_widgets.instrument import Duplicates, Leak


def repeated_batch(batches: Sequence[Sequence[bytes]]) -> list[Finding]:
    """Find batches of one epoch that hold the same samples, in whatever order.

    Parameters
    ----------
    batches
        The digests of the samples of each batch, in the order of the loader.
    """
    places: dict[tuple[bytes, ...], list[int]] = {}
    for number, digests in enumerate(batches):
        if len(digests):
            places.setdefault(tuple(sorted(digests)), []).append(number)
    again = [numbers for numbers in places.values() if len(numbers) > 1]
    if not again:
        return []
    surplus = sum(len(numbers) - 1 for numbers in again)
    shown = ", ".join(map(str, again[0][:6])) + (", …" if len(again[0]) > 6 else "")
    return [
        Finding(
            "repeated-batch",
            WARNING,
            f"{surplus} of n = {len(batches)} batches of one epoch hold the same samples as an "
            f"earlier one (batches {shown}): a sampler or a loader that repeats itself",
            value=float(surplus),
            threshold=0.0,
            n=len(batches),
            code=repeated_code(len(batches)),
        )
    ]


def duplicate_sample(duplicates: Duplicates) -> list[Finding]:
    """Find samples that are in the training set more than once, bit by bit."""
    if not duplicates.groups:
        return []
    first = duplicates.groups[0]
    return [
        Finding(
            "duplicate-sample",
            WARNING,
            f"{duplicates.surplus:,} of n = {duplicates.count:,} training samples are copies of "
            f"another (such as {', '.join(map(str, first[:4]))}): they count more than once",
            value=float(duplicates.surplus),
            threshold=0.0,
            n=duplicates.count,
            select={"image": first[0]},
            code=DUPLICATES,
        )
    ]


def train_validation_leak(leak: Leak) -> list[Finding]:
    """Find validation samples that are training samples as well, bit by bit."""
    if not leak.groups:
        return []
    training, validation = leak.groups[0]
    return [
        Finding(
            "train-validation-leak",
            WARNING,
            f"{leak.shared:,} of n = {leak.counts[1]:,} validation samples are training samples "
            f"too (validation {validation[0]} is training {training[0]}): the validation figures "
            "are too good",
            value=float(leak.shared),
            threshold=0.0,
            n=leak.counts[1],
            select={"image": training[0]},
            code=LEAK,
        )
    ]
