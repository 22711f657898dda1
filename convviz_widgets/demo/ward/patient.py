"""A patient: a finished run of the ward, and everything that it can be examined with.

The run is trained here, with a place in the loop for each planted fault.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Sampler, TensorDataset

import convviz_widgets as cvw
from convviz_widgets.demo.photographs import (
    PHOTOGRAPHS,
    Part,
    cut_grid,
    image_set,
    mean_and_std,
    normalised,
    read_photograph,
)
from convviz_widgets.demo.runs import inputs_and_answers, one_thread, train_once
from convviz_widgets.demo.ward.cases import HEALTHY, ILLNESSES, Case, build

FINISHED = "finished"
"""File that is written last: a folder without it holds half a training, which is done again."""

JUMP = 30.0
"""Factor on the learning rate in the second half of a run whose rate jumps."""

EVALUATED = 480
"""Training images that the accuracy is evaluated on, in the same way as on validation."""

SIZE = 16
PARTS: tuple[Part, Part] = ("train", "validation")

PLANTED = 60
"""Patches that are in a set which they should not be in."""

REPEATED = 2
"""Index of the batch that is repeated."""


@dataclasses.dataclass(frozen=True, eq=False)
class Patient:
    """A run of the ward: what its user has in hand, and what was planted."""

    case: Case
    seed: int
    model: nn.Module
    """The network after the last step, in eval mode."""
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
    name : one of ``ILLNESSES`` or ``HEALTHY``.
    seed : decides the patches, the initial weights and the order of the batches.
    directory : the ward's folder; each run has a folder of its own there.

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
    finished = directory / FINISHED

    def fill() -> None:
        _forget(directory)
        train(case, model, data, directory, seed)
        finished.touch()

    train_once(directory, finished.is_file, fill)
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


@torch.enable_grad()
@one_thread()
def train(case: Case, network: nn.Module, data: Data, directory: Path, seed: int) -> None:
    """Train a network as a case says, recorded in ``directory`` as a user would record it."""
    optimizer = _optimizer(case, network)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _schedule(case))
    generator = torch.Generator().manual_seed(seed + 1)
    held = _held(data)
    with cvw.Recorder(network, directory, every=case.every, optimizer=optimizer) as recorder:
        for step, (inputs, expected) in enumerate(_batches(case, data), start=1):
            if case.flip:
                mirrored = torch.rand(len(inputs), generator=generator) < 0.5
                inputs = _mirrored(inputs, mirrored)
                expected = _mirrored(expected, mirrored) if case.is_autoencoder else expected
            if case.fault == "bad-batch" and step == case.steps // 2:
                expected = (expected + 1) % int(expected.max() + 1)
            loss = _loss(case, network(inputs), expected)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            metrics = {"loss/train": loss.item()}
            if step % case.every == 0:
                metrics |= _evaluated(case, network, held)
            recorder.step(**metrics)
            schedule.step()


def loss_of(case: Case) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss that a case is judged by: of pictures, or of classes."""
    return nn.functional.mse_loss if case.is_autoencoder else nn.functional.cross_entropy


Held = dict[str, tuple[Tensor, Tensor]]


def _held(data: Data) -> Held:
    """Return inputs and expected outputs to evaluate on, by role."""
    sets = {"train": (data.images, EVALUATED), "val": (data.validation, len(data.validation))}
    return {role: inputs_and_answers(*images) for role, images in sets.items()}


@torch.no_grad()
def _evaluated(case: Case, network: nn.Module, held: Held) -> dict[str, float]:
    """Return the loss on the validation set and accuracies on both, the network in eval mode."""
    network.eval()
    metrics = {}
    for role, (inputs, expected) in held.items():
        output = network(inputs)
        if role == "val":
            metrics["loss/val"] = _loss(case, output, expected).item()
        if not case.is_autoencoder:
            right = output.argmax(dim=1) == expected
            metrics[f"accuracy/{role}"] = right.double().mean().item()
    network.train()
    return metrics


def _loss(case: Case, output: Tensor, expected: Tensor) -> Tensor:
    if case.fault == "grey-loss":
        output, expected = output.mean(dim=1), expected.mean(dim=1)
    return loss_of(case)(output, expected)


def _optimizer(case: Case, network: nn.Module) -> torch.optim.Optimizer:
    if case.optimizer == "sgd":
        return torch.optim.SGD(network.parameters(), case.rate, momentum=case.momentum)
    return torch.optim.AdamW(network.parameters(), case.rate, weight_decay=case.decay)


def _schedule(case: Case) -> Callable[[int], float]:
    """Return the factor on the learning rate at each step, counted from 0."""
    if case.schedule == "jump":
        return lambda step: JUMP if step >= case.steps // 2 else 1.0
    if case.schedule == "warm-up":
        return lambda step: min(1.0, (step + 1) / (0.2 * case.steps))
    if case.schedule == "cosine":
        return lambda step: _cosine(step / case.steps)
    if case.schedule == "one-cycle":
        return lambda step: _one_cycle(step / case.steps)
    return lambda step: 1.0


