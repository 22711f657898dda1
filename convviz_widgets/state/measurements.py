"""The store of measurements, in memory and on disk, and the list of what there is to measure."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
import zlib
from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from convviz_widgets.checkpoints.bounds import read_regular
from convviz_widgets.checkpoints.listing import StoredItem
from convviz_widgets.errors import CheckpointError
from convviz_widgets.measure import AnswerFacts, FilterFacts, Measurement
from convviz_widgets.state.recordings import ByteCache
from convviz_widgets.state.timeline import Entry
from convviz_widgets.tensors import Distribution, Moments

PARAMETERS = "parameters"

ACTIVATIONS = "activations"

GRADIENTS = "gradients"

UPDATES = "updates"

IMAGE_SET = "image set"

FILTERS = "filters"

PARTS = (PARAMETERS, ACTIVATIONS, GRADIENTS, UPDATES, IMAGE_SET, FILTERS)
"""What is measured by itself: the weights alone need no pass; updates need two checkpoints. What
fires and is put out over the image set needs many more images than the probe batch has, and is
measured at the last checkpoint alone."""

FOLDER = ".convviz-history"

SUFFIX = ".measurement"

FORMAT = 2

DIGEST = 32

FILE_BYTES = 2**25

CONTENT_BYTES = 2**26
"""A file, and what it expands to, may be so large; a larger one was not written by this module."""

MEMORY = 2**27
"""Bytes of measurements that are on disk as well and stay in memory all the same."""

Identity = tuple[Hashable, ...]

Facts = TypeVar("Facts", FilterFacts, AnswerFacts)


@dataclass(frozen=True)
class Measurable:
    """One part to be measured at one checkpoint."""

    part: str
    entry: Entry
    before: Entry | None = None
    """The checkpoint before, for updates; that of step 0, for the image set and filters."""

    @property
    def identity(self) -> Identity:
        """What the result belongs to: the part, and the keys of the checkpoints."""
        before = (self.before.key,) if self.before else ()
        return (self.part, self.entry.key, *before)


def measurables(part: str, entries: tuple[Entry, ...]) -> list[Measurable | None]:
    """Return what there is to be measured at each checkpoint; no update leads to the first."""
    if part == IMAGE_SET:
        last = [Measurable(part, entry, _initial(entries)) for entry in entries[-1:]]
        return [*(None for _ in entries[:-1]), *last]
    if part == FILTERS:
        return [Measurable(part, entry, _initial(entries)) for entry in entries]
    if part != UPDATES:
        return [Measurable(part, entry) for entry in entries]
    pairs = zip(entries[1:], entries, strict=False)
    return [None, *(Measurable(part, entry, before) for entry, before in pairs)]


def _initial(entries: tuple[Entry, ...]) -> Entry | None:
    """Return the checkpoint of step 0, where there is one and another behind it."""
    return entries[0] if len(entries) > 1 and entries[0].time.step == 0 else None


class MeasurementStore:
    """Keeps what was measured, by part and checkpoint; may be used from several threads.

    What is on disk is kept in memory only within a budget, and read again when it is looked at;
    what could not be written stays in memory.
    """

    def __init__(self) -> None:
        self._files = MeasurementFiles()
        self._lock = threading.Lock()
        self._in_memory: dict[Identity, Measurement] = {}
        self._on_disk: dict[Identity, tuple[Measurable, str]] = {}
        self._recent: ByteCache[Measurement] = ByteCache(MEMORY)
        self._failures: dict[Identity, str] = {}

    @property
    def problem(self) -> str:
        """One line when nothing can be kept on disk."""
        return self._files.problem

    def is_settled(self, wanted: Measurable) -> bool:
        """Tell whether this is measured, or cannot be."""
        known = wanted.identity
        return known in self._on_disk or known in self._in_memory or known in self._failures

    def failure(self, wanted: Measurable) -> str:
        """Return one line on why this cannot be measured, else nothing."""
        return self._failures.get(wanted.identity, "")

    def get(self, wanted: Measurable) -> Measurement | None:
        """Return what was measured; None where that is still to be done."""
        with self._lock:
            found = self._in_memory.get(wanted.identity) or self._recent.get(wanted.identity)
            place = self._on_disk.get(wanted.identity)
        if found is not None or place is None:
            return found
        return self._from_disk(*place)

    def settle(
        self, wanted: Measurable, fingerprint: str, measure: Callable[[], Measurement]
    ) -> None:
        """Find the measurement on disk, or make it and write it there."""
        if self._from_disk(wanted, fingerprint) is not None:
            return
        measured = measure()
        written = self._files.write(wanted, fingerprint, measured)
        with self._lock:
            if written:
                self._on_disk[wanted.identity] = wanted, fingerprint
                self._recent.put(wanted.identity, measured)
            else:
                self._in_memory[wanted.identity] = measured

    def fail(self, some: Iterable[Measurable], line: str) -> None:
        """Note why some cannot be measured, so that they are not tried again."""
        with self._lock:
            self._failures.update((wanted.identity, line) for wanted in some)

    def forget_all_but(self, keys: Iterable[Hashable]) -> None:
        """Let go of the measurements of checkpoints that there are no more."""
        present = set(keys)
        with self._lock:
            for kept in (self._in_memory, self._on_disk, self._failures):
                for identity in [each for each in kept if not present.issuperset(each[1:])]:
                    del kept[identity]
            if not present:
                self._recent.clear()

    def _from_disk(self, wanted: Measurable, fingerprint: str) -> Measurement | None:
        found = self._files.read(wanted, fingerprint)
        with self._lock:
            if found is None:  # never written, or deleted meanwhile: to be made again
                self._on_disk.pop(wanted.identity, None)
            else:
                self._on_disk[wanted.identity] = wanted, fingerprint
                self._recent.put(wanted.identity, found)
        return found


class MeasurementFiles:
    """Reads and writes measurements of checkpoints that are files.

    A file starts with the sha256 of the rest, which is compressed: one line of JSON, then the
    counts. Whatever is wrong with it, it counts as missing. It names the checkpoint's file, and its
    sha256 or else its size and time, so that it is not taken for that of one that has replaced it.
    """

    def __init__(self) -> None:
        self.problem = ""
        """One line when a folder could not be written."""

    def read(self, wanted: Measurable, fingerprint: str) -> Measurement | None:
        """Return what was written for this checkpoint; None where there is nothing sound."""
        path = place_of(wanted, fingerprint)
        if path is None:
            return None
        try:
            return _unpacked(read_regular(path, FILE_BYTES), _identity(wanted))
        except (OSError, CheckpointError, ValueError, KeyError, TypeError, zlib.error):
            return None
        except (OverflowError, RecursionError, MemoryError):  # planted by a stranger
            return None

    def write(self, wanted: Measurable, fingerprint: str, measured: Measurement) -> bool:
        """Write for later sessions; return whether that was possible."""
        path = place_of(wanted, fingerprint)
        if path is None or self.problem:
            return False
        temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(_packed(measured, _identity(wanted)))
            temporary.replace(path)
        except OSError as error:
            self.problem = f"kept in memory only: {path.parent.parent} {error.strerror or error}"
            with suppress(OSError):
                temporary.unlink()
            return False
        return True


def place_of(wanted: Measurable, fingerprint: str) -> Path | None:
    """Return its file; None where the checkpoint is no file, or the model is unknown."""
    key = wanted.entry.key
    if not isinstance(key, StoredItem) or not fingerprint:
        return None
    if wanted.before is not None and not isinstance(wanted.before.key, StoredItem):
        return None
    about = f"{wanted.part}\n".encode() + os.fsencode(os.path.basename(key.path))
    name = hashlib.sha256(about).hexdigest()[:32]
    return Path(key.path).parent / FOLDER / fingerprint[:16] / f"{name}{SUFFIX}"


def _identity(wanted: Measurable) -> list[Any]:
    keys = [entry.key for entry in (wanted.entry, wanted.before) if entry is not None]
    files = [key for key in keys if isinstance(key, StoredItem)]
    return [FORMAT, wanted.part, *([Path(f.path).name, *f.identity] for f in files)]


def _packed(measured: Measurement, identity: list[Any]) -> bytes:
    arrays: list[np.ndarray] = []
    header = {
        "identity": identity,
        "images": measured.images,
        "distributions": [
            [*name, *_row(counted)] for name, counted in measured.distributions.items()
        ],
        "fired": [[layer, len(counts)] for layer, counts in measured.fired.items()],
        "concentration": list(measured.concentration.items()),
        "magnitudes": [[*name, value] for name, value in measured.magnitudes.items()],
        "update ratios": list(measured.update_ratios.items()),
        "filters": [[layer, *vars(facts).values()] for layer, facts in measured.filters.items()],
        "answers": None if measured.answers is None else list(vars(measured.answers).values()),
        "loss": measured.loss,
    }
    arrays += [each.counts for each in measured.distributions.values()]
    arrays += [each.astype(np.int64) for each in measured.fired.values()]
    content = json.dumps(header).encode() + b"\n"
    content += b"".join(each.astype(each.dtype.newbyteorder("<")).tobytes() for each in arrays)
    rest = zlib.compress(content, 1)
    return hashlib.sha256(rest).digest() + rest


def _row(counted: Distribution) -> list[Any]:
    whole = [
        counted.exponent,
        counted.first,
        counted.zeros,
        counted.nan,
        counted.positive_inf,
        counted.negative_inf,
    ]
    powers = list(vars(counted.moments).values())
    ends = [counted.low, counted.high]
    return [counted.counts.dtype.name, len(counted.counts), whole, ends, powers]


def _unpacked(data: bytes, identity: list[Any]) -> Measurement:
    digest, rest = data[:DIGEST], data[DIGEST:]
    if hashlib.sha256(rest).digest() != digest:
        raise ValueError("the file is damaged")
    expander = zlib.decompressobj()
    content = expander.decompress(rest, CONTENT_BYTES)
    line, _, arrays = content.partition(b"\n")
    header = json.loads(line)
    if expander.unconsumed_tail or header["identity"] != identity:
        raise ValueError("not of this checkpoint")
    counts = _Counts(arrays)
    distributions = {
        (str(layer), str(quantity)): _distribution(counts, *row)
        for layer, quantity, *row in header["distributions"]
    }
    return Measurement(
        int(header["images"]),
        distributions,
        fired={str(layer): counts.take("int64", size) for layer, size in header["fired"]},
        concentration={str(layer): float(value) for layer, value in header["concentration"]},
        magnitudes={
            (str(layer), str(quantity)): float(value)
            for layer, quantity, value in header["magnitudes"]
        },
        update_ratios={str(layer): float(value) for layer, value in header["update ratios"]},
        filters={str(layer): _facts(FilterFacts, row) for layer, *row in header["filters"]},
        answers=None if header["answers"] is None else _facts(AnswerFacts, header["answers"]),
        loss=float(header["loss"]),
    )


def _facts(kind: type[Facts], values: list[Any]) -> Facts:
    """Return facts from the numbers of a file, each an int, a float or None as the class says."""
    stated = [str(field.type) for field in fields(kind)]
    return kind(*(_number(*each) for each in zip(values, stated, strict=True)))


def _number(value: Any, stated: str) -> Any:
    if value is None and "None" in stated:
        return None
    return int(value) if stated.startswith("int") else float(value)


class _Counts:
    """Takes whole numbers off the rest of a file, one array after the other."""

    TYPES = ("uint8", "uint16", "uint32", "uint64", "int64")

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, dtype: str, size: int) -> np.ndarray:
        if dtype not in self.TYPES or not 0 <= size <= len(self._data):
            raise ValueError("not an array of counts")
        kind = np.dtype(dtype).newbyteorder("<")
        found = np.frombuffer(self._data, kind, size, self._at).astype(dtype)
        self._at += size * kind.itemsize
        return found


def _distribution(
    counts: _Counts, dtype: str, size: int, whole: list[int], ends: list[float], powers: list[Any]
) -> Distribution:
    exponent, first, zeros, nan, positive_inf, negative_inf = whole
    if any(type(value) is not int or abs(value) >= 2**62 for value in (*whole, powers[0])):
        raise ValueError("not whole numbers")
    found = counts.take(dtype, size)
    if abs(exponent) > 1100 or int(found.sum()) + zeros != powers[0]:
        raise ValueError("the counts do not add up")
    low, high = map(float, ends)
    return Distribution(
        exponent,
        first,
        found,
        zeros,
        nan,
        positive_inf,
        negative_inf,
        low,
        high,
        Moments(powers[0], *map(float, powers[1:])),
    )
