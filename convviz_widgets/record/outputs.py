"""The model's outputs for the watched images, step by step: how they are written and read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor

from convviz_widgets.checkpoints import read_checkpoint
from convviz_widgets.checkpoints.listing import Listing
from convviz_widgets.errors import CheckpointError
from convviz_widgets.record.checkpoint_folder import CheckpointFolder
from convviz_widgets.record.manifest import has_manifest
from convviz_widgets.record.run_checkpoints import HashedCheckpoint, ManifestDirectory

FOLDER = "outputs"
"""Where in a run's directory they are, with a manifest like that of the checkpoints."""

NAME = "output"
"""Name of the one tensor in each file."""

MOST_BYTES = 2**20
"""Most bytes of one step; of larger outputs the first images are kept."""

MOST_STEPS = 256


class Outputs(Mapping[int, Tensor]):
    """Training step to the model's output (N, ...) for the watched images, in eval mode.

    The steps ascend. Row i belongs to the i-th image that `Recorder.watch` was given; of large
    outputs the last images may be missing. A file is read, and checked against its sha256, each
    time that its step is looked up, so that nothing is kept in memory; the tensor is on the CPU
    and the caller's to change.

    Raises
    ------
    KeyError
        For a step of which there is no output.
    CheckpointError
        For one that cannot be read, or that has been thinned since.
    """

    def __init__(self, listing: Listing) -> None:
        self._items = {
            step: item for step, item in listing.items if isinstance(item, HashedCheckpoint)
        }

    def __getitem__(self, step: int) -> Tensor:
        item = self._items[step]
        tensors = read_checkpoint(item.path, sha256=item.sha256)
        if NAME not in tensors:
            raise CheckpointError(f"{FOLDER}/{item.name} holds no {NAME!r}")
        return tensors[NAME]

    def __contains__(self, step: object) -> bool:
        return step in self._items

    def __iter__(self) -> Iterator[int]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"<Outputs of {len(self)} steps>"


class OutputReader:
    """Follows the outputs of a run; what it has handed out never changes."""

    def __init__(self, directory: Path) -> None:
        self._folder = directory / FOLDER
        self._place: ManifestDirectory | None = None
        self._listing = Listing(())
        self.outputs = Outputs(self._listing)

    @property
    def problems(self) -> dict[str, str]:
        """File name to one line, for what cannot be read."""
        found = self._listing.problems.items()
        return {f"{FOLDER}/{name}": f"{FOLDER}/{line}" for name, line in found}

    def refresh(self) -> int:
        """Look for new ones; return how many there are."""
        if self._place is None and has_manifest(self._folder):
            self._place = ManifestDirectory(self._folder)
        if self._place is None:
            return 0
        before, self._listing = self._listing, self._place.listing()
        self.outputs = Outputs(self._listing)
        return self._listing.changes(before)

    def damages(self) -> dict[str, str]:
        """Read all of them, and return file name to one line for what cannot be read."""
        found = self.problems
        for step, item in self._listing.items:
            try:
                self.outputs.get(step)
            except CheckpointError as error:
                found[f"{FOLDER}/{item.name}"] = f"{FOLDER}/{error}"
        return found


class OutputWriter:
    """Keeps an output (N, ...) for each of many steps: at most 1 MiB of one, and 256 steps.

    More steps than that are thinned evenly, never the first and the last.

    Parameters
    ----------
    directory : that of the run.
    every : steps between two outputs.

    Raises as `ManifestWriter` does.
    """

    def __init__(self, directory: Path, every: int) -> None:
        folder = directory / FOLDER
        folder.mkdir(exist_ok=True)
        self._folder, self._every = CheckpointFolder(folder), every

    def write(self, step: int, output: Tensor) -> None:
        """Write the output of a step, as many images of it as fit.

        Raises CheckpointError or OSError when it cannot be written.
        """
        nbytes = output[:1].numel() * output.element_size()
        images = max(1, MOST_BYTES // max(1, nbytes))
        self._folder.write(step, {NAME: output[:images]})
        self._folder.thin(MOST_STEPS, self._every)

    def forget_after(self, step: int) -> None:
        """Delete the outputs of later steps."""
        self._folder.forget_after(step)

    def close(self) -> None:
        """Unlock the folder, so that other recorders may write to it."""
        self._folder.close()


def has_outputs(directory: Path) -> bool:
    """Tell whether outputs have been recorded in a run's directory."""
    return (directory / FOLDER).is_dir()