def _cosine(share: float) -> float:
    """Return 1 at the start of a run and 0 at its end (Loshchilov & Hutter, ICLR 2017)."""
    return 0.5 + 0.5 * float(torch.cos(torch.tensor(torch.pi * share)))


def _one_cycle(share: float) -> float:
    """Return 0.04 at the start, 1 after 30 % of a run, 0 at its end (Smith & Topin, 2018)."""
    if share < 0.3:
        return 1 - 0.96 * _cosine(share / 0.3)
    return _cosine((share - 0.3) / 0.7)


def _batches(case: Case, data: Data) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield as many batches as the case has steps, epoch after epoch."""

    def endless() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield from data.loader

    return islice(endless(), case.steps)


def _mirrored(pictures: Tensor, chosen: Tensor) -> Tensor:
    """Return pictures (B, C, H, W), the chosen ones (B,) mirrored."""
    return torch.where(chosen[:, None, None, None], pictures.flip(3), pictures)


@dataclass(frozen=True, eq=False)
class Data:
    """What a case trains on, and what it is looked at with."""

    images: cvw.ImageSet
    validation: cvw.ImageSet
    loader: DataLoader[tuple[Tensor, ...]]
    """Training batches of (inputs, labels, or the pictures to paint)."""


def prepare(case: Case, seed: int) -> Data:
    """Return the images of a case; patches and the order of batches depend on the seed alone."""
    training, labels = _drawn(0, case.patches, seed)
    held_out, held_out_labels = _drawn(1, case.validation_patches, seed)
    mean, std = _scale(case, training)
    if case.fault == "duplicates":
        training, labels = _with(training, labels, training, labels)
    if case.fault == "leak":
        held_out, held_out_labels = _with(held_out, held_out_labels, training, labels)
    images = _image_set(case, training, labels, mean, std)
    validation = _image_set(case, held_out, held_out_labels, mean, std)
    return Data(images, validation, _loader(case, images, seed))


def _with(
    patches: NDArray[np.uint8],
    labels: NDArray[np.int64],
    more: NDArray[np.uint8],
    their_labels: NDArray[np.int64],
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return patches with the first few of others behind them."""
    return (
        np.concatenate([patches, more[:PLANTED]]),
        np.concatenate([labels, their_labels[:PLANTED]]),
    )


@cache
def _patches(part: int) -> tuple[NDArray[np.uint8], ...]:
    """Return the different patches (n, 16, 16, 3) of each photograph."""
    cut = (cut_grid(read_photograph(each), PARTS[part], SIZE).values() for each in PHOTOGRAPHS)
    different = ({patch.tobytes(): patch for patch in patches} for patches in cut)
    return tuple(np.stack(list(patches.values())) for patches in different)


def _drawn(part: int, count: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return up to ``count`` patches (N, 16, 16, 3) of each photograph in turn, and labels (N,)."""
    generator = np.random.default_rng([seed, part])
    chosen = [patches[generator.permutation(len(patches))[:count]] for patches in _patches(part)]
    labels = np.concatenate([np.full(len(own), label) for label, own in enumerate(chosen)])
    ranks = np.concatenate([np.arange(len(own)) for own in chosen])
    order = np.lexsort((labels, ranks))
    return np.concatenate(chosen)[order], labels[order]


def _scale(case: Case, pixels: NDArray[np.uint8]) -> tuple[NDArray, NDArray]:
    """Return what is subtracted from pixels in [0, 1], and divided by."""
    if case.scaling == "unit":
        return np.zeros(3), np.ones(3)
    if case.scaling == "bytes":
        return np.zeros(3), np.full(3, 1 / 255)
    return mean_and_std(pixels)


def _image_set(
    case: Case, pixels: NDArray[np.uint8], labels: NDArray[np.int64], mean: NDArray, std: NDArray
) -> cvw.ImageSet:
    inputs = normalised(pixels, mean, std)
    if case.scaling == "misstated":  # those of another data set, copied from a tutorial
        mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    targets = inputs if case.is_autoencoder else None
    return image_set(inputs, labels.tolist(), mean, std, targets=targets)


class Batches(Sampler[list[int]]):
    """Indices of whole batches, in another order each time; or one batch again and again."""

    def __init__(self, count: int, batch_size: int, seed: int, repeats: bool) -> None:
        self._count, self._batch_size, self._repeats = count, min(count, batch_size), repeats
        self._generator = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return self._count // self._batch_size

    def __iter__(self) -> Iterator[list[int]]:
        order = torch.randperm(self._count, generator=self._generator)
        batches = [batch.tolist() for batch in order.split(self._batch_size)][: len(self)]
        for number, batch in enumerate(batches):
            stuck = self._repeats and number > REPEATED and number % 3 == 0
            yield batches[REPEATED] if stuck else batch


def _loader(case: Case, images: cvw.ImageSet, seed: int) -> DataLoader[tuple[Tensor, ...]]:
    return DataLoader(
        TensorDataset(*inputs_and_answers(images)),
        batch_sampler=Batches(
            len(images), case.batch_size, seed, repeats=case.fault == "repeated-batch"
        ),
        # Else iterating draws a seed from the process's own random numbers.
        generator=torch.Generator().manual_seed(seed),
    )
