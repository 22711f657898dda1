"""Recorder: records a training run while it is trained."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from torch import nn

from convviz_widgets.checkpoints.directory import absolute
from convviz_widgets.errors import (
    InputError,
    RecordError,
    at_least,
    at_least_or_none,
    record_errors,
)
from convviz_widgets.record.checkpoint_folder import CheckpointFolder
from convviz_widgets.record.event_files import EventFileWriter, last_recorded_step
from convviz_widgets.record.manifest import FOLDER
from convviz_widgets.record.norms import NormMeter
from convviz_widgets.record.outputs import OutputWriter, has_outputs
from convviz_widgets.record.watch import ActivationWatch

_LEARNING_RATE = "learning_rate"


class Recorder:
    """Leaves a run's metrics and checkpoints in a folder while a training loop goes on.

    ::

        with cvw.Recorder(model, "runs/x", every=100, optimizer=optimizer) as recorder:
            for inputs, labels in batches:
                ...
                optimizer.step()
                recorder.step(**{"loss/train": loss})

    Metrics go to a TensorBoard event file, with the gradient norm and the update ratio of each
    parameter (see `NormMeter`) and the learning rate; checkpoints to
    ``checkpoints/step-00000100.safetensors``, listed with their sha256 in a manifest there. The
    model is only read: no hook, mode, gradient or random number is touched.

    A folder that holds a run is continued behind its last recorded step, whatever model comes; one
    whose weights are not those of the last checkpoint is warned of. A loop that begins anew in the
    same folder says so by ``step=0``, which voids what is there.

    Parameters
    ----------
    model : the model in training. Its state dict is written as it is at the time of a step.
    directory : the run's folder; made where it is missing. A leading ``~`` is the user's home.
    every : steps between two checkpoints. One more is written of the start, and one of the last
        step by `close`.
    optimizer : the one whose learning rate is recorded, as it is when `step` is called.
    keep : how many checkpoints to keep, at least 2; the others are thinned evenly, never the first
        and the last. None: all.
    step : how many steps the model has behind it, for one that goes on from an earlier checkpoint:
        what the folder holds of later steps is void then, and its checkpoints are deleted. None: as
        many as the folder has.
    norms_every : steps between two measurements of norms and ratios. None: each step for small
        networks, and at most 32 values a step on average for large ones.

    Raises
    ------
    InputError
        For an argument that does not fit.
    RecordError
        When the folder cannot be written, or another recorder is writing there.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as directory:
    ...     with cvw.Recorder(nn.Linear(2, 1), directory, every=2) as recorder:
    ...         for loss in (0.9, 0.5, 0.4, 0.3):
    ...             recorder.step(**{"loss/train": loss})
    ...     cvw.Run(directory).checkpoints.steps
    (0, 2, 4)
    """

    def __init__(
        self,
        model: nn.Module,
        directory: str | os.PathLike[str],
        *,
        every: int = 100,
        optimizer: Any = None,
        keep: int | None = None,
        step: int | None = None,
        norms_every: int | None = None,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise InputError(f"model must be a torch.nn.Module, got a {type(model).__name__}")
        self._model = model
        self._directory = absolute(directory)
        self._every = at_least(1, "every", every)
        self._keep = at_least_or_none(2, "keep", keep)
        start = at_least_or_none(0, "step", step)
        self._learning_rates = learning_rates(optimizer)
        self._norms = NormMeter(model, at_least_or_none(1, "norms_every", norms_every))
        self._watch: ActivationWatch | None = None
        self._outputs: OutputWriter | None = None
        with record_errors("record", self._directory), ExitStack() as opened:
            self._open(opened, start)
            self._opened = opened.pop_all()
        self._is_closed = False

    def _open(self, opened: ExitStack, start: int | None) -> None:
        folder = self._directory / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        self._checkpoints = CheckpointFolder(folder)
        opened.callback(self._checkpoints.close)
        last = max(last_recorded_step(self._directory) or 0, *self._checkpoints.steps, 0)
        self._step = last if start is None else start
        self._checkpoints.forget_after(self._step)
        if has_outputs(self._directory):
            self._open_outputs(opened).forget_after(self._step)
        void_from = self._step + 1 if self._step < last else None
        self._log = EventFileWriter(self._directory, void_from=void_from)
        opened.callback(self._log.close)
        self._begin(start)
        self._norms.start(self._step)

    def _begin(self, start: int | None) -> None:
        """Have the checkpoint of the start, and say so where it is another model's."""
        steps = self._checkpoints.steps
        if not steps:
            self._write_checkpoint()
        elif not self._checkpoints.last_is(self._model.state_dict()):
            if start is None:
                warnings.warn(
                    f"the run in {str(self._directory)!r} is continued at step {self._step:,} with "
                    f"other weights than its checkpoint of step {steps[-1]:,} has; step=0 begins "
                    "it anew",
                    stacklevel=4,
                )
            elif start == steps[-1]:
                self._write_checkpoint()  # the one there is void: this model has its step

    def _open_outputs(self, opened: ExitStack) -> OutputWriter:
        if self._outputs is None:
            self._outputs = OutputWriter(self._directory, self._every)
            opened.callback(self._outputs.close)
        return self._outputs

    @property
    def last_step(self) -> int:
        """How many steps the model has behind it, those before this recorder included."""
        return self._step

    def step(self, /, *unnamed: object, **metrics: object) -> None:
        """Record a step: call this once after each ``optimizer.step()``.

        When it returns, what it recorded is with the operating system: killing the process does
        not lose it. Every ``every`` steps it writes a checkpoint, and waits for the disk.

        Parameters
        ----------
        metrics : name to a number, or to a tensor of one number. Names that hold a slash go in as
            ``**{"loss/train": loss}``. Kept as float32, the format of TensorBoard's scalars.

        Raises
        ------
        InputError
            For a metric that is not one number, or has no name.
        RecordError
            When it cannot be written. The training is as it was, what was recorded before stays
            readable, and the next step may be tried.
        """
        if unnamed:
            raise InputError("a metric needs a name: step(loss=loss), not step(loss)")
        if self._is_closed:
            raise RecordError(f"the recorder of {str(self._directory)!r} is closed")
        self._step += 1
        measured = {**self._norms.measure(self._step), **self._learning_rates()}
        if self._watch is not None and self._step % self._every == 0:
            measured |= self._watch.measure()
        scalars = {**measured, **as_floats(metrics)}
        with record_errors(f"record step {self._step}", self._directory):
            self._log.write(self._step, scalars)
            if self._step % self._every == 0:
                self._write_checkpoint()
                self._write_output()

    def watch(self, images: Any) -> None:
        """Record what the model makes of some images too: now, and with every checkpoint.

        Statistics of each layer's activations go to the metrics, see `ActivationWatch`, which runs
        the images through a copy of the model in eval mode. Its outputs go to ``outputs/`` in the
        run's folder, at most 1 MiB a step and 256 steps, and `Run.outputs` has them; ``keep`` does
        not thin them. A model that puts out anything but one tensor (N, ...) leaves none. Of
        TorchScript the outputs alone are recorded, and one warning says so, as it does where no
        layer runs or the outputs ignore the weights.

        Parameters
        ----------
        images : float tensor (N, C, H, W) as the model takes it, or an image set; the first 64 are
            used.

        Raises
        ------
        InputError, ModelError
            For images that do not fit, or a model that cannot be copied.
        RecordError
            When they cannot be written.
        """
        watch = ActivationWatch(self._model, images)
        measured = watch.measure()
        self._watch = watch  # not before it has worked: what is watched runs with every checkpoint
        with record_errors("record what is watched", self._directory):
            self._log.write(self._step, measured)
            self._write_output()

    def close(self) -> None:
        """Write a checkpoint of the last step where there is none, and let go of the folder."""
        self._close(complete=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A loop that was broken off may have left the model in the middle of a step.
        self._close(complete=kind is None)

    def __repr__(self) -> str:
        return f"<Recorder of {str(self._directory)!r} at step {self._step}>"

    def _close(self, *, complete: bool) -> None:
        with self._opened:  # closes the files, whatever happens
            missing = not self._is_closed and self._checkpoints.steps[-1:] != [self._step]
            self._is_closed = True
            if complete and missing:
                with record_errors(f"write the checkpoint of step {self._step}", self._directory):
                    self._write_checkpoint()
                    if self._watch is not None:
                        self._log.write(self._step, self._watch.measure())
                        self._write_output()

    def _write_checkpoint(self) -> None:
        self._checkpoints.write(self._step, self._model.state_dict())
        if self._keep is not None:
            self._checkpoints.thin(self._keep, self._every)

    def _write_output(self) -> None:
        """Write what the model put out when it was last watched, if it was."""
        if self._watch is not None and self._watch.output is not None:
            self._open_outputs(self._opened).write(self._step, self._watch.output)


def learning_rates(optimizer: Any) -> Callable[[], dict[str, float]]:
    """Return a function that gives the learning rate of each parameter group, by tag.

    Raises ``InputError`` for something without parameter groups; None has no learning rate.
    """
    if optimizer is None:
        return dict
    if not hasattr(optimizer, "param_groups"):
        raise InputError(
            f"optimizer must be a torch.optim.Optimizer, got a {type(optimizer).__name__}"
        )

    def now() -> dict[str, float]:
        rates = [float(group["lr"]) for group in optimizer.param_groups if "lr" in group]
        if len(rates) == 1:
            return {_LEARNING_RATE: rates[0]}
        return {f"{_LEARNING_RATE}/{index}": rate for index, rate in enumerate(rates)}

    return now


def as_floats(metrics: Mapping[str, object]) -> dict[str, float]:
    """Return metrics as floats; numbers, and arrays or tensors of one number, will do.

    Raises InputError for anything else, with the metric's name.
    """
    return {name: _as_float(name, value) for name, value in metrics.items()}


def _as_float(name: str, value: Any) -> float:
    try:
        if getattr(value, "ndim", 0):
            value = value.reshape(())
        number = float(value.item() if hasattr(value, "item") else value)
        if isinstance(value, str | bytes):
            raise TypeError
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    except (TypeError, ValueError, RuntimeError):
        shape = getattr(value, "shape", None)
        what = f"a {type(value).__name__}" + ("" if shape is None else f" of shape {(*shape,)}")
        raise InputError(f"metric {name!r} must be one number, got {what}") from None
    return number
