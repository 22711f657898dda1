"""All event files below a directory."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from convviz_widgets.errors import on_one_line
from convviz_widgets.record.record_stream import RecordStream
from convviz_widgets.record.series import Points, Series, latest

_START = 1  # event_pb2.SessionLog.START

_SCALARS = "scalars"


class EventTree:
    """The scalars of a directory and of the runs nested in it.

    A metric of the directory itself has its tag for a name, one of a nested run the run's path in
    front, as in "train/loss". Hidden folders are passed over.

    Parameters
    ----------
    root
        The directory.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: dict[str, EventFolder] = {}

    def refresh(self) -> int:
        """Read what is new and return how many points that was."""
        found = dict(_folders(self._root))
        self._folders = {name: self._folders.get(name) or EventFolder() for name in found}
        return sum(folder.refresh(found[name]) for name, folder in self._folders.items())

    @property
    def series(self) -> dict[str, Series]:
        """Name to series, as of the last `refresh`; of two that share a name the outer one."""
        merged: dict[str, Series] = {}
        for prefix, folder in self._folders.items():
            for tag, series in folder.series.items():
                merged.setdefault(prefix + tag, series)
        return merged

    @property
    def problems(self) -> dict[str, str]:
        """Path of a file below the directory to one line."""
        return {
            on_one_line(prefix + name): line
            for prefix, folder in self._folders.items()
            for name, line in folder.problems.items()
        }


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
        self._series: dict[str, Series] = {}

    @property
    def series(self) -> dict[str, Series]:
        """Tag to series, as of the last `refresh`."""
        return self._series

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
            self._series = {tag: self._latest(tag) for tag in tags}
        return added

    def _latest(self, tag: str) -> Series:
        return latest((file.points.get(tag), file.void_from) for file in self._files.values())


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
