"""Measuring filters: how noisy those of every convolution are at a checkpoint, and why."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from convviz_widgets.instrument.measurement import Measurement, Name
from convviz_widgets.instrument.probe import Probe
from convviz_widgets.tensors import FilterQuality, filter_quality

NOISY_FILTERS = "noisy filters"
RANKED_FILTERS = "ranked filters"
NOISY_UPDATES = "noisy updates"
INITIAL_COSINE = "cosine to step 0"
VARIANCE_ENTROPY = "variance entropy"
RELATIVE_ENTROPY = "variance entropy, relative"
CONVOLUTION_DIMENSIONS = 3
"""A weight with fewer has no kernels."""


def measure_filters(probe: Probe, initial: Mapping[str, Tensor] | None = None) -> Measurement:
    """Measure the filters of every convolution: shares and counts, see `filter_quality`.

    Parameters
    ----------
    initial
        Weights of step 0 by layer, as `weights_of` returned them; None where they are unknown.
    """
    numbers: dict[Name, float] = {}
    for info in probe.layers:
        weight = probe.weight(info.name)
        if weight is None or weight.ndim < CONVOLUTION_DIMENSIONS:
            continue
        quality = filter_quality(
            weight,
            None if initial is None else initial.get(info.name),
            groups=info.groups,
            transposed="Transpose" in info.kind,
        )
        if quality is not None:
            numbers |= {(info.name, what): value for what, value in _numbers(quality).items()}
    return Measurement(numbers=numbers)


def _numbers(quality: FilterQuality) -> dict[str, float]:
    numbers = {
        NOISY_FILTERS: quality.share,
        RANKED_FILTERS: float(quality.count),
        NOISY_UPDATES: quality.update_share,
        INITIAL_COSINE: quality.cosine,
    }
    if quality.entropy is not None:
        numbers[VARIANCE_ENTROPY] = quality.entropy.value
        numbers[RELATIVE_ENTROPY] = quality.entropy.relative
    return numbers
