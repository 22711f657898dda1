"""When in a training a checkpoint was saved: its step, its epoch, or a number of unknown unit."""

from __future__ import annotations

from dataclasses import dataclass

STEP = "step"
EPOCH = "epoch"
UNKNOWN = "checkpoint"
"""The unit of a series whose numbers may be steps, epochs or anything else that counts."""


@dataclass(frozen=True)
class TrainingTime:
    """What is known of when a checkpoint was saved; all None for ``best.pt``.

    Parameters
    ----------
    step : training steps (batches, iterations) done, counted over the whole training.
    epoch : the epoch, counted as the name or the file counts it (from 0 or from 1).
    number : a number in the name that is neither called a step nor an epoch: ``model_7.pt``.

    Examples
    --------
    >>> time = TrainingTime(step=400, epoch=3)
    >>> time.value("epoch"), time.value("checkpoint"), time.label("step")
    (3, None, 'step 400')
    """

    step: int | None = None
    epoch: int | None = None
    number: int | None = None

    def value(self, unit: str) -> int | None:
        """Return the number of a unit ("step", "epoch", "checkpoint"); None where not known."""
        return {STEP: self.step, EPOCH: self.epoch}.get(unit, self.number)

    def label(self, unit: str) -> str | None:
        """Return "step 1,500" or "epoch 9"; None for what is not known, or whose unit is not."""
        value = self.value(unit)
        return None if value is None or unit == UNKNOWN else f"{unit} {value:,}"
