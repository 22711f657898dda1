"""Rules for channels that never fire, or hardly ever."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from convviz_widgets.diagnosis.evidence import Evidence, Firing
from convviz_widgets.diagnosis.finding import ERROR, REMARK, WARNING, Finding
from convviz_widgets.diagnosis.rule import AppliedRule, rule
from convviz_widgets.diagnosis.rules.code import code, evenly_spread_images, for_each_image
from convviz_widgets.measure import fired_images
from convviz_widgets.sweeps import DYING, rate_bound
from convviz_widgets.tensors import evenly_spread

IMAGES = 256
"""Fewest images to judge by: of a random net's channels 50 % are silent on one, 25 % on 256."""

SHARE = 1 / 3
"""Share of dead channels from which a layer is dead; healthy ones have at most 0.19."""

NEEDS = f"a state with {IMAGES} images or more, and activations that can be zero"


def _of_firing(e: Evidence) -> tuple[Sequence[Firing]] | None:
    return (e.firing,) if any(each.images >= IMAGES for each in e.firing) else None


def _of_firing_and_scale(e: Evidence) -> tuple[Sequence[Firing], float | None] | None:
    if _of_firing(e) is None:
        return None
    return e.firing, None if e.inputs is None else e.inputs.overall[2]


@rule(
    "dead-layer",
    place=90,
    needs=NEEDS,
    takes=_of_firing_and_scale,
    hides=("vanishing-gradient", "slow-learning", "update-ratio", "stuck-output"),
)
def dead_layer(
    firing: Sequence[Firing],
    input_rms: float | None = None,
    *,
    share: float = SHARE,
    error_share: float = 0.9,
    images: int = IMAGES,
) -> list[Finding]:
    """Find layers of which so many channels are zero everywhere on every image [CS231n].

    Typical cause: steps too large for this network; the learning rate, the input's scale and the
    initial weights cannot be told apart.

    Parameters
    ----------
    firing
        Counts of the layers that put out exact zeros, at one or more checkpoints, ascending.
    input_rms
        RMS of the model's input; None: unknown.
    share
        Least share of dead channels.
    error_share
        Share from which on it is an error.
    images
        Fewest images that must have been looked at.
    """
    applied = AppliedRule(dead_layer, share=share, error_share=error_share, images=images)
    found = []
    for layer, known in _by_layer(firing):
        dead = [each for each in _enough(known, images) if each.dead_share >= share]
        if not dead:
            continue
        worst = max(dead, key=lambda each: each.dead_share)
        silent = np.flatnonzero(worst.fired == 0)
        since = next(each.label for each in known if each.dead_share >= share)
        scale = "unknown" if input_rms is None else f"{input_rms:.2g}"
        found.append(
            Finding(
                "dead-layer",
                ERROR if worst.dead_share >= error_share else WARNING,
                f"{layer}: {len(silent)} of {len(worst.fired)} channels are zero everywhere on "
                f"n = {worst.images:,} images at {worst.label} (threshold {share:.0%}), so "
                f"many first at {since}: steps too large for this network; learning rate, "
                f"input scale (RMS {scale}) or initial weights: cannot tell",
                layer=layer,
                **worst.at,
                value=worst.dead_share,
                threshold=share,
                n=worst.images,
                select={"channel": int(silent[0])},
                code=_code(applied, worst),
            )
        )
    return found


@rule("dead-filter", place=230, needs=NEEDS, takes=_of_firing)
def dead_filter(
    firing: Sequence[Firing], *, share: float = SHARE, images: int = IMAGES
) -> list[Finding]:
    """Find single channels that are zero everywhere on every image [CS231n].

    After so many images without firing a channel's rate is below their `rate_bound`, with 95 %
    confidence. Those of a dead layer are left to `dead_layer`.
    """
    applied = AppliedRule(dead_filter, share=share, images=images)
    found = []
    for _, known in _by_layer(firing):
        for each in _enough(known, images):
            silent = np.flatnonzero(each.fired == 0)
            if len(silent) < share * len(each.fired):
                found += [_channel(applied, each, int(c), 0.0) for c in silent]
    return _first(found)


@rule("dying-filter", place=240, needs=NEEDS, takes=_of_firing)
def dying_filter(
    firing: Sequence[Firing], *, rate: float = DYING, images: int = IMAGES
) -> list[Finding]:
    """Find channels that fire on fewer than ``rate`` of the images, but on some."""
    applied = AppliedRule(dying_filter, rate=rate, images=images)
    found = []
    for _, known in _by_layer(firing):
        for each in _enough(known, images):
            rare = np.flatnonzero((each.fired > 0) & (each.fired < rate * each.images))
            found += [_channel(applied, each, int(c), rate) for c in rare]
    return _first(found)


def _channel(applied: AppliedRule, each: Firing, channel: int, threshold: float) -> Finding:
    count, n = int(each.fired[channel]), each.images
    if count:
        what = f"fires on {count} of n = {n:,} images (threshold {threshold:.0%})"
    else:
        what = (
            f"is zero everywhere on n = {n:,} images; its firing rate is below "
            f"{rate_bound(n):.2%}, with 95 % confidence"
        )
    return Finding(
        applied.name,
        REMARK,
        f"{each.layer}, channel {channel}, {what}, at {each.label}",
        layer=each.layer,
        channel=channel,
        **each.at,
        value=float(each.rates[channel]),
        threshold=threshold,
        n=n,
        select={"channel": channel},
        code=_code(applied, each, where=f"each.channel == {channel}"),
    )


def _code(applied: AppliedRule, each: Firing, where: str = "") -> str:
    """Return the lines that count once more where a layer fires, and ask a rule about it."""
    if each.of_sweep:
        swept = f"sweep.at(sweep.steps.index({each.step})) if sweep.series else sweep"
        lines = f"part = {swept}\nfired = part.fired({each.layer!r}).numpy()"
    else:
        fires = f"fired = fired + fired_images(state.activation({each.layer!r})[None])"
        loop = for_each_image(evenly_spread_images(each.images), each.step, fires)
        lines = f"fired = 0\n{loop}"
    return code(
        applied,
        f"[Firing({each.layer!r}, {each.step}, fired, {each.images})]",
        lines=lines,
        uses=[Firing, *([] if each.of_sweep else [fired_images, evenly_spread])],
        where=where,
    )


def _by_layer(firing: Sequence[Firing]) -> Iterator[tuple[str, list[Firing]]]:
    """Yield each layer with its counts after step 0; at step 0 where there is nothing else."""
    trained = [each for each in firing if each.is_trained] or list(firing)
    for layer in dict.fromkeys(each.layer for each in trained):
        own = [each for each in trained if each.layer == layer and len(each.fired)]
        yield layer, sorted(own, key=lambda each: each.step)


def _enough(known: Sequence[Firing], images: int) -> list[Firing]:
    return [each for each in known if each.images >= images]


def _first(findings: Sequence[Finding]) -> list[Finding]:
    """Return one finding a channel, of the first checkpoint that has one."""
    by_channel: dict[tuple[str | None, int | None], Finding] = {}
    for each in findings:
        by_channel.setdefault((each.layer, each.channel), each)
    return list(by_channel.values())
