"""The checkpoints that belong to a run's directory, wherever in it they are."""

from __future__ import annotations

import os
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from convviz_widgets.checkpoints import CheckpointSeries, read_checkpoint
from convviz_widgets.checkpoints.directory import (
    CheckpointDirectory,
    CheckpointFile,
    Item,
    Listing,
    in_order,
    outdated,
)
from convviz_widgets.checkpoints.names import has_suffix, is_temporary
from convviz_widgets.errors import CheckpointError, printable
from convviz_widgets.record.manifest import (
    FILE_NAME,
    FOLDER,
    ManifestEntry,
    ManifestReader,
    has_manifest,
)

CANNOT_TELL = "not in the manifest: cannot tell whether it is what was written"
_NESTED = "checkpoint-*/model.safetensors"
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
        written = {e.step: self._listed(e) for e in manifest.written.values() if e.name in names}
        found = dict(in_order(unlisted, behind=max(written, default=-1)))
        problems |= {file.name: f"{file.name}: {CANNOT_TELL}" for file in unlisted}
        problems |= outdated(unlisted)
        for step in found.keys() & written.keys():
            name, listed = found[step].name, written[step].name
            problems[name] = f"{name}: left out, the manifest's {listed} has step {step:,}"
        if self._reader.problems:
            problems[FILE_NAME] = f"{FILE_NAME}: {'; '.join(self._reader.problems)}"
        items: dict[int, Item] = {**found, **written}
        return Listing(tuple(sorted(items.items(), key=lambda pair: pair[0])), problems)

    def _listed(self, entry: ManifestEntry) -> HashedCheckpoint:
        return HashedCheckpoint(entry.name, str(self._directory / entry.name), entry.sha256)

    def _unlisted_files(self, names: set[str]) -> list[CheckpointFile]:
        found = []
        for name in names:
            with suppress(OSError):
                status = (self._directory / name).stat()
                file = status.st_ino, status.st_mtime_ns, status.st_size
                old = time.time() - status.st_mtime > _SETTLED_SECONDS
                if old and stat.S_ISREG(status.st_mode) and not is_temporary(name):
                    path = str(self._directory / name)
                    found.append(CheckpointFile(printable(name), path, *file))
        return found


class RunCheckpoints:
    """Looks for a run's checkpoints until there are some, then follows that directory.

    In this order: a recorder's, in ``checkpoints/`` or in the directory itself; any in
    ``checkpoints/``; any in the directory itself; those in folders like ``checkpoint-500/``.
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
        foreign = [CheckpointDirectory(folder) for folder in folders]
        for place in (*foreign, CheckpointDirectory(self._directory, _NESTED)):
            with suppress(CheckpointError):
                place.listing(wait=True)
                return place
        return None


def _read(item: HashedCheckpoint | CheckpointFile) -> dict[str, Tensor]:
    sha256 = item.sha256 if isinstance(item, HashedCheckpoint) else None
    return read_checkpoint(item.path, sha256=sha256)
