"""The Probe: looks into a model's private replica, one forward pass for all layers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from convviz_widgets.errors import InputError
from convviz_widgets.instrument.forward_tape import ForwardTape
from convviz_widgets.instrument.gradient_tape import GradientTape
from convviz_widgets.instrument.gradients import gradients_of, image_gradient_of
from convviz_widgets.instrument.learned_model import LearnedModel
from convviz_widgets.instrument.observing_tape import ObservingTape
from convviz_widgets.instrument.recording import Gradients, Recording
from convviz_widgets.instrument.tape import Tape
from convviz_widgets.instrument.weight_check import refuse_if_weights_are_ignored

AnyTape = TypeVar("AnyTape", bound=Tape)


class Probe(LearnedModel):
    """Looks into a model without touching it.

    Everything runs on a private replica: a deep copy without the user's hooks, in eval mode, on
    its own device. No parameter, buffer, gradient, mode, hook or random state of the model given
    changes, whatever happens. A probe is not thread-safe: its owner holds the lock.

    Parameters
    ----------
    model : any ``nn.Module``; wrappers of torch.compile and DataParallel are looked through.
    example_input : (N, C, H, W), images as the model takes them; the first one is used.
    device : where the replica lives.
    keep_original : keep the weights of now for `restore`, at the price of one more copy of them.
    may_draw : let a model draw random numbers in eval mode; the caller gives the generators back.

    Attributes
    ----------
    layers : what runs, in execution order.
    classes : number of class scores, where the model puts out one row (N, K) of them, else None.
    key : what `load` was last given; None before, and after a load that failed.
    original : the state_dict that the model had when the probe was made, None if not kept.
    forward_count : passes run by `record`. The passes with which a new probe learns the layers and
        checks the model are not counted, nor those inside `backward`.
    backward_count : passes run by `backward`.

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
        may_draw: bool = False,
    ) -> None:
        super().__init__(model, example_input, device, may_draw=may_draw)
        self.forward_count = 0
        self.backward_count = 0
        with self._plain_mode():
            refuse_if_weights_are_ignored(
                self._replica, self._unrecorded, self._own_copy(example_input[:1])
            )
            self.original = copy.deepcopy(self._own) if keep_original else None

    def twin(self, example_input: Tensor) -> Probe:
        """Return a probe of a replica of its own, for another thread to look through."""
        return Probe(self._replica, example_input, device=self._device, keep_original=False)

    def record(self, images: Tensor, *, layers: Collection[str] | None = None) -> Recording:
        """Return the activations of all layers, or of those named, from one forward pass.

        The pass is repeated, and counted again, only when a model overwrites in place what it left
        alone in every earlier pass.

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
        UnknownLayerError
            The model has no such layer.
        """
        self._check_images(images)
        for layer in layers or ():
            self._origin(layer)
        with self._plain_mode():
            while True:
                tape = self._forward_tape(layers)
                result = self._wiring.run(tape, self._own_copy(images), self._image_shape)
                self.forward_count += 1
                overwritten = tape.overwritten()
                if not overwritten:
                    return Recording(tape.outputs, tape.inputs, result)
                self._safe -= overwritten

    def backward(self, images: Tensor, loss: Callable[[Any], Tensor]) -> Gradients:
        """Return the gradients of ``loss(model(images))`` by outputs, weights, biases, images.

        Parameters
        ----------
        images : (N, C, H, W), floating.
        loss : takes the model's own output, returns a scalar tensor.
        """
        with self._plain_mode(), torch.enable_grad():
            leaf, tape, result = self._run_with_gradients(images)
            weights, biases = self._parameters("weight"), self._parameters("bias")
            gradients = gradients_of(loss(result), tape, leaf, weights, biases)
        self.backward_count += 1
        return gradients

    def image_gradient(
        self,
        images: Tensor,
        of: Callable[[dict[str, Tensor], Any], Tensor],
        *,
        during: AbstractContextManager[Any] | None = None,
    ) -> Tensor:
        """Return the gradient by the images, (N, C, H, W), of a scalar of what the pass computed.

        Parameters
        ----------
        images : (N, C, H, W), floating.
        of : takes layer → its output (N, ...), and the model's own output; returns the scalar.
        during : is entered for the backward pass alone, to change its rules.
        """
        with self._plain_mode(), torch.enable_grad():
            leaf, tape, result = self._run_with_gradients(images)
            value = of(tape.outputs, result)
            with during or nullcontext():
                gradient = image_gradient_of(value, leaf)
        self.backward_count += 1
        return gradient

    def observe(self, images: Tensor, see: Callable[[str, Tensor], None]) -> Any:
        """Show the output of each layer while it is there, and return the model's own output.

        Nothing is kept, and nothing cloned, so that large batches fit.

        Parameters
        ----------
        images : (N, C, H, W), on any device; never changed.
        see : takes a layer's name and the first tensor that it returned; must not change it.
        """
        self._check_images(images)
        tape = ObservingTape(self._wiring.names, containers=self._origins, observe=see)
        with self._plain_mode():
            result = self._wiring.run(tape, self._own_copy(images), self._image_shape)
        self.forward_count += 1
        return result

    def follow(self, images: Tensor, tape: Callable[..., AnyTape]) -> AnyTape:
        """Return a tape of the caller's kind that one forward pass was written on.

        Parameters
        ----------
        images : (N, C, H, W), on any device; never changed.
        tape : makes it of the names of all modules and, by keyword, of the layers (containers) and
            of the copy of the images that the model will be given (images).
        """
        self._check_images(images)
        with self._plain_mode():
            own = self._own_copy(images)
            made = tape(self._wiring.names, containers=self._origins, images=own)
            self._wiring.run(made, own, self._image_shape)
        self.forward_count += 1
        return made

    def call(self, function: Callable[[nn.Module, Tensor], Any], values: Tensor) -> Any:
        """Return ``function(replica, values)``: another way through the model than its forward.

        ``values`` are copied to the replica's device. Dropout is the identity; what draws random
        numbers raises `ModelError`.
        """
        with self._plain_mode(), Tape(self._wiring.names):
            return function(self._replica, self._own_copy(values))

    def _forward_tape(self, layers: Collection[str] | None) -> ForwardTape:
        return ForwardTape(
            self._wiring.names, safe=self._safe, layers=layers, containers=self._origins
        )

    def _unrecorded(self, images: Tensor) -> Any:
        return self._wiring.run(self._forward_tape(()), self._own_copy(images))

    def _run_with_gradients(self, images: Tensor) -> tuple[Tensor, GradientTape, Any]:
        self._check_images(images)
        if not images.is_floating_point():
            raise InputError(f"gradients need floating images, got {images.dtype}")
        leaf = self._own_copy(images).requires_grad_()
        tape = GradientTape(self._wiring.names, containers=self._origins)
        # A clone, because an in-place operation must not write into a leaf.
        return leaf, tape, self._wiring.run(tape, leaf.clone(), self._image_shape)
