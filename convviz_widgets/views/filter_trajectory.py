"""The trajectory of a layer's filters: how noisy they are at every checkpoint, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convviz_widgets.instrument import FilterFacts, LayerInfo, Measurement
from convviz_widgets.tensors.filter_quality import cause_of
from convviz_widgets.tensors.noisiness import FULL_POWER, NOISY, PERMUTATIONS, has_full_power

SHOWN = ("noisy filters", "noisy in what changed", "cosine to step 0", "entropy / random")
"""Names of what is drawn; all of it hardly leaves 0 to 1."""

LOW_POWER = f"; low power: kernels below {FULL_POWER}×{FULL_POWER}"


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The quality of one layer's filters at every checkpoint, as far as it is known."""

    info: LayerInfo
    steps: tuple[int, ...]
    values: np.ndarray
    """(what is `SHOWN`, checkpoints); NaN where it is unknown or undefined."""
    counts: tuple[int | None, ...]
    """Filters that could be ranked at each checkpoint; None where that has not been measured."""

    def draws_like(self, other: Trajectory | None) -> bool:
        """Tell whether the curves of two trajectories are the same."""
        return (
            other is not None
            and self.steps == other.steps
            and np.array_equal(self.values, other.values, equal_nan=True)
        )

    def sentence(self, index: int) -> str:
        """Say how noisy the filters are at a checkpoint, and why."""
        at = f"{self.info.name} · step {self.steps[index]:,}"
        count = self.counts[index]
        if count is None:
            return f"{at} · not measured yet"
        if not count:
            return f"{at} · noisiness means nothing for 1×1, depthwise and fully connected weights"
        share, update, cosine, entropy = self.values[:, index]
        size = tuple(self.info.weight_shape or ())[-2:]
        low = "" if has_full_power(size) else LOW_POWER
        said = [
            at,
            f"{share:.0%} of n = {count} filters are noisy: {NOISY:.0%} or more of {PERMUTATIONS} "
            f"shuffled copies are as smooth{low}",
            cause_of(share, cosine, update),
            f"cosine {cosine:.2f}" if math.isfinite(cosine) else "step 0 unknown",
            f"variance entropy {entropy:.2f} of random" if math.isfinite(entropy) else "",
        ]
        return " · ".join(filter(None, said))


def trajectory(
    measured: Sequence[Measurement | None], info: LayerInfo, steps: tuple[int, ...]
) -> Trajectory:
    """Return what has been measured of a layer's filters."""
    facts = [None if each is None else each.filters.get(info.name) for each in measured]
    counts = (
        None if each is None else 0 if found is None else found.count
        for each, found in zip(measured, facts, strict=True)
    )
    values = np.array([_shown(each) for each in facts], np.float64).reshape(-1, len(SHOWN))
    return Trajectory(info, steps, values.T, tuple(counts))


def _shown(facts: FilterFacts | None) -> tuple[float, ...]:
    """Return what is `SHOWN`, NaN where it is unknown."""
    if facts is None:
        return (math.nan,) * len(SHOWN)
    return facts.share, facts.update_share, facts.cosine, facts.relative_entropy
