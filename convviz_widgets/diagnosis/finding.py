"""Finding: one thing that is abnormal in a run, with its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ERROR = "error"

WARNING = "warning"

REMARK = "remark"

SEVERITIES = (ERROR, WARNING, REMARK)
"""The worst first; a remark is worth knowing and never an alarm."""


@dataclass(frozen=True)
class Finding:
    """One abnormal thing: what, how bad, where, and how it was measured.

    Examples
    --------
    >>> (finding,) = cvw.diagnose(images=torch.ones(4, 1, 8, 8))
    >>> finding.rule, finding.severity
    ('duplicate-sample', 'warning')
    >>> finding.value, finding.threshold, finding.n
    (3.0, 0.0, 4)
    """

    rule: str
    """Name of the rule, such as "dead-layer"."""
    severity: str
    """One of `SEVERITIES`."""
    message: str
    """A sentence: what was measured, and what it can and cannot tell apart."""
    layer: str | None = None
    """Layer, or parameter of a layer, that it is about."""
    channel: int | None = None
    step: int | None = None
    """Training step of the evidence."""
    value: float | None = None
    """The number that was measured."""
    threshold: float | None = None
    """What it was compared with."""
    n: int | None = None
    """How many images, values or points it rests on."""
    select: Mapping[str, Any] = field(default_factory=dict)
    """Arguments for ``state.select``: they take the clock, layer, channel and image there."""
    code: str = ""
    """Lines that compute ``value`` again, from what ``cvw.diagnose`` was given."""
    given: tuple[str, ...] = ()
    """Which of "images" and "training" the code takes: a rule cannot know where they come from, so
    ``cvw.diagnose`` says so in the first lines of the code."""
