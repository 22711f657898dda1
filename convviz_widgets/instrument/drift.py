"""Drift: how colourful and how contrasted output pictures are, as shares of their targets'."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEAST = 0.02
"""Targets that are less colourful, or less contrasted, than this say nothing."""


@dataclass(frozen=True)
class Drift:
    """Chroma and contrast of output pictures over a set, by those of their targets.

    Attributes
    ----------
    chroma : the set's mean chroma by that of the targets; NaN without a colourful target.
    contrast : median over the images of the standard deviation of the luminance, each by its
        target's; NaN without a target that has some.
    coloured, contrasted : images that each is taken over.
    """

    chroma: float
    contrast: float
    coloured: int
    contrasted: int

    @classmethod
    def of(cls, table: np.ndarray) -> Drift:
        """Sum up a table (N, 4): chroma of output and target, contrast of output and target.

        Targets below `LEAST` say nothing, nor do outputs that are not finite.
        """
        finite = np.isfinite(table)
        coloured = table[finite[:, :2].all(axis=1) & (table[:, 1] >= LEAST)]
        contrasted = table[finite[:, 2:].all(axis=1) & (table[:, 3] >= LEAST)]
        ratios = contrasted[:, 2] / contrasted[:, 3]
        return cls(
            float(coloured[:, 0].sum() / coloured[:, 1].sum()) if len(coloured) else float("nan"),
            float(np.median(ratios)) if len(ratios) else float("nan"),
            len(coloured),
            len(contrasted),
        )
