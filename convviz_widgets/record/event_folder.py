"""The event files of one folder: one run, in TensorBoard's terms."""

from __future__ import annotations

from pathlib import Path

from convviz_widgets.record.event_file import EventFile
from convviz_widgets.record.restarts import latest
from convviz_widgets.record.series import Series


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
