"""Weights in several files with an index that says which tensor is where, as Hugging Face saves."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from convviz_widgets.checkpoints.bounds import ReadLimits, read_regular
from convviz_widgets.errors import CheckpointError

INDEX = ".index.json"
_PART = re.compile(r"(?P<stem>.+)-[0-9]{5}-of-(?P<count>[0-9]{5})(?P<suffix>\.safetensors|\.bin)")


@dataclass(frozen=True)
class ShardName:
    """The file name of one part: "model-00001-of-00003.safetensors".

    Parameters
    ----------
    index : name of the index that belongs to it.
    count : how many parts there are, as the name says.
    """

    index: str
    count: int

    @classmethod
    def of(cls, name: str) -> ShardName | None:
        """Return what a name says, or None where it is not that of a part."""
        found = _PART.fullmatch(name)
        return found and cls(f"{found['stem']}{found['suffix']}{INDEX}", int(found["count"]))


def parts_of(index: str, names: Iterable[str]) -> list[str]:
    """Return which of some names are those of an index' parts.

    >>> parts_of("model.bin.index.json", ["model-00001-of-00002.bin", "model.bin"])
    ['model-00001-of-00002.bin']
    """
    found = ((name, ShardName.of(name)) for name in names)
    return sorted(name for name, part in found if part is not None and part.index == index)


def load_shards(
    index: Path, load: Callable[[bytes, ReadLimits], object], limits: ReadLimits
) -> dict[str, Tensor]:
    """Return the tensors of all parts that an index names.

    Parameters
    ----------
    index : the JSON file; nothing is read but what lies beside it.
    load : returns what the bytes of one part hold.
    limits : of the index' bytes, of the parts' bytes together, of the tensors.

    Raises
    ------
    CheckpointError
        For a part that is missing, lies elsewhere, is too large, or lacks a tensor.
    """
    by_part = _checked(json.loads(read_regular(index, limits.header_bytes)), limits)
    left = limits.file_bytes
    tensors: dict[str, Tensor] = {}
    for part, names in by_part.items():
        path = index.parent / part
        if not path.exists():
            raise CheckpointError(f"lacks its part {part!r}")
        data = read_regular(path, left)
        left -= len(data)
        tensors |= _tensors(load(data, limits), names, part)
    return tensors


def _checked(content: object, limits: ReadLimits) -> dict[str, list[str]]:
    """Return the parts that an index names, with the names of their tensors."""
    places = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(places, dict) or not places:
        raise CheckpointError("is no index of weights: it has no 'weight_map'")
    if len(places) > limits.tensors:
        raise CheckpointError(f"has {len(places):,} tensors; at most {limits.tensors:,} are read")
    by_part: dict[str, list[str]] = defaultdict(list)
    for name, part in places.items():
        if not isinstance(part, str) or not _is_beside(part):
            raise CheckpointError(f"names {str(part)[:80]!r}, which is no file beside it")
        by_part[part].append(name)
    return by_part


def _is_beside(part: str) -> bool:
    is_plain = part == os.path.basename(part) and not set(part) & set("/\\:\0")
    return is_plain and part not in ("", ".", "..") and not part.endswith(INDEX)


def _tensors(content: object, names: list[str], part: str) -> dict[str, Tensor]:
    found = content if isinstance(content, dict) else {}
    for name in names:
        if not isinstance(found.get(name), Tensor):
            raise CheckpointError(f"has no {name[:80]!r} in its part {part!r}")
    return {name: found[name] for name in names}
