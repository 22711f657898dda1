"""The event file that a recorder writes."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from convviz_widgets.record.event_files import event_files

SOURCE = "convviz_widgets.record"
"""How the files name their writer."""

_FORMAT = "brain.Event:2"  # from this version on readers go by what a restart says of itself


class EventLog:
    """A new TensorBoard event file; what `write` was given is with the operating system.

    TensorBoard's own event writer hands its records to a thread and returns before they are
    written, so only its framing is used here.

    Parameters
    ----------
    directory
        Where the file is made; its name sorts behind those of the event files there.
    void_from
        The step from which on readers shall forget what earlier files have; None: the first file
        of a run.

    Raises
    ------
    OSError
        When the file cannot be made or written.
    """

    def __init__(self, directory: Path, *, void_from: int | None = None) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog, SourceMetadata
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._end = _WholeWrites((directory / _new_name(directory)).open("xb", buffering=0))
        self._records = RecordWriter(self._end)
        source = SourceMetadata(writer=SOURCE)
        events = [Event(wall_time=time.time(), file_version=_FORMAT, source_metadata=source)]
        if void_from is not None:
            start = SessionLog(status=SessionLog.START)
            events.append(Event(wall_time=time.time(), step=void_from, session_log=start))
        try:
            for event in events:
                self._records.write(event.SerializeToString())
        except OSError:
            self.close()
            raise

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Append one record: the scalars of a step, as float32.

        After an error the file ends as it did before, and the next record may be tried.
        """
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        event = Event(wall_time=time.time(), step=step, summary=Summary(value=values))
        self._records.write(event.SerializeToString())

    def close(self) -> None:
        """Close the file."""
        self._records.close()


class _WholeWrites:
    """A file's end to which is written as a whole or not at all."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._size = 0

    def write(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:  # a disk that is almost full takes a part, and complains the next time
                rest = rest[self._file.write(rest) :]
        except BaseException:  # an interrupted write too
            self._file.truncate(self._size)
            self._file.seek(self._size)
            raise
        self._size += len(data)

    def close(self) -> None:
        self._file.close()


def _new_name(directory: Path) -> str:
    """Return a name in TensorBoard's style: readers take files in the order of their names."""
    seconds = [int(time.time())]
    for path in event_files(directory):
        stamp = re.search(r"tfevents\.([0-9]{1,12})\.", path.name)
        if stamp:
            seconds.append(int(stamp[1]) + 1)
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())
    return f"events.out.tfevents.{max(seconds):010d}.{host}.{os.getpid()}.0"
