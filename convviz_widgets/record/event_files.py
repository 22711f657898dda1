"""TensorBoard event files: all below a directory, read as they grow; and the one being written."""

from __future__ import annotations

import os
import re
import socket
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from convviz_widgets.errors import number_of, printable
from convviz_widgets.record.appended_file import AppendedFile
from convviz_widgets.record.log_axis import left_out, on_axis
from convviz_widgets.record.record_stream import RecordStream
from convviz_widgets.record.series import MetricPoints, Series, WrittenPoints, written_points

_START = 1  # event_pb2.SessionLog.START
_SCALARS = "scalars"

_WRITER = "convviz_widgets.record"
"""How the files that a recorder writes name their writer."""

_FORMAT = "brain.Event:2"  # from this version on readers go by what a restart says of itself


class EventTree:
    """The scalars of a directory and of the runs nested in it.

    A metric of the directory itself has its tag for a name, one of a nested run the run's path in
    front, as in "train/loss". Hidden folders are passed over.

    Parameters
    ----------
    root : the directory.
    axis : what points are put in order by; see `on_axis`.
    """

    def __init__(self, root: Path, axis: str = "step") -> None:
        self._root, self._axis = root, axis
        self._folders: dict[str, EventFolder] = {}
        self.series: dict[str, Series] = {}
        """Name to series, as of the last `refresh`; of two that share a name the outer one."""
        self.left_out: dict[str, str] = {}
        """Name of a metric to one line, for those of which points are not in its series."""

    def refresh(self) -> int:
        """Read what is new and return how many points that was."""
        found = dict(_folders(self._root))
        before = self._revision
        self._folders = {name: self._folders.get(name) or EventFolder() for name in found}
        added = sum(folder.refresh(found[name]) for name, folder in self._folders.items())
        if self._revision != before:
            self._put_on_axis()
        return added

    @property
    def _revision(self) -> list[tuple[str, int]]:
        return [(name, folder.revision) for name, folder in self._folders.items()]

    def _put_on_axis(self) -> None:
        written: dict[str, WrittenPoints] = {}
        lines: dict[str, str] = {}
        for prefix, folder in self._folders.items():
            for tag, points in folder.written.items():
                name = prefix + tag
                if name in written:
                    count = number_of(len(points.points), "point")
                    lines[name] = f"{count} of the same name in {prefix} left out"
                else:
                    written[name] = points
        if self._axis == "step":
            lines |= {name: line for name, each in written.items() if (line := left_out(each))}
        self.left_out = {printable(name): f"{printable(name)}: {lines[name]}" for name in lines}
        self.series = on_axis(self._axis, written)

    @property
    def problems(self) -> dict[str, str]:
        """Path of a file below the directory, or name of a metric, to one line."""
        unreadable = {
            printable(prefix + name): line
            for prefix, folder in self._folders.items()
            for name, line in folder.problems.items()
        }
        return {**self.left_out, **unreadable}


def _folders(root: Path) -> Iterator[tuple[str, list[Path]]]:
    """Yield prefix and event files of each folder that has any, the outer ones first."""
    seen = set()
    for path, folders, files in os.walk(root, followlinks=True):
        status = os.stat(path)
        if (status.st_dev, status.st_ino) in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        events = sorted(Path(path, name) for name in files if is_event_file(name))
        if events:
            relative = os.path.relpath(path, root)
            yield "" if relative == "." else Path(relative).as_posix() + "/", events


_Columns = tuple[list[int], list[float], list[float]]


class EventFile:
    """The scalars of an event file; `refresh` reads what was added since the last time.

    Parameters
    ----------
    path : where the file is. It is only ever read.
    """

    def __init__(self, path: Path) -> None:
        self._stream = RecordStream(path)
        self._begin()

    def _begin(self) -> None:
        self.points: defaultdict[str, MetricPoints] = defaultdict(MetricPoints)
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


def is_event_file(name: str) -> bool:
    """Tell whether a file name is one that TensorBoard reads."""
    return "tfevents" in name and not name.endswith(".profile-empty")


def event_files(directory: Path) -> list[Path]:
    """Return the event files of a folder, those of nested runs left out, in order."""
    return sorted(path for path in directory.iterdir() if is_event_file(path.name))


