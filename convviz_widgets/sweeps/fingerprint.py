"""Hashes by which results know what they are about."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from convviz_widgets.images.reading import Items
from convviz_widgets.probe import LayerInfo

_LOOKED_AT = 16


def weights_fingerprint(state_dict: Mapping[str, Any]) -> str:
    """Return the sha256 of all names, shapes and values of a state dict, in hex.

    In the order of the names: a file may have another one than the model.
    """
    names = sorted(name for name, value in state_dict.items() if isinstance(value, Tensor))
    return _digest((name, state_dict[name]) for name in names)


def layers_fingerprint(layers: Sequence[LayerInfo]) -> str:
    """Return the sha256 of the layers' names, kinds and shapes, in hex."""
    return _digest((layer.name, repr(layer)) for layer in layers)


def data_fingerprint(items: Items, groups: Tensor | None) -> str:
    """Return the sha256 of the number of images, of 16 spread over them and their groups, in hex.

    All of them would take as long to read as the sweep itself.
    """
    count = len(items)
    chosen = sorted({index * (count - 1) // (_LOOKED_AT - 1) for index in range(_LOOKED_AT)})
    loaded = items.load(chosen)
    facts = [("count", repr(count)), ("shape", repr(items.example.shape))]
    tensors = {"images": loaded.images, "indices": loaded.indices, "groups": groups}
    return _digest([*facts, *tensors.items()])


def _digest(named: Any) -> str:
    sha = hashlib.sha256()
    for name, value in named:
        if isinstance(value, Tensor):
            sha.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            sha.update(_bytes(value))
        else:
            sha.update(f"{name} {value!r}\n".encode())
    return sha.hexdigest()


def _bytes(tensor: Tensor) -> memoryview:
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    return plain.reshape(-1).view(torch.uint8).numpy().data
