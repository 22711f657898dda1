"""One event file, followed while it grows."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from convviz_widgets.record.points import Points
from convviz_widgets.record.record_stream import RecordStream
from convviz_widgets.record.scalar_values import ScalarValues

_Columns = tuple[list[int], list[float], list[float]]
_START = 1  # event_pb2.SessionLog.START


class EventFile:
    """The scalars of an event file; `refresh` reads what was added since the last time.

    Parameters
    ----------
    path
        Where the file is. It is only ever read.
    """

    def __init__(self, path: Path) -> None:
        self._stream = RecordStream(path)
        self._begin()

    def _begin(self) -> None:
        self.points: defaultdict[str, Points] = defaultdict(Points)
        """Tag to points, in the order in which they were written."""
        self.void_from: int | None = None
        """The step from which on earlier files are void, because this one says that the run was
        started again there."""
        self._values = ScalarValues()
        self._no_events = 0

    @property
    def position(self) -> tuple[object, int]:
        """Which file was read, and how far."""
        return self._stream.position

    @property
    def problem(self) -> str:
        """One line on what cannot be read, or nothing."""
        count = self._no_events
        strange = f"{count} record{'s'[: count > 1]} skipped: not an event" if count else ""
        return "; ".join(filter(None, (self._stream.problem, strange)))

    def refresh(self) -> int:
        """Read what is new and return how many points that was.

        A file that shrank or was replaced is read again from its start.
        """
        if self._stream.was_replaced():
            self._begin()
        return sum(self._take(payloads) for payloads in self._stream.parts())

    def _take(self, payloads: list[bytes]) -> int:
        from google.protobuf.message import DecodeError
        from tensorboard.compat.proto.event_pb2 import Event

        found: defaultdict[str, _Columns] = defaultdict(lambda: ([], [], []))
        count = 0
        for payload in payloads:
            try:
                event = Event.FromString(payload)
                scalars = list(self._values.of(event))
            except (DecodeError, ValueError, TypeError, KeyError):
                self._no_events += 1  # a right checksum over something else
                continue
            step, wall_time = event.step, event.wall_time
            if event.session_log.status == _START:
                self._store(found)
                self._restart(step)
            for tag, value in scalars:
                steps, values, wall_times = found[tag]
                steps.append(step)
                values.append(value)
                wall_times.append(wall_time)
            count += len(scalars)
        self._store(found)
        return count

    def _store(self, found: dict[str, _Columns]) -> None:
        for tag, columns in found.items():
            self.points[tag].extend(*columns)
        found.clear()

    def _restart(self, step: int) -> None:
        self.void_from = step if self.void_from is None else min(step, self.void_from)
        for points in self.points.values():
            points.drop_from(step)
