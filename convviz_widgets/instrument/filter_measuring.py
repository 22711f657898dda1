"""Measuring filters: how noisy those of every convolution are at a checkpoint, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from convviz_widgets.instrument.measurement import FilterFacts, Measurement
from convviz_widgets.instrument.probe import Probe
from convviz_widgets.tensors import FilterQuality, filter_quality

CONVOLUTION_DIMENSIONS = 3
"""A weight with fewer has no kernels."""


def measure_filters(probe: Probe, initial: Mapping[str, Tensor] | None = None) -> Measurement:
    """Measure how noisy the filters of every convolution are, see `filter_quality`.

    Parameters
    ----------
    initial
        Weights of step 0 by layer, as `weights_of` returned them; None where they are unknown.
    """
    found: dict[str, FilterFacts] = {}
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
            found[info.name] = _facts(quality)
    return Measurement(filters=found)


def _facts(quality: FilterQuality) -> FilterFacts:
    facts = FilterFacts(quality.share, quality.count, quality.cosine, quality.update_share)
    entropy = quality.entropy
    if entropy is None:
        return facts
    return replace(facts, entropy=entropy.value, relative_entropy=entropy.relative)
