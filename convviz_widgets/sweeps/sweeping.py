"""Run a sweep: a whole data set through a model, in this process or on a Dask cluster."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from convviz_widgets.checkpoints import CheckpointSeries
from convviz_widgets.errors import InputError, at_least
from convviz_widgets.images import ImageSet
from convviz_widgets.images.inputs import MapDataset
from convviz_widgets.images.reading import ModelInputs
from convviz_widgets.probe import Probe
from convviz_widgets.probe.replica import unwrapped
from convviz_widgets.sweeps.dask_sweep import DaskSweep
from convviz_widgets.sweeps.part import Part, swept_part
from convviz_widgets.sweeps.plan import TOP, Plan, group_numbers, swept_layers
from convviz_widgets.sweeps.result import SweepResult, empty_result
from convviz_widgets.sweeps.storage import file_of
from convviz_widgets.sweeps.subject import weights_fingerprint

_SECONDS = 10.0
_SHARE = 0.05  # of the time, at most, goes into saving


class SweepInterrupted(KeyboardInterrupt):
    """A sweep was stopped; ``result`` is what it knew then, for ``resume=``.

    Examples
    --------
    >>> model, images = nn.Sequential(nn.Conv2d(1, 2, 3)), torch.rand(20, 1, 8, 8)
    >>> try:
    ...     found = cvw.sweep(model, images, progress=False)
    ... except cvw.SweepInterrupted as stopped:  # by Ctrl+C, or Interrupt in a notebook
    ...     found = cvw.sweep(model, images, resume=stopped.result)
    >>> found.count
    20
    """

    def __init__(self, result: SweepResult) -> None:
        super().__init__(f"stopped: {result!r}; go on with resume=")
        self.result = result


class SweepBackend(Protocol):
    """What runs the parts of a sweep, here or elsewhere."""

    def parts(
        self, weights: Mapping[str, Any] | None, wanted: range, before: Part
    ) -> Iterator[Part]:
        """Yield what is missing of a range of images, with the weights of one checkpoint."""


def sweep(
    model: nn.Module,
    dataset: Tensor | ImageSet | MapDataset,
    *,
    layers: Collection[str] | None = None,
    k: int = TOP,
    batch_size: int = 64,
    checkpoints: CheckpointSeries | None = None,
    groups: Sequence[Hashable] | Tensor | bool | None = None,
    client: Any = None,
    device: str | torch.device = "cpu",
    on_error: str = "raise",
    resume: str | os.PathLike[str] | SweepResult | None = None,
    progress: bool = True,
    indices: range | None = None,
) -> SweepResult:
    """Run a whole data set through a model once and keep what every channel did.

    For each channel of each layer: in how many images it fired, mean, standard deviation, maximum
    and histogram of its values, and the k images that excite it most [Zeiler and Fergus, ECCV
    2014]. The memory needed does not depend on the number of images. The model is only read.

    Parameters
    ----------
    dataset : tensor (N, C, H, W), `ImageSet`, or map-style data set of images (C, H, W) or of
        tuples that begin with one; all of one shape.
    layers : names, see `list_layers`; default all that put out maps or features for each image.
    k : how many images to keep for each channel, at most one of each group.
    batch_size : images that go through the model at a time.
    checkpoints : sweep at each of these instead of with the model's own weights.
    groups : N sources; images of one group were cut from the same photograph. Default those of the
        `ImageSet`, else each image its own; False: each image its own in any case.
    client : a Dask client; its workers share the images out. Same result.
    device : where the model runs, ``"cuda"`` for instance.
    on_error : "raise" stops at an image that cannot be loaded, "skip" leaves it out and notes it in
        ``failures``.
    resume : a file to save to now and then, when stopped and at the end, and to go on from if it
        is there; or a result to go on from.
    progress : show a bar.
    indices : sweep only these images, ``range(start, stop)``, to `SweepResult.merge` with others.

    Raises
    ------
    InputError
        A setting or the data set does not fit; an image cannot be loaded; ``resume`` is about
        other weights or data.
    ModelError
        The model cannot be copied or raises.
    CheckpointError
        A checkpoint cannot be read or does not fit, or the file cannot be written.
    SweepInterrupted
        On a keyboard interrupt; its ``result`` can be resumed.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    >>> found = cvw.sweep(model, torch.rand(20, 1, 8, 8), k=3, progress=False)
    >>> found
    <SweepResult: 20 of 20 images, 2 layers>
    >>> len(found.top("0", channel=1))
    3
    """
    skip = _is_skip(on_error)
    items = ModelInputs(dataset)
    probe = Probe(model, items.example, device=device, keep_original=False)
    plan = Plan(
        layers=swept_layers(probe, items.example, layers),
        count=len(items),
        batch_size=min(at_least(1, "batch_size", batch_size), len(items)),
        k=at_least(1, "k", k),
        groups=group_numbers(items.groups if groups is None else groups, len(items)),
        skip=skip,
    )
    series = _frozen(checkpoints)
    steps = None if series is None else series.steps
    result, path = _resumed(empty_result(probe, plan, items, steps), resume)
    backend: SweepBackend = (
        LocalSweep(probe, plan, items)
        if client is None
        else DaskSweep(client, model, plan, dataset, device)
    )
    wanted = _checked_range(indices, len(items))
    own = weights_fingerprint(unwrapped(model).state_dict()) if checkpoints is None else ""
    return _swept(result, backend, series, own, wanted, Saver(path), progress)


def _swept(
    result: SweepResult,
    backend: SweepBackend,
    series: _Frozen | None,
    own_weights: str,
    wanted: range,
    saver: Saver,
    progress: bool,
) -> SweepResult:
    total = len(result.parts) * len(wanted)
    done = sum(len(part.coverage.within(wanted)) for part in result.parts)
    try:
        with bar(total, done, shown=progress) as shown:
            for index, before in enumerate(result.parts):
                weights = None if series is None else series.load(index)
                known = own_weights if weights is None else weights_fingerprint(weights)
                result = result.with_weights(index, known)
                for part in backend.parts(weights, wanted, before):
                    result = result.with_part(index, part)
                    shown.update(len(part.coverage))
                    saver.now_and_then(result)
    except KeyboardInterrupt as stop:
        raise SweepInterrupted(result) from stop
    finally:
        saver.now(result)
    return result


@dataclass(frozen=True)
class _Frozen:
    """A series in the order that it has when a sweep begins: reading a file may change that."""

    checkpoints: CheckpointSeries
    steps: tuple[int, ...]
    keys: tuple[Hashable, ...]

    def load(self, index: int) -> Mapping[str, Tensor]:
        return self.checkpoints.load_key(self.keys[index])


def _frozen(checkpoints: CheckpointSeries | None) -> _Frozen | None:
    if checkpoints is not None and not isinstance(checkpoints, CheckpointSeries):
        got = type(checkpoints).__name__
        raise InputError(f"checkpoints: expected a CheckpointSeries, got {got}")
    if checkpoints is None:
        return None
    items = checkpoints.listing.items
    return _Frozen(checkpoints, tuple(step for step, _ in items), tuple(key for _, key in items))


def _resumed(
    start: SweepResult, resume: str | os.PathLike[str] | SweepResult | None
) -> tuple[SweepResult, str | os.PathLike[str] | None]:
    """Return where to go on from, and the file to save to."""
    path = None if isinstance(resume, SweepResult) else resume
    if path is not None and not file_of(path).exists():
        return start, path
    earlier = resume if isinstance(resume, SweepResult) else path and SweepResult.load(path)
    if not earlier:
        return start, path
    try:
        return start.merge(earlier), path
    except InputError as error:
        raise InputError(f"cannot resume, {error}") from error


def _is_skip(on_error: str) -> bool:
    if on_error not in ("raise", "skip"):
        raise InputError(f'on_error must be "raise" or "skip", got {on_error!r}')
    return on_error == "skip"


def _checked_range(indices: range | None, count: int) -> range:
    if indices is None:
        return range(count)
    if not isinstance(indices, range) or indices.step != 1 or not indices:
        raise InputError(f"indices must be a range(start, stop), got {indices!r}")
    if indices.start < 0 or indices.stop > count:
        raise InputError(f"{indices!r} is out of range: the data set has 0 to {count - 1}")
    return indices


class LocalSweep:
    """Sweeps part after part, with one probe.

    Parameters
    ----------
    probe : holds the model's weights.
    """

    def __init__(self, probe: Probe, plan: Plan, items: ModelInputs) -> None:
        self._probe = probe
        self._plan = plan
        self._items = items

    def parts(
        self, weights: Mapping[str, Any] | None, wanted: range, before: Part
    ) -> Iterator[Part]:
        """Yield what is missing of a range of images at one checkpoint.

        Parameters
        ----------
        weights : those of the checkpoint; None: those that the model had.
        before : what is known already.
        """
        if weights is not None:
            self._probe.load(weights)
        known = before
        for span in before.coverage.missing(wanted, self._plan.part_size):
            part = swept_part(self._probe, self._plan, self._items, span, known)
            known = known.merged(part)
            yield part


class Saver:
    """Writes a result now and then, so that a sweep that is killed goes on from there.

    Parameters
    ----------
    path : None writes nothing.
    """

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self._path = None if path is None else Path(path)
        self._saved = time.monotonic()
        self._pause = _SECONDS

    def now_and_then(self, result: SweepResult) -> None:
        """Write the result if it is time to."""
        if time.monotonic() - self._saved >= self._pause:
            self.now(result)

    def now(self, result: SweepResult) -> None:
        """Write the result."""
        if self._path is None:
            return
        begun = time.monotonic()
        result.save(self._path)
        self._saved = time.monotonic()
        self._pause = max(_SECONDS, (self._saved - begun) / _SHARE)


def bar(total: int, done: int, *, shown: bool) -> Any:
    """Return a progress bar in images, for the notebook or the terminal."""
    from tqdm.auto import tqdm  # which looks for a notebook when it is imported

    return tqdm(total=total, initial=done, unit="image", desc="sweep", disable=not shown)
