"""A patient: a finished run of the ward, and everything that it can be examined with."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

from torch import Tensor, nn
from torch.utils.data import DataLoader

import convviz_widgets as cvw
from convviz_widgets.demo.photographs import PHOTOGRAPHS
from convviz_widgets.demo.ward.cases import HEALTHY, ILLNESSES
from convviz_widgets.demo.ward.data import prepare
from convviz_widgets.demo.ward.networks import build
from convviz_widgets.demo.ward.recipe import Case
from convviz_widgets.demo.ward.training import loss_of, train

FINISHED = "finished"
"""Written last: a folder without it holds half a training, which is done again."""


@dataclasses.dataclass(frozen=True, eq=False)
class Patient:
    """A run of the ward: what its user has in hand, and what was planted."""

    case: Case
    seed: int
    model: nn.Module
    """As it is after the last step, in eval mode."""
    images: cvw.ImageSet
    """What it was trained on, as it was fed in."""
    validation: cvw.ImageSet
    loader: DataLoader[tuple[Tensor, ...]]
    """What gave the training its batches."""
    run: cvw.Run
    checkpoints: cvw.CheckpointSeries
    loss: Callable[[Tensor, Tensor], Tensor]
    """``loss(output, target)`` that the run is judged by."""

    @property
    def cause(self) -> str:
        """What was planted, in words; for a healthy run what it is."""
        return self.case.cause

    @property
    def rules(self) -> tuple[str, ...]:
        """Rules any of which names the cause; none for a healthy run."""
        return self.case.rules

    def state(self) -> cvw.ModelState:
        """Return a new state to look at the run with; closing it is the caller's."""
        return cvw.ModelState(self.model, self.images, checkpoints=self.checkpoints, loss=self.loss)


def admit(name: str, seed: int = 0, directory: str | os.PathLike[str] = "runs/ward") -> Patient:
    """Return a patient of the ward; its run is trained first where ``directory`` lacks it.

    A training takes two to four seconds on one core. It draws no random number of the process.

    Parameters
    ----------
    name
        Of ``ILLNESSES`` or ``HEALTHY``.
    seed
        Decides the patches, the initial weights and the order of the batches.
    directory
        The ward's folder; each run has a folder of its own there.

    Raises
    ------
    InputError
        For a name that the ward does not know.
    ConvVizError
        Where scikit-image, which brings the photographs, is missing.
    """
    known = {**ILLNESSES, **HEALTHY}
    if name not in known:
        raise cvw.InputError(f"unknown patient {name!r}; the ward has {', '.join(known)}")
    case = known[name]
    return admit_case(case, seed, Path(directory) / f"{name}-{seed}-{case.fingerprint}")


def admit_case(case: Case, seed: int, directory: Path) -> Patient:
    """Return the patient of any case, whose run lies in ``directory``."""
    data = prepare(case, seed)
    model = build(case, len(PHOTOGRAPHS), seed)
    if not (directory / FINISHED).is_file():
        _forget(directory)
        train(case, model, data, directory, seed)
        (directory / FINISHED).touch()
    run = cvw.Run(directory)
    model.load_state_dict(run.checkpoints.load(len(run.checkpoints) - 1))
    return Patient(
        case=case,
        seed=seed,
        model=model.eval(),
        images=data.images,
        validation=data.validation,
        loader=data.loader,
        run=run,
        checkpoints=run.checkpoints,
        loss=loss_of(case),
    )


def _forget(directory: Path) -> None:
    """Remove what a training that broke off has left: a recorder would go on behind it."""
    for path in sorted(directory.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