class EventFolder:
    """The scalars of all event files in a folder, restarts resolved.

    Files are taken in the order of their names, which begin with the time of their making. Where
    steps go back, what was written later counts: the earlier points from there on are left out, of
    that metric, or of all metrics when the writer said that it starts again.
    """

    def __init__(self) -> None:
        self._files: dict[str, EventFile] = {}
        self.written: dict[str, WrittenPoints] = {}
        """Tag to points, as of the last `refresh`."""
        self.revision = 0
        """Counts the refreshes that found something new."""

    @property
    def problems(self) -> dict[str, str]:
        """File name to one line, for what cannot be read."""
        return {name: file.problem for name, file in self._files.items() if file.problem}

    def refresh(self, paths: list[Path]) -> int:
        """Read what is new in these files, all of one folder, and return how many points."""
        files = {path.name: self._files.get(path.name) or EventFile(path) for path in paths}
        before = [(name, file.position) for name, file in self._files.items()]
        self._files = dict(sorted(files.items()))
        added = sum(file.refresh() for file in self._files.values())
        if before != [(name, file.position) for name, file in self._files.items()]:
            tags = {tag: None for file in self._files.values() for tag in file.points}
            self.written = {tag: self._written(tag) for tag in tags}
            self.revision += 1
        return added

    def _written(self, tag: str) -> WrittenPoints:
        return written_points(
            (file.points.get(tag), file.void_from) for file in self._files.values()
        )


class ScalarValues:
    """Takes the scalars out of the events of one file, in both of TensorBoard's formats.

    The old format has a field for them. The new one has tensors, and says with the first of a tag
    which plugin they are for; where that first one is lost, any single number counts.
    """

    def __init__(self) -> None:
        self._plugins: dict[str, str] = {}

    def of(self, event: Any) -> Iterator[tuple[str, float]]:
        """Yield tag and value of each scalar in an ``event_pb2.Event``."""
        for value in event.summary.value:
            kind = value.WhichOneof("value")
            if kind == "simple_value":
                yield value.tag, value.simple_value
            elif kind == "tensor":
                number = self._number(value)
                if number is not None:
                    yield value.tag, number

    def _number(self, value: Any) -> float | None:
        if value.HasField("metadata"):
            self._plugins.setdefault(value.tag, value.metadata.plugin_data.plugin_name)
        if self._plugins.get(value.tag, _SCALARS) != _SCALARS:
            return None
        return _single_number(value.tensor)


def _single_number(tensor: Any) -> float | None:
    """Return a tensor's only value; None where it has several or is no number.

    The shape is looked at first: a few bytes can declare a tensor of any size.
    """
    from tensorboard.util import tensor_util

    if any(dimension.size != 1 for dimension in tensor.tensor_shape.dim):
        return None
    array = tensor_util.make_ndarray(tensor)
    return float(array.reshape(())) if array.dtype.kind in "biuf" else None


class EventFileWriter:
    """A new TensorBoard event file; what `write` was given is with the operating system.

    TensorBoard's own event writer hands its records to a thread and returns before they are
    written, so only its framing is used here.

    Parameters
    ----------
    directory : where the file is made; its name sorts behind those of the event files there.
    void_from : the step from which on readers shall forget what earlier files have; None: the first
        file of a run.

    Raises
    ------
    OSError
        When the file cannot be made or written.
    """

    def __init__(self, directory: Path, *, void_from: int | None = None) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog, SourceMetadata
        from tensorboard.summary.writer.record_writer import RecordWriter

        self._end = AppendedFile((directory / _new_name(directory)).open("xb", buffering=0))
        self._records = RecordWriter(self._end)
        source = SourceMetadata(writer=_WRITER)
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


def _new_name(directory: Path) -> str:
    """Return a name in TensorBoard's style: readers take files in the order of their names."""
    seconds = [int(time.time())]
    for path in event_files(directory):
        stamp = re.search(r"tfevents\.([0-9]{1,12})\.", path.name)
        if stamp:
            seconds.append(int(stamp[1]) + 1)
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())
    return f"events.out.tfevents.{max(seconds):010d}.{host}.{os.getpid()}.0"


def last_recorded_step(directory: Path) -> int | None:
    """Return the step of the last whole record that a recorder left, or None.

    Event files that others wrote to the folder do not count: their steps may be epochs or samples.
    """
    for path in reversed(event_files(directory)):
        first, last = _first_and_last(path)
        if first is not None and first.source_metadata.writer == _WRITER:
            if last.HasField("session_log"):  # says from which step on earlier files are void
                return last.step - 1
            if last.HasField("summary"):
                return last.step
    return None


def _first_and_last(path: Path) -> tuple[Any, Any]:
    """Return the first and the last event of a file; None for both when it has none."""
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto.event_pb2 import Event

    ends: list[bytes] = []
    for payloads in RecordStream(path).parts():
        if payloads:
            ends = [*ends[:1], payloads[0]][:1] + payloads[-1:]
    try:
        return (Event.FromString(ends[0]), Event.FromString(ends[-1])) if ends else (None, None)
    except DecodeError:
        return None, None
