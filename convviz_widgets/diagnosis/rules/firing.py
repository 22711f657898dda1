"""Rules for channels that never fire, or hardly ever."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convviz_widgets.diagnosis.finding import ERROR, WARNING, Finding
from convviz_widgets.diagnosis.measurements import Firing

IMAGES = 256
"""One image proves nothing: of a random net's channels 50 % are silent on one, 25 % on 256."""


def dead_layer(
    firing: Sequence[Firing],
    input_rms: float | None = None,
    *,
    share: float = 1 / 3,
    error_share: float = 0.9,
    images: int = IMAGES,
) -> list[Finding]:
    """Find layers of which so many channels are zero everywhere on every image [CS231n].

    Typical cause: steps too large for this network; the learning rate, the input's scale and the
    initial weights cannot be told apart.

    Parameters
    ----------
    firing
        Of the layers that put out exact zeros, at one or more checkpoints, ascending.
    input_rms
        Of the model's input, None: unknown.
    share
        Of dead channels, at least.
    error_share
        From which on it is an error.
    images
        That must have been looked at.
    """
    found = []
    for layer in dict.fromkeys(each.layer for each in firing):
        known = [each for each in _trained(firing) if each.layer == layer]
        enough = [each for each in known if each.images >= images]
        dead = [each for each in enough if _dead(each).mean() >= share]
        if not dead:
            continue
        worst = max(dead, key=lambda each: float(_dead(each).mean()))
        value = float(_dead(worst).mean())
        scale = "unknown" if input_rms is None else f"{input_rms:.2g}"
        since = next(each.step for each in known if _dead(each).mean() >= share)
        found.append(
            Finding(
                "dead-layer",
                ERROR if value >= error_share else WARNING,
                f"{layer}: {int(_dead(worst).sum())} of {len(worst.fired)} channels are zero "
                f"everywhere on n = {worst.images:,} images at step {worst.step:,} (threshold "
                f"{share:.0%}), so many first at step {since:,}: steps too large for this network; "
                f"learning rate, input scale (RMS {scale}) or initial weights: cannot tell",
                layer=layer,
                step=since,
                value=value,
                threshold=share,
                n=worst.images,
                select={"channel": int(np.flatnonzero(_dead(worst))[0])},
            )
        )
    return found


def _dead(each: Firing) -> np.ndarray:
    return each.fired == 0


def _trained(firing: Sequence[Firing]) -> list[Firing]:
    """Return those after step 0; all where there is nothing else."""
    return [each for each in firing if each.step > 0] or list(firing)
