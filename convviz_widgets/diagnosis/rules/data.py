"""Rules for the data: the inputs' centre, scale and preprocessing, and samples that come twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convviz_widgets.diagnosis.evidence import Evidence
from convviz_widgets.diagnosis.finding import REMARK, WARNING, Finding
from convviz_widgets.diagnosis.rule import AppliedRule, RuleFunction, rule
from convviz_widgets.diagnosis.rules.code import code
from convviz_widgets.images import (
    Duplicates,
    ImageSet,
    InputStatistics,
    Leak,
    find_duplicates,
    find_leak,
    find_repeated_batches,
    input_statistics,
    loader_batches,
    sample_digests,
)
from convviz_widgets.images.input_statistics import LEAST

# -- what goes into the model --------------------------------------------------------------------

NEEDS = f"{LEAST} images"


def _of_inputs(e: Evidence) -> tuple[InputStatistics] | None:
    return None if e.inputs is None or e.inputs.n < LEAST else (e.inputs,)


@rule("input-not-centred", place=190, needs=NEEDS, takes=_of_inputs)
def input_not_centred(
    inputs: InputStatistics, *, stds: float = 0.5, images: int = LEAST
) -> list[Finding]:
    """Find inputs whose mean is far from zero: a remark, standard digit pipelines reach 0.8."""
    mean, std, _ = inputs.overall
    if inputs.n < images or not abs(mean) > stds * std > 0:
        return []
    value = abs(mean) / std
    message = (
        f"the inputs' mean is {value:.2f} standard deviations from zero (threshold {stds:g}) "
        f"over n = {inputs.n:,} images: mean {mean:.3g}, std {std:.3g}"
    )
    applied = AppliedRule(input_not_centred, stds=stds, images=images)
    return _in_inputs(applied, REMARK, message, inputs, value, stds)


@rule(
    "input-scale",
    place=60,
    needs=NEEDS,
    takes=_of_inputs,
    causes=("dead-layer", "non-finite", "exploding-gradient"),
)
def input_scale(
    inputs: InputStatistics, *, low: float = 0.05, high: float = 5.0, images: int = LEAST
) -> list[Finding]:
    """Find inputs that are far too large or too small: 0 to 255 with SGD kills layers [Hui]."""
    _, _, rms = inputs.overall
    if inputs.n < images or low <= rms <= high:
        return []
    message = (
        f"the inputs' root mean square is {rms:.3g} (expected {low:g} to {high:g}) over "
        f"n = {inputs.n:,} images: scale them to about 1"
    )
    threshold = high if rms > high else low
    applied = AppliedRule(input_scale, low=low, high=high, images=images)
    return _in_inputs(applied, WARNING, message, inputs, rms, threshold)


@rule("unequal-input-scales", place=200, needs=NEEDS, takes=_of_inputs)
def unequal_input_scales(
    inputs: InputStatistics, *, times: float = 3.0, images: int = LEAST
) -> list[Finding]:
    """Find channels of the input whose standard deviations are far apart: a remark."""
    stds = inputs.std.tolist()
    if inputs.n < images or len(stds) < 2 or not max(stds) > times * min(stds):
        return []
    value = max(stds) / min(stds) if min(stds) else float("inf")
    message = (
        f"the channels of the input have standard deviations from {min(stds):.3g} to "
        f"{max(stds):.3g}, {value:.1f} times apart (threshold {times:g}), over n = "
        f"{inputs.n:,} images"
    )
    applied = AppliedRule(unequal_input_scales, times=times, images=images)
    return _in_inputs(applied, REMARK, message, inputs, value, times)


@rule(
    "wrong-preprocessing",
    place=50,
    needs="images with mean= and std=",
    takes=lambda e: (e.inputs,) if e.inputs and e.states_preprocessing else None,
)
def wrong_preprocessing(
    undone: InputStatistics, *, clipped: float = 0.01, whole: float = 0.99
) -> list[Finding]:
    """Find images that ``mean`` and ``std`` do not bring back to pictures of 0 to 255.

    Too many values are clipped; or the source has 8 bits (at most 256 different values a channel),
    and they do not come back as whole numbers: the mean and std stated are not those applied.

    Parameters
    ----------
    clipped
        Share of values below 0 or above 255, at most.
    whole
        Share of values within `images.input_statistics.NEAR` of whole numbers, at least.
    """
    if undone.clipped > clipped:
        value, threshold = undone.clipped, clipped
        what = (
            f"with the preprocessing undone {value:.1%} of the values are below 0 or above 255 "
            f"(threshold {threshold:.0%})"
        )
    elif undone.eight_bit and undone.whole < whole:
        value, threshold = undone.whole, whole
        what = (
            f"the images come from 8-bit pictures, but with the preprocessing undone only "
            f"{value:.1%} of the values are whole numbers from 0 to 255 (threshold {threshold:.0%})"
        )
    else:
        return []
    message = f"{what} over n = {undone.n:,} images: mean and std look wrong"
    applied = AppliedRule(wrong_preprocessing, clipped=clipped, whole=whole)
    return _in_inputs(applied, WARNING, message, undone, value, threshold)


def _in_inputs(
    applied: AppliedRule,
    severity: str,
    message: str,
    inputs: InputStatistics,
    value: float,
    threshold: float,
) -> list[Finding]:
    """Return a rule's finding in inputs, with the code that reads them once more."""
    again = code(
        applied,
        "input_statistics(images)",
        lines="images = images if isinstance(images, ImageSet) else ImageSet(images)",
        uses=[ImageSet, input_statistics],
    )
    return [
        Finding(
            applied.name,
            severity,
            message,
            value=value,
            threshold=threshold,
            n=inputs.n,
            code=again,
            given=("images",),
        )
    ]


