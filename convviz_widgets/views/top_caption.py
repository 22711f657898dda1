"""What is said of a top-9: which unit, of how many images, at which step, on which scale."""

from __future__ import annotations

from convviz_widgets.instrument import ImageSet
from convviz_widgets.state import Selection
from convviz_widgets.views.nine import PERCENTILE
from convviz_widgets.views.ranking import Ranking
from convviz_widgets.views.top_slots import SAME, Found, Slot


def unit_name(selection: Selection) -> str:
    """Name the channel, or say loudly that it is none."""
    if selection.direction is None:
        return f"{selection.layer}, channel {selection.channel}"
    return f"{selection.layer}, RANDOM DIRECTION {selection.direction}, not a channel"


def about_ranking(ranked: Ranking, selection: Selection, images: ImageSet, at: int) -> str:
    """Say of how many images, and of which checkpoint, these are the strongest.

    Parameters
    ----------
    at
        Training step of the ranking.
    """
    n = ranked.result.count
    groups = "" if images.groups is None else ", one a source"
    few = f", fires on {ranked.fired} only" if 0 < ranked.fired < 9 else ""
    said = (
        f"{unit_name(selection)}: top {len(ranked.hits)} of n = {n:,} images{groups}{few}, "
        f"at step {at:,}"
    )
    if ranked.checkpoint == selection.checkpoint:
        return said
    here = f"step {selection.step:,}"
    return (
        f"{said} · {here.upper()} IS NOT SWEPT: values and patterns are of {here}, these images not"
    )


def about_patterns(now: Found, method: str, scale: float | None) -> str:
    """Say how the patterns were made, and what their colours mean.

    Parameters
    ----------
    scale
        The end of the one scale; None: each has its own.
    """
    of = "EACH ON ITS OWN SCALE" if scale is None else f"scale ±{scale:.2g}"
    said = f"{method} times the input's std, {of} ({PERCENTILE} % of |R|), grey: 0"
    kept = now.attributions.kept
    if not kept:
        return said
    return (
        f"{said} · THE {method.upper()} IS NOT DEFINED for {', '.join(kept)}: own derivative kept"
    )


def about_changes(step: int) -> str:
    """Say what the marks compare with."""
    return (
        f"new: since step {step:,}, a picture not among them, or a pattern of cosine below {SAME}"
    )


def why_none(ranked: Ranking, selection: Selection, at: int) -> tuple[str, str]:
    """Say in short, and with n and the bound, why there is no picture."""
    n, unit = ranked.result.count, unit_name(selection)
    if not ranked.dead:
        return "no value to rank", f"{unit}: NaN or zero on all n = {n:,} images, step {at:,}"
    bound = f"fires on fewer than {min(1, 3 / n):.2%} of such images, with 95 % confidence (3/n)"
    return (
        f"dead at step {at:,}: zero everywhere on all {n:,} images",
        f"{unit}: no top images at step {at:,} · n = {n:,} images · {bound}",
    )


def about_slot(slot: Slot, name: str) -> str:
    """Say where in which image the unit is, and what it sees."""
    said = f"{name}: {slot.value:.4g}"
    if len(slot.position) == 2:
        said += " at row {}, column {} of its map".format(*slot.position)
    if slot.box is not None:
        rows = f"rows {slot.box.top} to {slot.box.bottom - 1}"
        said += f" · sees {rows}, columns {slot.box.left} to {slot.box.right - 1}"
    return said
