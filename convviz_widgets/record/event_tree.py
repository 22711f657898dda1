"""All event files below a directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from convviz_widgets.checkpoints.names import on_one_line
from convviz_widgets.record.event_folder import EventFolder, is_event_file
from convviz_widgets.record.series import Series


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