# -- samples that come more than once: only hashes find them, the curves do not ------------------


@rule(
    "repeated-batch",
    place=30,
    needs="loader=, a DataLoader without random transforms",
    takes=lambda e: (e.batches,) if any(e.batches) else None,
)
def repeated_batch(batches: Sequence[Sequence[bytes]]) -> list[Finding]:
    """Find batches of one epoch that hold the same samples, in whatever order.

    Parameters
    ----------
    batches
        The digests of the samples of each batch, in the order of the loader; none of one that could
        not be read, which counts for nothing.
    """
    groups = find_repeated_batches(batches)
    if not groups:
        return []
    surplus = sum(len(numbers) - 1 for numbers in groups)
    count = sum(len(digests) > 0 for digests in batches)
    shown = ", ".join(map(str, groups[0][:6])) + (", …" if len(groups[0]) > 6 else "")
    message = (
        f"{surplus} of n = {count} batches of one epoch hold the same samples as an earlier one "
        f"(batches {shown}): a sampler or a loader that repeats itself"
    )
    return _in_samples(
        repeated_batch,
        message,
        surplus,
        count,
        lines=f"""
        batches = loader_batches(loader, {len(batches)}).batches
        samples = [sample_digests(batch.images) for batch in batches]
        """,
        uses=[loader_batches, sample_digests],
    )


@rule(
    "duplicate-sample",
    place=40,
    needs="training images",
    takes=lambda e: None if e.duplicates is None else (e.duplicates,),
)
def duplicate_sample(duplicates: Duplicates) -> list[Finding]:
    """Find samples that are in the training set more than once, bit by bit."""
    if not duplicates.groups:
        return []
    first = duplicates.groups[0]
    message = (
        f"{duplicates.surplus:,} of n = {duplicates.count:,} training samples are copies of "
        f"another (such as {', '.join(map(str, first[:4]))}): they count more than once"
    )
    return _in_samples(
        duplicate_sample,
        message,
        duplicates.surplus,
        duplicates.count,
        lines="samples = find_duplicates(training)",
        uses=[find_duplicates],
        select={"image": first[0]},
        given=("training",),
    )


@rule(
    "train-validation-leak",
    place=20,
    needs="training images and other ones as validation=",
    takes=lambda e: None if e.leak is None else (e.leak,),
)
def train_validation_leak(leak: Leak) -> list[Finding]:
    """Find validation samples that are training samples as well, bit by bit."""
    if not leak.groups:
        return []
    training, validation = leak.groups[0]
    message = (
        f"{leak.shared:,} of n = {leak.counts[1]:,} validation samples are training samples too "
        f"(validation {validation[0]} is training {training[0]}): the validation figures are too "
        "good"
    )
    return _in_samples(
        train_validation_leak,
        message,
        leak.shared,
        leak.counts[1],
        lines="samples = find_leak(training, validation)",
        uses=[find_leak],
        select={"image": training[0]},
        given=("training",),
    )


def _in_samples(
    find: RuleFunction,
    message: str,
    value: int,
    n: int,
    *,
    lines: str,
    uses: Sequence[Any],
    **more: Any,
) -> list[Finding]:
    """Return a rule's finding in ``samples``, as the lines of its code name them."""
    applied = AppliedRule(find)
    again = code(applied, "samples", lines=lines, uses=uses)
    told = applied.name, WARNING, message
    return [Finding(*told, value=float(value), threshold=0.0, n=n, code=again, **more)]
