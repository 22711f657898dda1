"""A sweep in one safetensors file: tensors, and JSON for the rest."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from dataclasses import fields as fields_of
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convviz_widgets.checkpoints import Steps, label_at, read_checkpoint, unit_of, write_checkpoint
from convviz_widgets.errors import CheckpointError
from convviz_widgets.probe import LayerInfo, ReceptiveFields
from convviz_widgets.probe.receptive import Axis, SlidingWindow
from convviz_widgets.sweeps.part import Part
from convviz_widgets.sweeps.plan import Coverage
from convviz_widgets.sweeps.statistics import Statistics, Sums
from convviz_widgets.sweeps.subject import Subject, digest
from convviz_widgets.sweeps.top import Top

_FORMAT = "convviz sweep 1"
_ABOUT = "about"

StoredSweep = tuple[Subject, tuple[Part, ...], ReceptiveFields | None, bool]
"""Subject, parts, receptive fields and whether it is a series: see `SweepResult`."""


def file_of(path: str | os.PathLike[str]) -> Path:
    """Return the file that a result is kept in: its name ends in .safetensors."""
    path = Path(path)
    return path if path.suffix == ".safetensors" else path.with_name(path.name + ".safetensors")


def write_sweep(
    path: str | os.PathLike[str],
    subject: Subject,
    parts: tuple[Part, ...],
    fields: ReceptiveFields | None,
    *,
    series: bool,
) -> None:
    """Write what a `SweepResult` holds, complete or not at all."""
    tensors = _stacked(parts)
    about = {
        "format": _FORMAT,
        "sha256": tensors_digest(tensors),
        "subject": asdict(subject),
        "unit": unit_of(subject.steps),
        "labels": [label_at(subject.steps, index) for index in range(len(subject.steps))],
        "series": series,
        "parts": [
            {"spans": part.coverage.spans, "failures": list(part.failures.items())}
            for part in parts
        ],
        "fields": None if fields is None else _plain_fields(fields),
    }
    text = torch.frombuffer(bytearray(json.dumps(about).encode()), dtype=torch.uint8)
    write_checkpoint(file_of(path), {_ABOUT: text, **tensors})


def read_sweep(path: str | os.PathLike[str]) -> StoredSweep:
    """Return what a `SweepResult` holds; the file may be anything."""
    file = file_of(path)
    tensors = read_checkpoint(file)
    try:
        about = json.loads(bytes(tensors.pop(_ABOUT).numpy()))
        if about["format"] != _FORMAT:
            raise CheckpointError(f"{file.name}: is of another format, {about['format']!r:.60}")
        if about["sha256"] != tensors_digest(tensors):
            raise CheckpointError(f"{file.name}: is not what was written: its sha256 differs")
        return _stored(about, tensors)
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise CheckpointError(f"{file.name}: is no result of a sweep") from error


def _stored(about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> StoredSweep:
    subject = _named(_subject(about["subject"]), about)
    channels = sum(layer.shape[0] for layer in subject.layers)
    sizes = torch.cat([torch.tensor([math.prod(i.shape[1:])] * i.shape[0]) for i in subject.layers])
    if not (tensors["top_positions"] < sizes[:, None]).all():
        raise ValueError("positions outside the maps")
    parts = tuple(
        Part(
            _statistics(tensors, index, channels, subject.k),
            Coverage.of((int(start), int(stop)) for start, stop in facts["spans"]),
            {int(image): str(line) for image, line in facts["failures"]},
        )
        for index, facts in enumerate(about["parts"])
    )
    if len(parts) != len(subject.weights) or len(parts) != max(1, len(subject.steps)):
        raise ValueError("as many parts as checkpoints")
    kept = about["fields"]
    seen = None if kept is None else _fields(kept, subject.image_shape)
    return subject, parts, seen, bool(about["series"])


def _stacked(parts: tuple[Part, ...]) -> dict[str, Tensor]:
    """Return all tensors by name, with a leading axis for the checkpoints."""
    each = [_tensors(part.statistics) for part in parts]
    return {name: torch.stack([tensors[name] for tensors in each]) for name in each[0]}


def _tensors(statistics: Statistics) -> dict[str, Tensor]:
    sums, top = statistics.sums, statistics.top
    named = {field.name: getattr(sums, field.name) for field in fields_of(Sums)}
    named |= {"bins": statistics.counts, "top_keys": top.keys, "top_positions": top.positions}
    return named if top.groups is None else {**named, "top_groups": top.groups}


def _statistics(tensors: Mapping[str, Tensor], index: int, channels: int, k: int) -> Statistics:
    expected = _tensors(Statistics.empty(channels, k, grouped="top_groups" in tensors))
    found = {name: tensors[name][index] for name in expected}
    for name, like in expected.items():
        if found[name].shape != like.shape or found[name].dtype != like.dtype:
            raise ValueError(f"{name} does not fit")
    top = Top(found.pop("top_keys"), found.pop("top_positions"), found.pop("top_groups", None))
    return Statistics(counts=found.pop("bins"), top=top, sums=Sums(**found))


def _subject(facts: Mapping[str, Any]) -> Subject:
    layers = (
        LayerInfo(
            str(layer["name"]),
            str(layer["kind"]),
            _whole(layer["shape"]),
            None if layer["weight_shape"] is None else _whole(layer["weight_shape"]),
            int(layer["groups"]),
            1 if layer.get("channel_axis", 1) == 1 else -1,
            int(layer.get("prefix_tokens", 0)),
        )
        for layer in facts["layers"]
    )
    return Subject(
        layers=tuple(layers),
        steps=_whole(facts["steps"]),
        weights=tuple(map(str, facts["weights"])),
        data=str(facts["data"]),
        count=int(facts["count"]),
        image_shape=_whole(facts["image_shape"]),
        k=int(facts["k"]),
    )


def _named(subject: Subject, about: Mapping[str, Any]) -> Subject:
    """Return the subject with the names of its checkpoints, if they were written down."""
    if "labels" not in about:
        return subject
    labels = [str(label) for label in about["labels"]]
    if len(labels) != len(subject.steps):
        raise ValueError("as many labels as checkpoints")
    return replace(subject, steps=Steps(subject.steps, str(about["unit"]), labels))


def _plain_fields(known: ReceptiveFields) -> dict[str, Any]:
    return {
        layer: None
        if field is None
        else [
            {
                "dim": axis.dim,
                "low": axis.low.tolist(),
                "high": axis.high.tolist(),
                "window": None if axis.window is None else list(asdict(axis.window).values()),
            }
            for axis in field
        ]
        for layer, field in known.fields.items()
    }


def _fields(plain: Mapping[str, Any], image_shape: tuple[int, ...]) -> ReceptiveFields:
    def axis(facts: Mapping[str, Any]) -> Axis:
        low, high = (np.array(facts[name], dtype=np.int64) for name in ("low", "high"))
        dim, window = facts["dim"], facts["window"]
        known = None if window is None else SlidingWindow(*_whole(window))
        return Axis(None if dim is None else int(dim), low, high, known)

    seen = {
        layer: None if field is None else tuple(map(axis, field)) for layer, field in plain.items()
    }
    return ReceptiveFields(image_shape, seen)


def _whole(values: Any) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the sha256 that tells whether the tensors of a file are what was written, in hex."""
    return digest(sorted(tensors.items()))
