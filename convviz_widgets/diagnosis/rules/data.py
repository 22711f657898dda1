"""Rules for the data: the inputs' centre, scale and preprocessing, and samples that come twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from convviz_widgets.diagnosis.evidence import Evidence
from convviz_widgets.diagnosis.finding import REMARK, WARNING, Finding
from convviz_widgets.diagnosis.rule import rule
from convviz_widgets.diagnosis.rules.code import call, code
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
    return [
        Finding(
            "input-not-centred",
            REMARK,
            f"the inputs' mean is {value:.2f} standard deviations from zero (threshold {stds:g}) "
            f"over n = {inputs.n:,} images: mean {mean:.3g}, std {std:.3g}",
            value=value,
            threshold=stds,
            n=inputs.n,
            code=_code(input_not_centred, stds=stds, images=images),
        )
    ]


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
    return [
        Finding(
            "input-scale",
            WARNING,
            f"the inputs' root mean square is {rms:.3g} (expected {low:g} to {high:g}) over "
            f"n = {inputs.n:,} images: scale them to about 1",
            value=rms,
            threshold=high if rms > high else low,
            n=inputs.n,
            code=_code(input_scale, low=low, high=high, images=images),
        )
    ]


@rule("unequal-input-scales", place=200, needs=NEEDS, takes=_of_inputs)
def unequal_input_scales(
    inputs: InputStatistics, *, times: float = 3.0, images: int = LEAST
) -> list[Finding]:
    """Find channels of the input whose standard deviations are far apart: a remark."""
    stds = inputs.std.tolist()
    if inputs.n < images or len(stds) < 2 or not max(stds) > times * min(stds):
        return []
    value = max(stds) / min(stds) if min(stds) else float("inf")
    return [
        Finding(
            "unequal-input-scales",
            REMARK,
            f"the channels of the input have standard deviations from {min(stds):.3g} to "
            f"{max(stds):.3g}, {value:.1f} times apart (threshold {times:g}), over n = "
            f"{inputs.n:,} images",
            value=value,
            threshold=times,
            n=inputs.n,
            code=_code(unequal_input_scales, times=times, images=images),
        )
    ]


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
        Share of values within 0.02 of whole numbers, at least.
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
    return [
        Finding(
            "wrong-preprocessing",
            WARNING,
            f"{what} over n = {undone.n:,} images: mean and std look wrong",
            value=value,
            threshold=threshold,
            n=undone.n,
            code=_code(wrong_preprocessing, clipped=clipped, whole=whole),
        )
    ]


def _code(find: Callable[..., list[Finding]], **limits: float) -> str:
    """Return the lines that ask a rule for inputs once more."""
    return code(
        ImageSet,
        input_statistics,
        find,
        text="images = images if isinstance(images, ImageSet) else ImageSet(images)\n"
        f"value = {call(find, 'input_statistics(images)', **limits)}[0].value",
    )


# -- samples that come more than once: only hashes find them, the curves do not ------------------


@rule(
    "repeated-batch",
    place=30,
    needs="loader=, a DataLoader without random transforms",
    takes=lambda e: (e.batches,) if e.batches else None,
)
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
            code=_repeated_code(len(batches)),
        )
    ]


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
            code=code(find_duplicates, text="value = find_duplicates(training).surplus"),
        )
    ]


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
            code=code(find_leak, text="value = find_leak(training, validation).shared"),
        )
    ]


def _repeated_code(batches: int) -> str:
    return code(
        find_repeated_batches,
        loader_batches,
        text=f"""
        batches = [batch.images for batch in loader_batches(loader, {batches}).batches]
        value = sum(len(numbers) - 1 for numbers in find_repeated_batches(batches))
        """,
    )
