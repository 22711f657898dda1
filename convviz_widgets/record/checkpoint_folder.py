"""The directory that a recorder writes its checkpoints to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from convviz_widgets.checkpoints import checkpoint_digest, sweep_temporaries, write_checkpoint
from convviz_widgets.record.manifest import ManifestWriter, checkpoint_name


class CheckpointFolder:
    """Writes checkpoints and lists them in the manifest; open to one recorder at a time.

    What a killed recorder left behind (temporary files, a checkpoint that it began and did not
    list) is deleted first. Files that the manifest never spoke of are left alone.

    Parameters
    ----------
    directory : exists already.

    Raises as `ManifestWriter` does.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lines = ManifestWriter(directory)
        try:
            self._delete_leftovers()
        except BaseException:
            self.close()
            raise

    @property
    def steps(self) -> list[int]:
        """Steps of the checkpoints that are listed, ascending."""
        return sorted(entry.step for entry in self._lines.manifest.written.values())

    def last_is(self, state_dict: Mapping[str, object]) -> bool:
        """Tell whether the last checkpoint has these tensors, bit for bit; no file is read."""
        last = max(self._lines.manifest.written.values(), key=lambda entry: entry.step)
        return last.sha256 == checkpoint_digest(state_dict)

    def write(self, step: int, state_dict: Mapping[str, object]) -> None:
        """Write a checkpoint to the disk, and list it.

        Raises
        ------
        CheckpointError, InputError
            As `write_checkpoint` does.
        OSError
            When the manifest cannot be written.
        """
        name = checkpoint_name(step)
        self._lines.add(what="begin", file=name)
        digest = write_checkpoint(self._directory / name, state_dict)
        self._lines.add(what="written", file=name, step=step, sha256=digest)

    def thin(self, keep: int, every: int) -> None:
        """Delete checkpoints until ``keep`` are left; see `to_remove`."""
        self._remove(to_remove(self.steps, keep, every))

    def forget_after(self, step: int) -> None:
        """Delete the checkpoints of later steps."""
        self._remove([later for later in self.steps if later > step])

    def close(self) -> None:
        """Unlock the folder, so that other recorders may write to it."""
        self._lines.close()

    def _remove(self, steps: list[int]) -> None:
        for step in steps:
            name = checkpoint_name(step)
            self._lines.add(what="removed", file=name)  # first: a file may outlive it, for a while
            (self._directory / name).unlink(missing_ok=True)

    def _delete_leftovers(self) -> None:
        sweep_temporaries(self._directory)
        for name in self._lines.manifest.leftovers:
            with suppress(FileNotFoundError):
                (self._directory / name).unlink()


def to_remove(steps: Sequence[int], keep: int, every: int) -> list[int]:
    """Return the steps to give up so that ``keep`` stay, evenly spread; never the first or last.

    The least round ones go first, counted in units of ``every`` from the first step on: those
    between, then odd multiples, then odd multiples of 2, and so on, the earliest of equals. With
    one checkpoint more each time, of the gaps between those that stay (the last one apart) the
    largest is at most twice the smallest.

    (Giving up the one whose neighbours are closest looks simpler, but with few checkpoints it
    always picks the last but one, and the others stay at the beginning of the run for ever.)

    Parameters
    ----------
    steps : ascending.
    keep : at least 2.
    every : steps between two checkpoints as they are written.

    >>> to_remove([0, 100, 200, 300, 400, 450], keep=4, every=100)
    [100, 300]
    """
    between = sorted(steps[1:-1], key=lambda step: (_roundness(step - steps[0], every), step))
    return between[: max(len(steps) - keep, 0)]


def _roundness(distance: int, every: int) -> int:
    """Return how often 2 divides the distance in units of ``every``; -1: it is no multiple."""
    units, rest = divmod(distance, every)
    return -1 if rest else (units & -units).bit_length() - 1
