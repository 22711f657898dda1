"""Where checkpoints stand on the axis of a run's log, which may count in another unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from convviz_widgets.checkpoints import Steps
from convviz_widgets.checkpoints.training_time import EPOCH, STEP, UNKNOWN
from convviz_widgets.record import Run, Series

FAR = 10
"""How many times farther than all checkpoints a log may reach, and its unit is still theirs."""

FEW = 3
"""How many times farther than a log checkpoints may reach that count its steps: it may lag."""

REMEDY = "steps_per_epoch= maps them"

_Numbers = tuple[int | None, ...]


@dataclass(frozen=True)
class LogSteps:
    """Where the checkpoints of a state stand in a run.

    Parameters
    ----------
    places : of each checkpoint its place on the axis of the log; None where that is not known.
    done : of each checkpoint how many training steps had been done; None where that is not known.
    how : how the places are known, where the log counts in another unit than the checkpoints.
    lengths : how ``done`` is known, where the checkpoints do not count steps.
    problem : one line where the two do not fit: why there are no places, or which ranges disagree.
    """

    places: tuple[float | None, ...]
    done: tuple[int | None, ...]
    how: str = ""
    problem: str = ""
    lengths: str = ""

    def nearest(self, place: float) -> int | None:
        """Return the index of the checkpoint that is nearest to a place; None where none is."""
        known = [i for i, each in enumerate(self.places) if each is not None]
        return min(known, key=lambda i: abs((self.places[i] or 0) - place), default=None)

    def at_or_before(self, place: float) -> int | None:
        """Return the index of the last checkpoint at or before a place, else of the first.

        None where no checkpoint has a place.
        """
        known = [(each, i) for i, each in enumerate(self.places) if each is not None]
        before = [pair for pair in known if pair[0] <= place]
        return max(before)[1] if before else min(known)[1] if known else None


def log_steps(steps: Sequence[int], run: Run | None = None) -> LogSteps:
    """Return where checkpoints stand in a run, and how many training steps each had done.

    Steps are looked up in a log of steps, and epochs in one of epochs. An epoch becomes a step by
    what is known of it, in this order: its own step, in its name or its file; the last step at
    which the log's metric "epoch" has it; the steps of the other epochs; ``steps_per_epoch``. A
    checkpoint is taken to be written at the end of its epoch, and epochs to count from 0 where
    there is an epoch 0.

    Parameters
    ----------
    steps : the checkpoints' numbers, such as ``state.steps``.
    run : None for how many steps were done alone, as far as the checkpoints say.

    Examples
    --------
    >>> log_steps(Steps((0, 1), "epoch", steps_per_epoch=50)).done
    (50, 100)
    """
    known = steps if isinstance(steps, Steps) else Steps(steps)
    if run is not None and run.axis != "step":
        where = {"order": "in the order of writing", "wall-time": "in seconds"}[run.axis]
        line = f"the log is shown {where}: where checkpoints stand there is not known"
        epochs = _epochs(known, {})
        nowhere = LogSteps((None,) * len(known), _done(known, epochs), problem=line)
        return _with_lengths(nowhere, epochs)
    metrics = {} if run is None else run.metrics
    log = _log_span(metrics)
    own = _Span.of([n for time in known.times if (n := time.value(known.unit)) is not None])
    epochs = _epochs(known, metrics)
    done = _done(known, epochs)
    if log is None or own is None:
        return _with_lengths(LogSteps((None,) * len(known), done), epochs)
    match = {STEP: _steps_in, EPOCH: _epochs_in}.get(known.unit, _numbers_in)
    return _with_lengths(match(known, done, own, log, epochs), epochs)


def _with_lengths(found: LogSteps, epochs: _Epochs | None) -> LogSteps:
    return found if epochs is None else replace(found, lengths=epochs.how)


class _Span(NamedTuple):
    """The first and the last of some numbers, and the widest gap between two of them."""

    first: int
    last: int
    gap: int

    @classmethod
    def of(cls, numbers: Sequence[int]) -> _Span | None:
        """Return the span of numbers; None without any."""
        if not numbers:
            return None
        ordered = sorted(set(numbers))
        gaps = [after - before for before, after in pairwise(ordered)]
        return cls(ordered[0], ordered[-1], max(gaps, default=ordered[-1] + 1))

    def agrees_with(self, log: _Span) -> bool:
        """Tell whether a log that counts the same would end there."""
        # In a log of steps, two an epoch at least, there would be 2·last - 1 or more.
        latest = max(self.last + self.gap, 2 * self.last - 2)
        return self.last - 1 - self.gap <= log.last <= latest

    def __str__(self) -> str:
        return f"{self.first:,} to {self.last:,}" if self.first < self.last else f"{self.last:,}"


class _Epochs(NamedTuple):
    """How an epoch becomes a step, and in words how that is known."""

    step_of: Callable[[int], int | None]
    how: str


# -- by what the checkpoints count -----------------------------------------------------------------


def _steps_in(
    known: Steps, done: _Numbers, own: _Span, log: _Span, epochs: _Epochs | None
) -> LogSteps:
    of_epochs = _Span.of([time.epoch for time in known.times if time.epoch is not None])
    is_far = own.last > FEW * (log.last + own.gap)
    if is_far and of_epochs is not None and of_epochs.agrees_with(log):
        places = tuple(time.epoch for time in known.times)
        return LogSteps(places, done, "the log counts epochs")
    if is_far and known.steps_per_epoch:
        first = 1 if log.first == 0 else 0
        length = known.steps_per_epoch
        over = tuple(None if step is None else step / length - first for step in done)
        return LogSteps(over, done, f"the log counts epochs of {length:,} steps")
    line = f"the checkpoints' steps are {own}, those of the log {log}"
    if is_far:
        return LogSteps(
            (None,) * len(known), done, problem=f"{line}; if those are epochs, {REMEDY}"
        )
    is_beyond = own.last > log.last + max(2 * log.gap, log.last // 10)
    is_short = log.last > FAR * (own.last + own.gap)
    return LogSteps(done, done, problem=line if is_beyond or is_short else "")


def _epochs_in(
    known: Steps, done: _Numbers, own: _Span, log: _Span, epochs: _Epochs | None
) -> LogSteps:
    if own.agrees_with(log):
        # The one counts from 0 and the other from 1, if both begin and end one apart.
        shift = 0
        if own.first == 0 and log.first == 1 and log.last >= own.last + 1:
            shift = 1
        elif own.first >= 1 and log.first == 0 and log.last == own.last - 1:
            shift = -1
        places = tuple(None if time.epoch is None else time.epoch + shift for time in known.times)
        apart = f", from {log.first} on where the checkpoints do from {1 - log.first}"
        return LogSteps(places, done, f"the log counts epochs{apart if shift else ''}")
    if epochs is None:
        line = f"the checkpoints count epochs ({own}), the log steps ({log}); {REMEDY}"
        return LogSteps((None,) * len(known), done, problem=line)
    last = max((step for step in done if step is not None), default=0)
    is_beyond = last > log.last + max(last // max(1, own.last), log.last // 10)
    line = f"epoch {own.last:,} would end at step {last:,}, the log ends at {log.last:,}"
    return LogSteps(done, done, epochs.how, line if is_beyond else "")


def _numbers_in(
    known: Steps, done: _Numbers, own: _Span, log: _Span, epochs: _Epochs | None
) -> LogSteps:
    numbers = tuple(time.number for time in known.times)
    if own.agrees_with(log):
        return LogSteps(numbers, done, "the numbers of the files taken for those of the log")
    if epochs is not None:
        return LogSteps(done, done, f"the numbers of the files taken for epochs, {epochs.how}")
    if own.last <= log.last <= FAR * own.last:
        return LogSteps(numbers, done, "the numbers of the files taken for steps of the log")
    line = f"the files' numbers ({own}) have no unit, and the log counts {log}"
    remedy = f"steps= says what they count; if it is epochs, {REMEDY}"
    return LogSteps((None,) * len(known), done, problem=f"{line}; {remedy}")


# -- from epochs to steps --------------------------------------------------------------------------


def _epoch_of(known: Steps) -> list[int | None]:
    """Return the epoch of each checkpoint, as far as it may be one."""
    return [time.number if known.unit == UNKNOWN else time.epoch for time in known.times]


def _done(known: Steps, epochs: _Epochs | None) -> _Numbers:
    steps = [time.step for time in known.times]
    if epochs is None:
        return tuple(steps)
    return tuple(
        epochs.step_of(epoch) if step is None and epoch is not None else step
        for step, epoch in zip(steps, _epoch_of(known), strict=True)
    )


def _epochs(known: Steps, metrics: Mapping[str, Series]) -> _Epochs | None:
    """Return how epochs of these checkpoints become steps; None where nothing says so."""
    own = _Span.of([epoch for epoch in _epoch_of(known) if epoch is not None])
    if own is None:
        return None
    recorded = next((each for name, each in metrics.items() if _is_epoch(name, each)), None)
    if recorded is not None:
        reached = _Span(int(recorded.values[0]), int(recorded.values[-1]), 1)
        is_alike = known.unit != UNKNOWN or own.agrees_with(reached)
        if own.last <= reached.last + 1 and is_alike:
            return _of_metric(recorded, own)
    pairs = [(t.epoch, t.step) for t in known.times if t.epoch is not None and t.step is not None]
    if pairs and known.unit != UNKNOWN:
        return _of_pairs(sorted(pairs), own)
    if known.steps_per_epoch is not None:
        return _of_length(known.steps_per_epoch, own, _log_span(metrics))
    return None


def _log_span(metrics: Mapping[str, Series]) -> _Span | None:
    """Return the first and the last step of all metrics, and the gaps of the densest."""
    logged = [each for each in metrics.values() if len(each)]
    ends = _Span.of([int(end) for each in logged for end in each.steps[[0, -1]]])
    if ends is None:
        return None
    densest = max(logged, key=len)
    return ends._replace(gap=int(densest.steps[-1] - densest.steps[0]) // max(1, len(densest) - 1))


def _is_epoch(name: str, series: Series) -> bool:
    """Tell whether a metric says which epoch each step is of."""
    if name.lower().split("/")[-1] != "epoch" or not np.isfinite(series.values).all():
        return False
    return len(series) > 1 and bool((np.diff(series.values) >= 0).all())


def _of_metric(series: Series, own: _Span) -> _Epochs:
    """Read off a metric "epoch": the epoch under way, or how many are done with a fraction."""
    values, steps = series.values, series.steps
    if (values == np.floor(values)).all():
        # The log counts from 0, the names from 1, if they go on to one that the log does not have.
        shift = int(own.first >= 1 and values[0] == 0 and own.last > values[-1])

        def last_of(epoch: int) -> int | None:
            place = int(np.searchsorted(values, epoch - shift, side="right")) - 1
            return int(steps[place]) if place >= 0 and values[place] == epoch - shift else None

        return _Epochs(last_of, "an epoch ends where the log's epoch says so")
    ahead = int(own.first == 0 and own.last < round(values[-1]))

    def done_at(epoch: int) -> int | None:
        place = int(np.searchsorted(values, epoch + ahead - 1e-3))
        return int(steps[place]) if place < len(steps) else None

    return _Epochs(done_at, "an epoch ends where the log's epoch says so")


def _of_pairs(pairs: list[tuple[int, int]], own: _Span) -> _Epochs:
    """Draw a line through the epochs whose steps are known."""
    (e, s), (last, end) = pairs[0], pairs[-1]
    if last > e:
        length = (end - s) / (last - e)
    else:  # counted from 0, as Lightning does, unless that does not come out even
        length = s / (e if e and own.first and s % (e + 1) else e + 1)
    return _Epochs(
        lambda epoch: round(s + (epoch - e) * length),
        f"by the steps of other epochs, {length:,.6g} an epoch",
    )


def _of_length(length: int, own: _Span, log: _Span | None) -> _Epochs:
    """Go by a number of steps an epoch: the user's."""
    # A log that ends with the last checkpoint says from where its epochs are counted.
    over = 0 if log is None else log.last / length - own.last  # epochs of the log beyond its number
    is_end = log is not None and min(abs(over), abs(over - 1)) <= 0.25
    ahead = round(over) if is_end else int(own.first == 0)
    start = "from 0" if ahead else "from 1" if own.first else "from the untrained model"
    return _Epochs(
        lambda epoch: (epoch + ahead) * length,
        f"{length:,} steps an epoch, counted {start}, each checkpoint from its epoch's end",
    )
