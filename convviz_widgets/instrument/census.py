"""The census: which channels fire, and what the model answers, over many images."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from torch import Tensor

from convviz_widgets.instrument.measurement import Measurement
from convviz_widgets.instrument.probe import Probe


def measure_census(probe: Probe, batches: Iterable[Tensor]) -> Measurement:
    """Count on how many images each channel of every activation is not zero everywhere.

    One forward pass for each batch (N, C, H, W); nothing but counts outlives it.
    """
    fired: dict[str, np.ndarray] = {}
    images = 0
    for batch in batches:
        recording = probe.record(batch)
        images += len(batch)
        for layer in recording.inputs:
            maps = recording.outputs[layer]  # (N, C, ...)
            if maps.ndim >= 2:
                here = (maps.reshape(*maps.shape[:2], -1) != 0).any(dim=2).sum(dim=0)
                fired[layer] = fired.get(layer, 0) + here.cpu().numpy()
    return Measurement(images, fired=fired)
