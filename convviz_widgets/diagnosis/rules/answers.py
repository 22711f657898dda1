"""Rules for what comes out of the model: one class for everything, or pictures without colour."""

from __future__ import annotations

from collections.abc import Sequence

from convviz_widgets.diagnosis.code import chroma_code, contrast_code, stuck_code
from convviz_widgets.diagnosis.finding import WARNING, Finding
from convviz_widgets.diagnosis.measurements import Answered

CHROMA_LIMIT, CONTRAST_LIMIT = 0.7, 0.5
"""Shares of the targets' chroma and contrast below which output pictures are washed out."""

IMAGES = 32
"""Fewer could be of one class by chance."""


def stuck_output(
    answers: Sequence[Answered], *, share: float = 0.95, images: int = IMAGES
) -> list[Finding]:
    """Find a model that answers one class to varied images: their labels differ [Hui]."""
    found = []
    for step, each in ((answer.step, answer.facts) for answer in answers):
        is_varied = each.label_share < share
        if each.commonest is None or each.images < images or not is_varied or each.share < share:
            continue
        found.append(
            Finding(
                "stuck-output",
                WARNING,
                f"class {each.commonest} is the answer to {each.share:.0%} of n = {each.images:,} "
                f"varied images at step {step:,} (threshold {share:.0%}; the commonest label "
                f"has {each.label_share:.0%})",
                step=step,
                value=each.share,
                threshold=share,
                n=each.images,
                code=stuck_code(step, each.images),
            )
        )
    return found[:1]


def washed_out_output(
    answers: Sequence[Answered],
    *,
    chroma: float = CHROMA_LIMIT,
    contrast: float = CONTRAST_LIMIT,
) -> list[Finding]:
    """Find output pictures with less colour, or less contrast, than their targets.

    Chroma is √Σ_c(x_c − grey)²: saturation of HSV would call dark noise colourful [Hui].

    Parameters
    ----------
    chroma
        Mean over the set, as a share of the targets'.
    contrast
        Standard deviation of an image's luminance, as a share of its target's; the median.
    """
    for step, each in ((answer.step, answer.facts) for answer in answers):
        is_pale, is_flat = each.chroma < chroma, each.contrast < contrast
        if not each.pictures or not (is_pale or is_flat):
            continue
        pale = f"the chroma of the output pictures is {each.chroma:.2f} of their targets'"
        flat = f"the contrast of the output pictures is {each.contrast:.2f} of their targets'"
        limit = chroma if is_pale else contrast
        select = {} if each.palest is None else {"image": each.palest}
        return [
            Finding(
                "washed-out-output",
                WARNING,
                f"{pale if is_pale else flat} (threshold {limit:g}) over n = {each.pictures:,} "
                f"images at step {step:,}",
                step=step,
                value=each.chroma if is_pale else each.contrast,
                threshold=limit,
                n=each.pictures,
                select=select,
                code=(chroma_code if is_pale else contrast_code)(step, each.images),
            )
        ]
    return []
