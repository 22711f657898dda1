"""The layers of a model as one pass of an example taught them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from convviz_widgets.errors import ConvVizError, InputError, UnknownLayerError, unknown
from convviz_widgets.probe.axes import AxisTracer, arranged
from convviz_widgets.probe.hooks import Hooks
from convviz_widgets.probe.layers import LayerInfo, describe
from convviz_widgets.probe.recording import Recording
from convviz_widgets.probe.replica import Replica, memory_of, unwrapped
from convviz_widgets.probe.tape import ForwardTape, LearningTape, Origin, Site


class LearnedLayers:
    """What one pass of an example taught: which layers run, and which outputs are overwritten.

    Parameters
    ----------
    example : (N, C, H, W), images as the model takes them.
    model : the user's, which the replica must not share memory with.

    Attributes
    ----------
    infos : what runs, in execution order.
    result : what the model put out, until the probe takes it.
    origins : layer → where it comes from.
    safe : the places whose tensors no pass has overwritten so far.
    first : the tape of the pass and the model's output, until the probe takes them.
    """

    def __init__(self, replica: Replica, hooks: Hooks, example: Tensor, model: nn.Module) -> None:
        self._modules = hooks.names
        self._image_shape = tuple(example.shape[1:])
        images = replica.own_copy(example)
        original = memory_of(unwrapped(model))

        def learn(axes: AbstractContextManager[Any]) -> tuple[LearningTape, Any]:
            tape = LearningTape(self._modules, images=images, original=original)
            with axes:
                return tape, hooks.run(tape, images)

        axes = AxisTracer(images)
        found: tuple[LearningTape, Any] | None = None
        with suppress(ConvVizError):
            found = learn(axes)
        if found is None:  # what runs inside may bear no tracing; if not that, this raises it anew
            images = replica.own_copy(example)
            found = learn(nullcontext())
        tape, result = found
        self.result: Any = result
        self.safe: set[Site] = tape.safe_sites(memory_of(replica.module, attributes=True))
        self.first: tuple[LearningTape, Any] | None = (tape, result)
        _keep_freed_memory(Recording(tape.outputs, tape.inputs, result).nbytes)
        self.origins: dict[str, Origin] = {name: tape.origins[name] for name in tape.outputs}
        self._arrangements = {
            site: arranged(axes.dims_of(tensor), tensor.shape)
            for site, tensor in tape.sources.items()
        }
        self.infos: tuple[LayerInfo, ...] = tuple(
            describe(name, op, self.module(name), self._arrangements[name, "out"])
            for name, (_, op) in self.origins.items()
        )

    def arranged(
        self, tensors: Mapping[str, Tensor], side: Literal["in", "out"]
    ) -> dict[str, Tensor]:
        """Return layer → its tensor as (N, C, ...), whatever order the layer has."""
        return {
            layer: self.channels_first(tensor, (layer, side)) for layer, tensor in tensors.items()
        }

    def prefixes(self, outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return layer → its tokens that do not lie on the image, for the layers that have some."""
        found = {
            layer: self._arrangements[layer, "out"].prefix_tokens(tensor)
            for layer, tensor in outputs.items()
            if (layer, "out") in self._arrangements
        }
        return {layer: tensor for layer, tensor in found.items() if tensor is not None}

    def channels_first(self, tensor: Tensor, site: Site) -> Tensor:
        """Return a tensor as (N, C, ...); as it is where its channels are not known."""
        arrangement = self._arrangements.get(site)
        return tensor if arrangement is None else arrangement.channels_first(tensor)

    def checked_shape(self, images: Tensor) -> tuple[int, ...]:
        """Return the shape of one image, for images that have as many dimensions as it needs."""
        ndim = len(self._image_shape) + 1
        if not isinstance(images, Tensor) or images.ndim != ndim or not len(images):
            expected = ", ".join(map(str, self._image_shape))
            raise InputError(f"expected images (N, {expected}), got {shape_or_kind(images)}")
        return self._image_shape

    def origin(self, layer: str) -> Origin:
        """Return where a layer comes from, or say which layers there are."""
        if layer not in self.origins:
            raise UnknownLayerError(unknown("layer", layer, self.origins, "this model has"))
        return self.origins[layer]

    def module(self, layer: str) -> nn.Module | None:
        """Return the module that a layer is a call of, None for a functional activation."""
        name, op = self.origin(layer)
        return self._modules[name] if op is None else None

    def tape(self, layers: Collection[str] | None) -> ForwardTape:
        """Return a new tape that keeps all layers, or those named."""
        return ForwardTape(self._modules, safe=self.safe, layers=layers, containers=self.origins)

    def copy_of(self, parameter: str, layer: str) -> Tensor | None:
        """Return a copy of one parameter of a layer as it is loaded now, None without one."""
        value = getattr(self.module(layer), parameter, None)
        return value.clone() if isinstance(value, Tensor) else None

    def parameters(self, name: str) -> dict[str, Tensor]:
        """Return layer → its parameter of this name, for the layers that have one."""
        found = {layer: getattr(self.module(layer), name, None) for layer in self.origins}
        return {layer: value for layer, value in found.items() if isinstance(value, nn.Parameter)}


@dataclass(frozen=True)
class FirstPass:
    """The pass that taught the layers, and what went through it, until one is asked for."""

    example: Tensor
    tape: ForwardTape
    result: Any

    @classmethod
    def of(cls, learned: LearnedLayers, example: Tensor) -> FirstPass | None:
        """Return the pass, if all that it kept is as the layers put it out."""
        if learned.first is None or not learned.first[0].let_go():
            return None
        return cls(example.detach().clone(), *learned.first)

    def is_of(self, images: Tensor) -> bool:
        """Tell whether these are the images that went through."""
        return images.shape == self.example.shape and torch.equal(images, self.example)


def _keep_freed_memory(nbytes: int) -> None:
    """Let the C allocator keep the memory of one recording for the next.

    glibc hands free memory back to the system beyond twice the largest block that it saw freed (at
    most 32 MiB), and getting it again page by page costs up to a fifth of a forward. The block is
    never touched, so it costs nothing.
    """
    torch.empty(min(nbytes, 31 * 2**20), dtype=torch.uint8)


def shape_or_kind(value: Any) -> str:
    """Return the shape of a tensor, the class of anything else."""
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__
