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
    """Training step of the evidence; of evidence from checkpoints their number in the state's
    ``steps``, whatever those count."""
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
    when: str = ""
    """What the checkpoint is called that the evidence is from, such as "epoch 9"; empty for a step
    of a run's log, but for a log without steps what the point is called."""
    place: float | None = None
    """The step of the log, or the place on its other axis, that it belongs to; None where that is
    not known."""
    given: tuple[str, ...] = ()
    """Which of "images" and "training" the code takes: a rule cannot know where they come from, so
    ``cvw.diagnose`` says so in the first lines of the code."""

    @property
    def log_step(self) -> float | None:
        """The step of a run's log that the evidence is from; None where that is not known."""
        return self.place if self.when else self.step
