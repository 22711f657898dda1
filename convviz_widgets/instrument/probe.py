"""The Probe: looks into a model's private replica, one forward pass for all layers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Container, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import type_before_parametrizations

from ..errors import InputError, ModelError, UnknownLayerError, unknown
from .failures import explain
from .fitting import load_checked
from .forward_tape import ForwardTape, Site
from .gradient_tape import GradientTape
from .gradients import gradients_of
from .layers import LayerInfo
from .learning_tape import LearningTape
from .recording import Gradients, Recording, storage_of
from .replica import plain_keys, private_replica, unwrapped
from .tape import Origin, Tape
from .weight_check import refuse_if_weights_are_ignored
from .wiring import Wiring


class Probe:
    """Looks into a model without touching it.

    Everything runs on a private replica: a deep copy without the user's hooks, in eval mode, on
    its own device. No parameter, buffer, gradient, mode, hook or random state of the model given
    changes, whatever happens. A probe is not thread-safe; its owner holds the lock.

    Parameters
    ----------
    model : any ``nn.Module``; wrappers of torch.compile and DataParallel are looked through.
    example_input : (N, C, H, W), images as the model takes them; the first one is used.
    device : where the replica lives.
    keep_original : keep the weights of now for `restore`, at the price of one more copy of them.

    Raises
    ------
    ModelError
        The model cannot be copied, raises, draws random numbers, or ignores its weights.
    InputError
        The images do not fit the model.
    """

    def __init__(
        self,
        model: nn.Module,
        example_input: Tensor,
        *,
        device: str | torch.device = "cpu",
        keep_original: bool = True,
    ) -> None:
        self.key: Hashable | None = None
        self.forward_count = 0
        self.backward_count = 0
        self._device = torch.device(device)
        self._image_shape: tuple[int, ...] | None = None
        self._image_ndim = _checked_example(example_input).ndim
        with _calm():
            self._replica = private_replica(model, self._device)
            self._wiring = Wiring(self._replica)
            self._own = self._replica.state_dict()
            self._origins: dict[str, Origin] = {}
            self._containers: frozenset[str] = frozenset()
            self._safe: set[Site] = set()
            self.layers = self._learn(example_input[:1], _foreign(model))
            refuse_if_weights_are_ignored(self._replica, self._silent_pass, example_input[:1])
        self.original = _cloned(self._own) if keep_original else None

    @property
    def classes(self) -> int | None:
        """Number of class scores, where the model puts out one row (N, K) of them; else None."""
        first = self._first_result
        return first.shape[1] if isinstance(first, Tensor) and first.ndim == 2 else None

    def load(self, state_dict: Mapping[str, Any], key: Hashable | None = None) -> None:
        """Copy a checkpoint's values into the replica, after checking that all of them fit.

        Parameters
        ----------
        state_dict : its keys may carry the prefixes of torch.compile and DataParallel.
        key : what `key` says from now on.

        Raises
        ------
        CheckpointError
            Names up to three missing and unexpected keys, or shapes; ``key`` is None afterwards.
        """
        self.key = None
        with _calm():
            load_checked(self._replica, plain_keys(state_dict, self._own), self._own)
        self.key = key

    def restore(self, key: Hashable | None = None) -> None:
        """Load the weights that the model had when the probe was made."""
        if self.original is None:
            raise InputError(
                "this probe keeps no original weights: make it with keep_original=True"
            )
        self.load(self.original, key)

    def record(self, images: Tensor, *, layers: Container[str] | None = None) -> Recording:
        """Return the activations of all layers, or of those named, from one forward pass.

        Parameters
        ----------
        images : (N, C, H, W), on any device; never changed.
        layers : keep these alone, to hold less memory over large batches.

        Raises
        ------
        InputError
            The images do not fit the model: got, expected.
        ModelError
            The model raises.
        """
        self._check_images(images)
        with _calm():
            while True:
                tape = ForwardTape(
                    self._wiring.names, safe=self._safe, layers=layers, containers=self._containers
                )
                result = self._run(tape, self._own_copy(images))
                self.forward_count += 1
                overwritten = tape.overwritten()
                if not overwritten:
                    return Recording(tape.outputs, tape.inputs, result)
                self._safe -= overwritten

    def backward(self, images: Tensor, loss: Callable[[Any], Tensor]) -> Gradients:
        """Return the gradients of ``loss(model(images))`` by every layer's output and weights.

        Parameters
        ----------
        images : (N, C, H, W).
        loss : takes the model's own output, returns a scalar tensor.
        """
        self._check_images(images)
        with _calm(), torch.enable_grad():
            leaf = self._own_copy(images).requires_grad_()
            tape = GradientTape(self._wiring.names, containers=self._containers)
            result = self._run(tape, leaf.clone())  # an in-place op cannot write into a leaf
            gradients = gradients_of(
                loss(result), tape, leaf, self._owned("weight"), self._owned("bias")
            )
        self.backward_count += 1
        return gradients

    def weight(self, layer: str) -> Tensor | None:
        """Return a copy of the layer's weight as it is loaded now, None without one."""
        return self._parameter(layer, "weight")

    def bias(self, layer: str) -> Tensor | None:
        """Return a copy of the layer's bias as it is loaded now, None without one."""
        return self._parameter(layer, "bias")

    def _parameter(self, layer: str, name: str) -> Tensor | None:
        module = self._module(layer)
        value = getattr(module, name, None)
        return value.detach().clone() if isinstance(value, Tensor) else None

    def _owned(self, name: str) -> dict[str, Tensor]:
        found = {
            layer: getattr(self._module(layer), "_parameters", {}).get(name)
            for layer in self._origins
        }
        return {layer: parameter for layer, parameter in found.items() if parameter is not None}

    def _module(self, layer: str) -> nn.Module | None:
        if layer not in self._origins:
            raise UnknownLayerError(unknown("layer", layer, self._origins, "this model has"))
        name, op = self._origins[layer]
        return self._wiring.names[name] if op is None else None

    def _learn(self, image: Tensor, original: dict[int, str]) -> tuple[LayerInfo, ...]:
        images = self._own_copy(image)
        tape = LearningTape(self._wiring.names, images=images, original=original)
        self._first_result = self._run(tape, images)
        self._image_shape = tuple(image.shape[1:])
        outputs = tape.outputs
        if not outputs:
            raise ModelError(
                f"no layer ran inside {type(self._replica).__name__}: nothing to look at but its "
                "output; wrap it in nn.Sequential"
            )
        own = {storage_of(tensor) for tensor in self._state()}
        self._safe = tape.safe_sites(own)
        self._origins = {layer: tape.origins[layer] for layer in outputs}
        self._containers = frozenset(self._origins)
        return tuple(self._info(layer, value) for layer, value in outputs.items())

    def _info(self, layer: str, value: Tensor) -> LayerInfo:
        name, op = self._origins[layer]
        module = self._module(layer)
        weight = getattr(module, "weight", None)
        return LayerInfo(
            name=layer,
            kind=op or type_before_parametrizations(self._wiring.names[name]).__name__,
            shape=tuple(value.shape[1:]),
            weight_shape=tuple(weight.shape) if isinstance(weight, Tensor) else None,
            groups=getattr(module, "groups", 1),
        )

    def _state(self) -> list[Tensor]:
        return [*self._replica.parameters(), *self._replica.buffers()]

    def _check_images(self, images: Tensor) -> None:
        shape = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        if not isinstance(images, Tensor) or images.ndim != self._image_ndim or not len(images):
            raise InputError(f"expected images (N, {_shown(self._image_shape)}), got {shape}")

    def _silent_pass(self, images: Tensor) -> Any:
        return self._run(ForwardTape(self._wiring.names, layers=()), self._own_copy(images))

    def _own_copy(self, images: Tensor) -> Tensor:
        return images.detach().to(self._device, copy=True)  # a first in-place op writes into it

    def _run(self, tape: Tape, images: Tensor) -> Any:
        shape = tuple(images.shape[1:])
        try:
            with self._wiring.running(tape):
                return self._replica(images)
        except Exception as error:
            raise explain(error, shape, self._image_shape, self._wiring.names) from error


def _checked_example(example: Tensor) -> Tensor:
    if not isinstance(example, Tensor) or example.ndim < 2 or not len(example):
        got = tuple(example.shape) if isinstance(example, Tensor) else type(example).__name__
        raise InputError(f"expected an example input (N, C, H, W), got {got}")
    return example


def _foreign(model: nn.Module) -> dict[int, str]:
    inner = unwrapped(model)
    return {
        id(tensor): name for name, tensor in [*inner.named_parameters(), *inner.named_buffers()]
    }


def _cloned(state: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value.detach().clone() if isinstance(value, Tensor) else copy.deepcopy(value)
        for key, value in state.items()
    }


def _shown(shape: tuple[int, ...] | None) -> str:
    return ", ".join(map(str, shape or ()))


@contextmanager
def _calm() -> Iterator[None]:
    """Run in plain eager mode, whatever the caller's thread has switched on."""
    with torch.inference_mode(False), torch.no_grad(), torch.autocast("cpu", enabled=False):
        yield
