"""Rules for what goes into the model: its centre, its scale, its preprocessing."""

from __future__ import annotations

from convviz_widgets.diagnosis.code import (
    centre_code,
    clipped_code,
    rms_code,
    stds_code,
    whole_code,
)
from convviz_widgets.diagnosis.finding import REMARK, WARNING, Finding
from convviz_widgets.instrument import InputStatistics
from convviz_widgets.instrument.input_statistics import LEAST


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
            code=centre_code(inputs.n),
        )
    ]


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
            code=rms_code(inputs.n),
        )
    ]


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
            code=stds_code(inputs.n),
        )
    ]


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
    about = f"over n = {undone.n:,} images: mean and std look wrong"
    if undone.clipped > clipped:
        return [
            Finding(
                "wrong-preprocessing",
                WARNING,
                f"with the preprocessing undone {undone.clipped:.1%} of the values are below 0 or "
                f"above 255 (threshold {clipped:.0%}) {about}",
                value=undone.clipped,
                threshold=clipped,
                n=undone.n,
                code=clipped_code(undone.n),
            )
        ]
    if undone.eight_bit and undone.whole < whole:
        return [
            Finding(
                "wrong-preprocessing",
                WARNING,
                f"the images come from 8-bit pictures, but with the preprocessing undone only "
                f"{undone.whole:.1%} of the values are whole numbers from 0 to 255 (threshold "
                f"{whole:.0%}) {about}",
                value=undone.whole,
                threshold=whole,
                n=undone.n,
                code=whole_code(undone.n),
            )
        ]
    return []
