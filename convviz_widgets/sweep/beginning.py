"""Before the first image: the sources as numbers, and the result that knows nothing yet."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from convviz_widgets.errors import InputError
from convviz_widgets.instrument import Probe, ReceptiveFields
from convviz_widgets.sweep.fingerprint import data_fingerprint
from convviz_widgets.sweep.items import Items
from convviz_widgets.sweep.part import Part
from convviz_widgets.sweep.plan import Plan
from convviz_widgets.sweep.result import SweepResult
from convviz_widgets.sweep.subject import Subject


def begun(probe: Probe, plan: Plan, items: Items, steps: tuple[int, ...] | None) -> SweepResult:
    """Return the result before any image.

    Parameters
    ----------
    steps : of a series of checkpoints; None: one set of weights.
    """
    subject = Subject(
        layers=plan.layers,
        steps=steps or (),
        weights=("",) * max(1, len(steps or ())),
        data=data_fingerprint(items, plan.groups),
        count=plan.count,
        image_shape=tuple(items.example.shape[1:]),
        k=plan.k,
    )
    has_boxes = items.example.ndim == 4
    fields = ReceptiveFields.of(probe, items.example) if has_boxes else None
    parts = tuple(Part.empty(plan) for _ in subject.weights)
    return SweepResult(subject, parts, fields, series=steps is not None)


def numbered(groups: Sequence[Hashable] | Tensor | bool | None, count: int) -> Tensor | None:
    """Return the groups as numbers, int64 (count,), in the order of their first image.

    None and False: each image its own.
    """
    if groups is None or groups is False:
        return None
    if groups is True:
        raise InputError("groups must be one source for each image, or False, got True")
    sources = groups.tolist() if isinstance(groups, Tensor) else list(groups)
    if len(sources) != count:
        raise InputError(f"got {len(sources)} groups for {count} images")
    numbers: dict[Hashable, int] = {}
    return torch.tensor([numbers.setdefault(source, len(numbers)) for source in sources])
