"""A sweep on the workers of a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from .part import Part
from .plan import Plan


class DaskSweep:
    """Shares the images out among the workers of a Dask client."""

    def __init__(
        self,
        client: Any,
        model: nn.Module,
        plan: Plan,
        dataset: Any,
        device: str | torch.device,
    ) -> None:
        self._client = client

    def parts(
        self, weights: Mapping[str, Any] | None, wanted: range, before: Part
    ) -> Iterator[Part]:
        """Yield what is missing."""
        raise NotImplementedError
