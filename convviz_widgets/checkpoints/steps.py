"""Steps: the numbers of some checkpoints, with what they count and what each is called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, SupportsIndex, overload

from convviz_widgets.checkpoints.training_time import STEP, UNKNOWN, TrainingTime
from convviz_widgets.errors import number_of


class Steps(tuple[int, ...]):
    """Ascending numbers of checkpoints: training steps, epochs, or numbers of a unit not known.

    To whoever takes numbers it is a tuple of them, and equal to one. A plain tuple of numbers
    stands for training steps wherever these are named; see `label_at` and `unit_of`.

    Parameters
    ----------
    numbers : ascending, none twice.
    unit : what they count: "step", "epoch", or "checkpoint" where that is not known.
    labels : what each is called, such as "epoch 9" or "best.pt"; default: by unit and number.
    times : what is known of when each was saved; default: by unit and number.
    steps_per_epoch : training steps of one epoch, if somebody said so.

    Examples
    --------
    >>> steps = Steps((0, 5), "epoch")
    >>> steps, steps.labels, steps[1:].labels
    ((0, 5), ('epoch 0', 'epoch 5'), ('epoch 5',))
    """

    unit: str
    labels: tuple[str, ...]
    times: tuple[TrainingTime, ...]
    steps_per_epoch: int | None

    def __new__(
        cls,
        numbers: Iterable[int] = (),
        unit: str = STEP,
        labels: Iterable[str] | None = None,
        times: Iterable[TrainingTime] | None = None,
        steps_per_epoch: int | None = None,
    ) -> Steps:
        """Return the numbers, with what is known of them."""
        made = super().__new__(cls, numbers)
        made.unit = unit
        made.labels = tuple(f"{unit} {n:,}" for n in made) if labels is None else tuple(labels)
        made.times = tuple(times or (_time(unit, number) for number in made))
        made.steps_per_epoch = steps_per_epoch
        return made

    @overload
    def __getitem__(self, index: SupportsIndex) -> int: ...

    @overload
    def __getitem__(self, index: slice) -> Steps: ...

    def __getitem__(self, index: Any) -> Any:
        """Return a number, or a part of them with their names."""
        if not isinstance(index, slice):
            return super().__getitem__(index)
        part = super().__getitem__(index), self.unit, self.labels[index], self.times[index]
        return Steps(*part, self.steps_per_epoch)

    def with_length(self, steps_per_epoch: int | None) -> Steps:
        """Return the same with how many training steps an epoch has."""
        if steps_per_epoch == self.steps_per_epoch:
            return self
        return Steps(self, self.unit, self.labels, self.times, steps_per_epoch)

    def __getnewargs__(self) -> tuple[Any, ...]:
        """Return what a copy is made of."""
        return tuple(self), self.unit, self.labels, self.times, self.steps_per_epoch


def _time(unit: str, number: int) -> TrainingTime:
    return TrainingTime(**{unit if unit in ("step", "epoch") else "number": number})


def unit_of(steps: Sequence[int]) -> str:
    """Return what numbers count: "step", "epoch" or "checkpoint".

    >>> unit_of((0, 100)), unit_of(Steps((0, 1), "epoch"))
    ('step', 'epoch')
    """
    return steps.unit if isinstance(steps, Steps) else STEP


def noun_of(steps: Sequence[int]) -> str:
    """Return what all of some checkpoints are: those of steps, of epochs, or just checkpoints.

    >>> noun_of(Steps((0, 1), "epoch")), noun_of(Steps((0, 1), "epoch", times=[TrainingTime()] * 2))
    ('epoch', 'checkpoint')
    """
    unit = unit_of(steps)
    times = steps.times if isinstance(steps, Steps) else ()
    return UNKNOWN if any(time.value(unit) is None for time in times) else unit


def label_at(steps: Sequence[int], index: int) -> str:
    """Return what the checkpoint at an index is called.

    >>> label_at((0, 1500), 1), label_at(Steps((0, 1), "epoch"), 1)
    ('step 1,500', 'epoch 1')
    """
    return steps.labels[index] if isinstance(steps, Steps) else f"{STEP} {steps[index]:,}"


def number_at(steps: Sequence[int], index: int) -> str:
    """Return what stands at a checkpoint's place on an axis that says what numbers count.

    >>> number_at((0, 1500), 1), number_at(Steps((0, 1), "epoch", ("epoch 0", "last.pt")), 1)
    ('1,500', 'last.pt')
    """
    if isinstance(steps, Steps) and steps.times[index].value(steps.unit) != steps[index]:
        return steps.labels[index]
    return f"{steps[index]:,}"


def apart_in_words(steps: Sequence[int], first: int, second: int) -> str:
    """Return how far two checkpoints are apart; the last of them may have no number.

    >>> apart_in_words((0, 1500), 0, 1), apart_in_words(Steps((1, 2), "epoch"), 0, 1)
    ('1,500 steps', '1 epoch')
    """
    if not (has_number(steps, first) and has_number(steps, second)):
        return "nobody knows how far"
    return number_of(steps[second] - steps[first], unit_of(steps))


def has_number(steps: Sequence[int], index: int) -> bool:
    """Tell whether a checkpoint was saved at its number; else that is counted on from the last.

    >>> times = TrainingTime(epoch=9), TrainingTime(epoch=4)
    >>> steps = Steps((9, 10), "epoch", ("epoch 9", "best.pt"), times)
    >>> has_number(steps, 0), has_number(steps, 1)
    (True, False)
    """
    return not isinstance(steps, Steps) or steps.times[index].value(steps.unit) == steps[index]
