"""The outputs for the watched images, written while a model trains."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from convviz_widgets.record.checkpoint_folder import CheckpointFolder

FOLDER = "outputs"
"""Where in a run's directory they are, with a manifest like that of the checkpoints."""

NAME = "output"
"""Of the one tensor in each file."""

MOST_BYTES = 2**20
"""Of one step: of larger outputs the first images are kept."""

MOST_STEPS = 256


class OutputLog:
    """Keeps an output (N, ...) for each of many steps: at most 1 MiB of one, and 256 steps.

    More steps than that are thinned evenly, never the first and the last.

    Parameters
    ----------
    directory
        The run's.
    every
        Steps between two outputs.

    Raises
    ------
    RecordError
        When another recorder has it open.
    OSError
        When it cannot be made, read or written.
    """

    def __init__(self, directory: Path, every: int) -> None:
        folder = directory / FOLDER
        folder.mkdir(exist_ok=True)
        self._folder, self._every = CheckpointFolder(folder), every

    def write(self, step: int, output: Tensor) -> None:
        """Write the output of a step, as many images of it as fit.

        Raises
        ------
        CheckpointError, OSError
            When it cannot be written.
        """
        nbytes = output[:1].numel() * output.element_size()
        images = max(1, MOST_BYTES // max(1, nbytes))
        self._folder.write(step, {NAME: output[:images]})
        self._folder.thin(MOST_STEPS, self._every)

    def forget_after(self, step: int) -> None:
        """Delete the outputs of later steps."""
        self._folder.forget_after(step)

    def close(self) -> None:
        """Let other recorders in."""
        self._folder.close()


def has_outputs(directory: Path) -> bool:
    """Tell whether outputs have been recorded in a run's directory."""
    return (directory / FOLDER).is_dir()
