"""Rules for what comes out of the model: one class for everything, or pictures without colour."""

from __future__ import annotations

import math
from collections.abc import Sequence

from convviz_widgets.diagnosis.evidence import AnswersAt, Evidence
from convviz_widgets.diagnosis.finding import WARNING, Finding
from convviz_widgets.diagnosis.rule import AppliedRule, rule
from convviz_widgets.diagnosis.rules.code import code, evenly_spread_images, for_each_image
from convviz_widgets.measure.answers import Answers
from convviz_widgets.tensors import evenly_spread

LEAST_CHROMA, LEAST_CONTRAST = 0.7, 0.5
"""Shares of the targets' chroma and contrast below which output pictures are washed out."""

IMAGES = 32
"""Fewest images to judge by: fewer could be of one class by chance."""


def _of_labelled(e: Evidence) -> tuple[Sequence[AnswersAt]] | None:
    is_labelled = any(not math.isnan(each.facts.label_share) for each in e.answers)
    return (e.answers,) if is_labelled else None


@rule(
    "stuck-output",
    place=160,
    needs="a state with labelled images, and class scores",
    takes=_of_labelled,
)
def stuck_output(
    answers: Sequence[AnswersAt], *, share: float = 0.95, images: int = IMAGES
) -> list[Finding]:
    """Find a model that answers one class to varied images: their labels differ [Hui]."""
    found = []
    for answer, each in ((answer, answer.facts) for answer in answers):
        is_varied = each.label_share < share
        if each.commonest is None or each.images < images or not is_varied or each.share < share:
            continue
        found.append(
            Finding(
                "stuck-output",
                WARNING,
                f"class {each.commonest} is the answer to {each.share:.0%} of n = {each.images:,} "
                f"varied images at {answer.label} (threshold {share:.0%}; the commonest label "
                f"has {each.label_share:.0%})",
                **answer.at,
                value=each.share,
                threshold=share,
                n=each.images,
                code=_code(
                    AppliedRule(stuck_output, share=share, images=images),
                    answer.step,
                    each.images,
                ),
            )
        )
    return found[:1]


def _of_pictures(e: Evidence) -> tuple[Sequence[AnswersAt]] | None:
    return (e.answers,) if any(each.facts.pictures for each in e.answers) else None


@rule(
    "washed-out-output",
    place=140,
    needs="a state with target pictures",
    takes=_of_pictures,
)
def washed_out_output(
    answers: Sequence[AnswersAt],
    *,
    chroma: float = LEAST_CHROMA,
    contrast: float = LEAST_CONTRAST,
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
    applied = AppliedRule(washed_out_output, chroma=chroma, contrast=contrast)
    for answer, each in ((answer, answer.facts) for answer in answers):
        is_pale, is_flat = each.chroma < chroma, each.contrast < contrast
        if not each.pictures or not (is_pale or is_flat):
            continue
        pale = f"the chroma of the output pictures is {each.chroma:.2f} of their targets'"
        flat = f"the contrast of the output pictures is {each.contrast:.2f} of their targets'"
        threshold = chroma if is_pale else contrast
        select = {} if each.palest is None else {"image": each.palest}
        return [
            Finding(
                "washed-out-output",
                WARNING,
                f"{pale if is_pale else flat} (threshold {threshold:g}) over n = {each.pictures:,} "
                f"images at {answer.label}",
                **answer.at,
                value=each.chroma if is_pale else each.contrast,
                threshold=threshold,
                n=each.pictures,
                select=select,
                code=_code(applied, answer.step, each.images),
            )
        ]
    return []


def _code(applied: AppliedRule, step: int, images: int) -> str:
    """Return the lines that take so many answers once more, and ask a rule about them."""
    add = "answers.add([image], state.output(), state.image_set.expected([image]))"
    loop = for_each_image(evenly_spread_images(images), step, add)
    return code(
        applied,
        f"[AnswersAt({step}, answers.facts)]",
        lines=f"answers = Answers(state.image_set, state.output_kind)\n{loop}",
        uses=[Answers, AnswersAt, evenly_spread],
    )
