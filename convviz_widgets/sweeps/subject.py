"""Subject of a sweep: layers, checkpoints and data set, with hashes to tell them from others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from torch import Tensor

from convviz_widgets.checkpoints import label_at, number_at
from convviz_widgets.checkpoints.safetensors_file import tensor_bytes
from convviz_widgets.errors import InputError, UnknownLayerError, unknown
from convviz_widgets.images.reading import ModelInputs
from convviz_widgets.probe import LayerInfo

_FINGERPRINT_IMAGES = 16


@dataclass(frozen=True)
class Subject:
    """The layers, the checkpoints and the data set of a sweep.

    Attributes
    ----------
    layers : those swept, in execution order.
    steps : those of the checkpoints; () for the model as it was.
    weights : sha256 of each checkpoint's weights, or of the model's; "" of one not loaded yet.
    data : sha256 of the data set, see `data_fingerprint`.
    count : images in the data set.
    image_shape : (C, H, W).
    k : places in each channel's top list.
    """

    layers: tuple[LayerInfo, ...]
    steps: tuple[int, ...]
    weights: tuple[str, ...]
    data: str
    count: int
    image_shape: tuple[int, ...]
    k: int

    def joined(self, other: Subject) -> Subject:
        """Return what both are about; raise InputError where that differs, and say in what."""
        difference = self._difference(other)
        if difference:
            raise InputError(f"these results do not belong together: {difference}")
        pairs = zip(self.weights, other.weights, strict=True)
        return replace(self, weights=tuple(mine or theirs for mine, theirs in pairs))

    def with_weights(self, index: int, fingerprint: str) -> Subject:
        """Return the subject with the fingerprint of one checkpoint's weights noted.

        Raises InputError if another one is noted: what is known is about other weights.
        """
        if self.weights[index] not in ("", fingerprint):
            name = self._weights_name(index)
            raise InputError(f"cannot resume: the {name} are not those of the earlier result")
        weights = (*self.weights[:index], fingerprint, *self.weights[index + 1 :])
        return replace(self, weights=weights)

    def at(self, index: int) -> Subject:
        """Return the subject of one checkpoint alone."""
        here = slice(index, index + 1) if index >= 0 else slice(index, index + 1 or None)
        return replace(self, steps=self.steps[here], weights=self.weights[here])

    def layer(self, name: str) -> LayerInfo:
        """Return a layer, or say which there are."""
        known = {layer.name: layer for layer in self.layers}
        if name not in known:
            raise UnknownLayerError(unknown("layer", name, known, "this sweep has"))
        return known[name]

    def channels(self, layer: str) -> slice:
        """Return where the channels of a layer stand among those of all layers."""
        return self._slices[self.layer(layer).name]

    @cached_property
    def _slices(self) -> dict[str, slice]:
        return slices_of(self.layers)

    def _weights_name(self, index: int) -> str:
        return f"weights at {label_at(self.steps, index)}" if self.steps else "model's weights"

    def _difference(self, other: Subject) -> str:
        if self.layers != other.layers:
            mine, theirs = _names(self.layers), _names(other.layers)
            same_names = "of other shapes" if mine == theirs else f"{mine} and {theirs}"
            return f"the layers differ, {same_names}"
        if self.steps != other.steps:
            return f"the checkpoints differ, {_span(self.steps)} and {_span(other.steps)}"
        for index, pair in enumerate(zip(self.weights, other.weights, strict=True)):
            if "" not in pair and len(set(pair)) > 1:
                return f"the {self._weights_name(index)} differ"
        if (self.count, self.data) != (other.count, other.data):
            return f"the data sets differ, {self.count:,} and {other.count:,} images"
        return f"they keep the top {self.k} and {other.k}" if self.k != other.k else ""


def _names(layers: tuple[LayerInfo, ...]) -> str:
    names = [layer.name for layer in layers]
    return ", ".join(names[:3]) + (f", ... ({len(names)} in all)" if len(names) > 3 else "")


def _span(steps: tuple[int, ...]) -> str:
    if not steps:
        return "none"
    return f"{label_at(steps, 0)} to {number_at(steps, len(steps) - 1)} ({len(steps)})"


def slices_of(layers: tuple[LayerInfo, ...]) -> dict[str, slice]:
    """Return layer → its channels, those of all layers standing in a row."""
    slices, end = {}, 0
    for layer in layers:
        slices[layer.name] = slice(end, end := end + layer.shape[0])
    return slices


def weights_fingerprint(state_dict: Mapping[str, Any]) -> str:
    """Return the sha256 of all names, shapes and values of a state dict, in hex.

    In the order of the names: a file may have another one than the model.
    """
    names = sorted(name for name, value in state_dict.items() if isinstance(value, Tensor))
    return digest((name, state_dict[name]) for name in names)


def data_fingerprint(items: ModelInputs, groups: Tensor | None) -> str:
    """Return the sha256 of the number of images, of 16 of them and of their groups, in hex.

    The 16 are evenly spaced; all of them would take as long to read as the sweep itself.
    """
    count = len(items)
    chosen = sorted(
        {index * (count - 1) // (_FINGERPRINT_IMAGES - 1) for index in range(_FINGERPRINT_IMAGES)}
    )
    loaded = items.load(chosen)
    facts = [("count", repr(count)), ("shape", repr(items.example.shape))]
    tensors = {"images": loaded.images, "indices": loaded.indices, "groups": groups}
    return digest([*facts, *tensors.items()])


def digest(named: Iterable[tuple[str, Any]]) -> str:
    """Return the sha256 of names with their tensors, or other values as Python writes them."""
    sha = hashlib.sha256()
    for name, value in named:
        if isinstance(value, Tensor):
            header = f"{name} {value.dtype} {tuple(value.shape)}\n"
            sha.update(header.encode(errors="surrogatepass"))  # a name may be any string
            sha.update(tensor_bytes(value))
        else:
            sha.update(f"{name} {value!r}\n".encode(errors="surrogatepass"))
    return sha.hexdigest()
