"""A sweep on the workers of a Dask cluster."""

from __future__ import annotations

import ctypes
import itertools
import os
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import torch
from torch import nn

from convviz_widgets.errors import InputError
from convviz_widgets.images.reading import ModelInputs
from convviz_widgets.probe import Probe
from convviz_widgets.probe.replica import private_replica
from convviz_widgets.sweeps.part import Part, swept_part
from convviz_widgets.sweeps.plan import Plan

_TASKS_OF_A_WORKER = 8  # so that a slow worker does not keep the others waiting
_MERGED_AT_ONCE = 4
_ATTEMPTS = 3
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h


@dataclass(frozen=True, eq=False)
class Job:
    """What every worker needs for the whole sweep; the model is without the user's hooks."""

    model: nn.Module
    plan: Plan
    dataset: Any
    device: str | torch.device
    name: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(frozen=True, eq=False)
class Weights:
    """What every worker needs at one checkpoint; None: the weights of the model."""

    state_dict: Mapping[str, Any] | None
    name: str = field(default_factory=lambda: uuid.uuid4().hex)


class DaskSweep:
    """Shares the images out among the workers of a Dask client.

    The data set is split by index, and each worker loads what it sweeps: a data set of files is
    read where the workers are, a tensor is sent to each. Results merge on the workers, in a tree.
    Every batch is the same as in one process, and so is the result. Work lost with a worker is done
    again by another one. Each task computes on one thread: start as many workers, or threads of
    them, as there are cores.

    Parameters
    ----------
    client : a ``dask.distributed.Client``.
    """

    def __init__(
        self,
        client: Any,
        model: nn.Module,
        plan: Plan,
        dataset: Any,
        device: str | torch.device,
    ) -> None:
        self._client = _checked(client)
        self._plan = plan
        self._job = Job(private_replica(model, "cpu"), plan, dataset, device)
        self._sent: Any = None  # the job, where the workers are

    def parts(
        self, weights: Mapping[str, Any] | None, wanted: range, before: Part
    ) -> Iterator[Part]:
        """Yield what is missing of a range of images at one checkpoint, in any order."""
        from distributed.client import CancelledError
        from distributed.scheduler import KilledWorker

        covered = before.coverage
        for attempt in itertools.count(1):
            spans = list(covered.missing(wanted, self._size(wanted)))
            try:
                for part in self._run(Weights(weights), spans):
                    covered |= part.coverage
                    yield part
                return
            except (CancelledError, KilledWorker):
                # The last worker that had what was sent is gone: only we can send it again.
                self._sent = None
                if attempt == _ATTEMPTS:
                    raise

    def _run(self, weights: Weights, spans: list[range]) -> Iterator[Part]:
        from distributed import as_completed

        if self._sent is None:
            self._sent = self._client.scatter(self._job, broadcast=True, hash=False)
        sent = self._client.scatter(weights, broadcast=True, hash=False)
        merged = [
            self._client.submit(
                _merged,
                [self._client.submit(_swept, self._sent, sent, span, pure=False) for span in few],
                pure=False,
            )
            for few in _batched(spans, _MERGED_AT_ONCE)
        ]
        try:
            for done in as_completed(merged):
                yield done.result()
                done.release()
        finally:
            self._client.cancel([*merged, sent])

    def _size(self, wanted: range) -> int:
        """Return how many images a task takes: whole batches, and enough tasks for all workers."""
        slots = sum(self._client.nthreads().values()) or 1
        batches = -(-len(wanted) // self._plan.batch_size)
        share = -(-batches // (slots * _TASKS_OF_A_WORKER))
        return min(self._plan.part_size, share * self._plan.batch_size)


idle_probes: dict[str, list[tuple[Probe, ModelInputs]]] = {}
"""On a worker: job → probes that no task uses now. A probe serves one task at a time."""


def _swept(job: Job, weights: Weights, span: range) -> Part:
    with _borrowed(job) as (probe, items), _one_thread(), _memory_kept():
        if weights.state_dict is not None and probe.key != weights.name:
            probe.load(weights.state_dict, weights.name)
        return swept_part(probe, job.plan, items, span, Part.empty(job.plan))


def _batched(spans: list[range], size: int) -> Iterator[list[range]]:
    return (spans[start : start + size] for start in range(0, len(spans), size))


def _merged(parts: list[Part]) -> Part:
    return reduce(Part.merged, parts)


@contextmanager
def _borrowed(job: Job) -> Iterator[tuple[Probe, ModelInputs]]:
    for name in [name for name in idle_probes if name != job.name]:
        idle_probes.pop(name, None)  # of an earlier job: nobody will come back for it
    idle = idle_probes.setdefault(job.name, [])
    try:
        tools = idle.pop()
    except IndexError:
        tools = _tools(job)
    yield tools
    idle.append(tools)


def _tools(job: Job) -> tuple[Probe, ModelInputs]:
    items = ModelInputs(job.dataset)
    return Probe(job.model, items.example, device=job.device, keep_original=False), items


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread: the other slots of the machine have tasks of their own."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _memory_kept() -> Iterator[None]:
    """Keep freed memory for the next layer.

    Dask starts its workers with a trim threshold of 64 kB, so that every map is paid for in fresh
    pages: 40 % more time on a ResNet-18. Where the C library is not glibc nothing is changed.
    """
    adjust = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if adjust is None:
        yield
        return
    before = os.environ.get("MALLOC_TRIM_THRESHOLD_", "")
    adjust(_M_TRIM_THRESHOLD, 2**28)
    adjust(_M_MMAP_THRESHOLD, 2**25)
    try:
        yield
    finally:
        adjust(_M_TRIM_THRESHOLD, int(before) if before.isdecimal() else 2**17)
        adjust(_M_MMAP_THRESHOLD, 2**17)


def _checked(client: Any) -> Any:
    try:
        from distributed import Client
    except ImportError as error:
        raise InputError(
            "client= needs Dask: pip install 'convviz_widgets[distributed]'"
        ) from error
    if not isinstance(client, Client) or client.asynchronous:
        kind = "an asynchronous one" if isinstance(client, Client) else type(client).__name__
        raise InputError(f"expected a Dask client, got {kind}")
    return client
