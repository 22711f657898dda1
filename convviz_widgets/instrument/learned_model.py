"""LearnedModel: a replica whose layers are known from one pass of an example through it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from convviz_widgets.errors import InputError, ModelError, UnknownLayerError, unknown
from convviz_widgets.instrument.forward_tape import Site
from convviz_widgets.instrument.layers import LayerInfo, describe
from convviz_widgets.instrument.learning_tape import LearningTape
from convviz_widgets.instrument.loaded_model import LoadedModel
from convviz_widgets.instrument.recording import Memory, Recording
from convviz_widgets.instrument.replica import memory_of, unwrapped
from convviz_widgets.instrument.tape import Origin


class LearnedModel(LoadedModel):
    """Knows which layers run, which of their outputs are overwritten, and their parameters.

    Parameters
    ----------
    model : is only read.
    example : (N, C, H, W), images as the model takes them; the first one is used.
    device : where the replica lives.
    may_draw : whether random functions may draw; else they raise.

    Attributes
    ----------
    layers : what runs, in execution order.
    classes : number of class scores, where the model puts out one row (N, K) of them, else None.
    """

    def __init__(
        self, model: nn.Module, example: Tensor, device: str | torch.device, *, may_draw: bool
    ) -> None:
        self._image_shape = _image_shape(example)
        super().__init__(model, device, may_draw=may_draw)
        with self._plain_mode():
            self._learn(example[:1], memory_of(unwrapped(model)))

    def weight(self, layer: str) -> Tensor | None:
        """Return a copy of the layer's weight as it is loaded now, None without one."""
        return self._copy_of("weight", layer)

    def bias(self, layer: str) -> Tensor | None:
        """Return a copy of the layer's bias as it is loaded now, None without one."""
        return self._copy_of("bias", layer)

    def _learn(self, images: Tensor, original: Mapping[Memory | None, str]) -> None:
        images = self._own_copy(images)
        tape = LearningTape(self._wiring.names, images=images, original=original)
        result = self._wiring.run(tape, images)
        self.classes: int | None = _class_count(result)
        if not tape.outputs:
            raise ModelError(
                f"no layer runs inside {type(self._replica).__name__}: wrap it in nn.Sequential"
            )
        self._safe: set[Site] = tape.safe_sites(memory_of(self._replica, attributes=True))
        _keep_freed_memory(Recording(tape.outputs, tape.inputs, result).nbytes)
        self._origins: dict[str, Origin] = {name: tape.origins[name] for name in tape.outputs}
        self.layers: tuple[LayerInfo, ...] = tuple(
            describe(name, self._origins[name][1], self._module(name), output)
            for name, output in tape.outputs.items()
        )

    def _check_images(self, images: Tensor) -> None:
        ndim = len(self._image_shape) + 1
        if not isinstance(images, Tensor) or images.ndim != ndim or not len(images):
            expected = ", ".join(map(str, self._image_shape))
            raise InputError(f"expected images (N, {expected}), got {_got(images)}")

    def _origin(self, layer: str) -> Origin:
        if layer not in self._origins:
            raise UnknownLayerError(unknown("layer", layer, self._origins, "this model has"))
        return self._origins[layer]

    def _module(self, layer: str) -> nn.Module | None:
        name, op = self._origin(layer)
        return self._wiring.names[name] if op is None else None

    def _copy_of(self, parameter: str, layer: str) -> Tensor | None:
        with self._plain_mode():
            value = getattr(self._module(layer), parameter, None)
            return value.clone() if isinstance(value, Tensor) else None

    def _parameters(self, name: str) -> dict[str, Tensor]:
        modules = {layer: self._module(layer) for layer in self._origins}
        found = {layer: getattr(module, name, None) for layer, module in modules.items()}
        return {layer: value for layer, value in found.items() if isinstance(value, nn.Parameter)}


def _image_shape(example: Any) -> tuple[int, ...]:
    if not isinstance(example, Tensor) or example.ndim < 2 or not len(example):
        raise InputError(f"expected an example input (N, C, H, W), got {_got(example)}")
    return tuple(example.shape[1:])


def _keep_freed_memory(nbytes: int) -> None:
    """Let the C allocator keep the memory of one recording for the next.

    glibc hands free memory back to the system beyond twice the largest block that it saw freed (at
    most 32 MiB), and getting it again page by page costs up to a fifth of a forward. The block is
    never touched, so it costs nothing.
    """
    torch.empty(min(nbytes, 31 * 2**20), dtype=torch.uint8)


def _class_count(result: Any) -> int | None:
    return result.shape[1] if isinstance(result, Tensor) and result.ndim == 2 else None


def _got(value: Any) -> str:
    return str(tuple(value.shape)) if isinstance(value, Tensor) else type(value).__name__
