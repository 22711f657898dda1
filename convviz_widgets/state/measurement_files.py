"""Measurements on disk, beside the checkpoints that they were made of."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from convviz_widgets.checkpoints.listing import StoredItem
from convviz_widgets.checkpoints.regular_file import read_regular
from convviz_widgets.errors import CheckpointError
from convviz_widgets.instrument import AnswerFacts, FilterFacts, Measurement
from convviz_widgets.state.job import Job
from convviz_widgets.tensors import Distribution, Moments

FOLDER = ".convviz-history"
SUFFIX = ".measurement"
FORMAT = 2
DIGEST = 32
FILE_BYTES = 2**25
CONTENT_BYTES = 2**26
"""A file, and what it expands to, may be so large; a larger one was not written by this module."""


class MeasurementFiles:
    """Reads and writes measurements of checkpoints that are files.

    A file starts with the sha256 of the rest, which is compressed: one line of JSON, then the
    counts. Whatever is wrong with it, it counts as missing. It names the checkpoint's file, and its
    sha256 or else its size and time, so that it is not taken for that of one that has replaced it.
    """

    def __init__(self) -> None:
        self.problem = ""
        """One line when a folder could not be written."""

    def read(self, job: Job, fingerprint: str) -> Measurement | None:
        """Return what was written for this checkpoint; None where there is nothing sound."""
        path = place_of(job, fingerprint)
        if path is None:
            return None
        try:
            return _unpacked(read_regular(path, FILE_BYTES), _identity(job))
        except (OSError, CheckpointError, ValueError, KeyError, TypeError, zlib.error):
            return None
        except (OverflowError, RecursionError, MemoryError):  # planted by a stranger
            return None

    def write(self, job: Job, fingerprint: str, measured: Measurement) -> bool:
        """Write for later sessions; return whether that was possible."""
        path = place_of(job, fingerprint)
        if path is None or self.problem:
            return False
        temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(_packed(measured, _identity(job)))
            temporary.replace(path)
        except OSError as error:
            self.problem = f"kept in memory only: {path.parent.parent} {error.strerror or error}"
            with suppress(OSError):
                temporary.unlink()
            return False
        return True


def place_of(job: Job, fingerprint: str) -> Path | None:
    """Return the file for a job; None where the checkpoint is no file or the model is unknown."""
    key = job.entry.key
    if not isinstance(key, StoredItem) or not fingerprint:
        return None
    if job.before is not None and not isinstance(job.before.key, StoredItem):
        return None
    name = hashlib.sha256(f"{job.part}\n{os.path.basename(key.path)}".encode()).hexdigest()[:32]
    return Path(key.path).parent / FOLDER / fingerprint[:16] / f"{name}{SUFFIX}"


def _identity(job: Job) -> list[Any]:
    keys = [entry.key for entry in (job.entry, job.before) if entry is not None]
    files = [key for key in keys if isinstance(key, StoredItem)]
    return [FORMAT, job.part, *([Path(f.path).name, *f.identity] for f in files)]


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
        filters={str(layer): _filter_facts(*row) for layer, *row in header["filters"]},
        answers=None if header["answers"] is None else _answer_facts(*header["answers"]),
        loss=float(header["loss"]),
    )


def _filter_facts(share: Any, count: Any, *rest: Any) -> FilterFacts:
    return FilterFacts(float(share), int(count), *map(float, rest))


def _answer_facts(
    images: Any,
    commonest: Any,
    share: Any,
    label_share: Any,
    pictures: Any,
    chroma: Any,
    contrast: Any,
    palest: Any,
) -> AnswerFacts:
    return AnswerFacts(
        int(images),
        None if commonest is None else int(commonest),
        float(share),
        float(label_share),
        int(pictures),
        float(chroma),
        float(contrast),
        None if palest is None else int(palest),
    )


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
