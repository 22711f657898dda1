"""The checkpoints that belong to a run's directory, wherever in it they are."""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from convviz_widgets.checkpoints import CheckpointSeries, TrainingTime
from convviz_widgets.checkpoints.checkpoint_file import CheckpointFile
from convviz_widgets.checkpoints.directory import CheckpointDirectory
from convviz_widgets.checkpoints.listing import Dated, Found, Listing
from convviz_widgets.checkpoints.name_times import times_in_names
from convviz_widgets.checkpoints.names import has_suffix, is_beside_weights, is_temporary
from convviz_widgets.checkpoints.ordering import in_order
from convviz_widgets.checkpoints.reader import Contents, read_contents
from convviz_widgets.checkpoints.training_time import STEP
from convviz_widgets.errors import CheckpointError, printable
from convviz_widgets.record.manifest import (
    FILE_NAME,
    FOLDER,
    ManifestEntry,
    ManifestReader,
    has_manifest,
)

CANNOT_TELL = "not in the manifest: cannot tell whether it is what was written"
_SETTLED_SECONDS = 2.0


@dataclass(frozen=True)
class HashedCheckpoint:
    """A checkpoint with what its bytes hash to; two with the same bytes are the same."""

    name: str
    path: str
    sha256: str

    @property
    def identity(self) -> tuple[str]:
        """The hash."""
        return (self.sha256,)


class ManifestDirectory:
    """A directory of checkpoints with a recorder's manifest.

    Files that the manifest lists are complete, and are read with their sha256. Others that look
    like checkpoints are shown too, once they are older than a moment, with a word in the problems.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._reader = ManifestReader(directory)
        self._names: set[str] = set()
        self._unlisted: set[str] = set()
        self._last = Listing(())

    def listing(self) -> Listing:
        """Return what there is now."""
        changed = self._reader.refresh()
        names = set(os.listdir(self._directory)) if self._directory.is_dir() else set()
        if changed or names != self._names or self._unlisted:
            self._names, self._last = names, self._listing(names)
        return self._last

    def _listing(self, names: set[str]) -> Listing:
        manifest = self._reader.manifest
        gone = manifest.written.keys() - names
        if gone:  # or just thinned: then the manifest has said so before the file went
            self._reader.refresh()
            gone &= manifest.written.keys()
        self._unlisted = set(
            filter(has_suffix, names - manifest.written.keys() - manifest.leftovers)
        )
        unlisted = self._unlisted_files(self._unlisted)
        problems = {name: f"{name}: is gone" for name in gone}
        problems |= {file.name: f"{file.name}: {CANNOT_TELL}" for file in unlisted}
        if self._reader.problems:
            problems[FILE_NAME] = f"{FILE_NAME}: {'; '.join(self._reader.problems)}"
        times = times_in_names(file.name for file in unlisted)
        pairs = zip(unlisted, times, strict=True)
        others = (Dated(file, time, file.changed) for file, time in pairs)
        written = (self._listed(e) for e in manifest.written.values() if e.name in names)
        return in_order(Found((*written, *others), problems, STEP, STEP))

    def _listed(self, entry: ManifestEntry) -> Dated:
        path = str(self._directory / entry.name)
        item = HashedCheckpoint(entry.name, path, entry.sha256)
        return Dated(item, TrainingTime(step=entry.step), source="the manifest's")

    def _unlisted_files(self, names: set[str]) -> list[CheckpointFile]:
        found = []
        for name in names:
            with suppress(OSError):
                status = (self._directory / name).stat()
                file = status.st_ino, status.st_mtime_ns, status.st_size
                old = time.time() - status.st_mtime > _SETTLED_SECONDS
                is_one = not is_temporary(name) and not is_beside_weights(name)
                if old and stat.S_ISREG(status.st_mode) and is_one:
                    path = str(self._directory / name)
                    found.append(CheckpointFile(printable(name), path, *file))
        return found


class RunCheckpoints:
    """Looks for a run's checkpoints until there are some, then follows that directory.

    In this order: a recorder's, in ``checkpoints/`` or in the directory itself; any in
    ``checkpoints/``; any in the directory itself, and in its folders like ``checkpoint-500/``.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._place: ManifestDirectory | CheckpointDirectory | None = None

    @property
    def has_manifest(self) -> bool:
        """Whether the checkpoints' sha256 are known."""
        return isinstance(self._place, ManifestDirectory)

    def series(self) -> CheckpointSeries:
        """Return the checkpoints; without any as long as there are none."""
        return CheckpointSeries(self.listing, _read, self.listing())

    def listing(self) -> Listing:
        """Return what there is now."""
        if self._place is None:
            self._place = self._found()
        if self._place is None:
            return Listing(())
        with suppress(CheckpointError):  # emptied since
            return self._place.listing()
        return Listing(())

    def _found(self) -> ManifestDirectory | CheckpointDirectory | None:
        folders = self._directory / FOLDER, self._directory
        for folder in folders:
            if has_manifest(folder):
                return ManifestDirectory(folder)
        for folder in folders:
            with suppress(CheckpointError):
                place = CheckpointDirectory(folder)
                place.listing(wait=True)
                return place
        return None


def _read(item: HashedCheckpoint | CheckpointFile) -> Contents:
    sha256 = item.sha256 if isinstance(item, HashedCheckpoint) else None
    return read_contents(item.path, sha256=sha256)
