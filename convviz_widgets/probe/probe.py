"""The Probe: looks into a model's private replica, one forward pass for all layers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from convviz_widgets.errors import ConvVizError, InputError, ModelError
from convviz_widgets.probe.gradients import (
    Gradients,
    GradientTape,
    gradients_of,
    image_gradient_of,
)
from convviz_widgets.probe.hooks import Hooks
from convviz_widgets.probe.layers import LayerInfo
from convviz_widgets.probe.learned_layers import FirstPass, LearnedLayers, shape_or_kind
from convviz_widgets.probe.recording import Recording
from convviz_widgets.probe.replica import (
    Replica,
    private_replica,
    refuse_if_weights_are_ignored,
)
from convviz_widgets.probe.tape import ObservingTape, Tape


class Probe:
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
    observing : for an owner who runs `observe` alone and gives the random generators back. The
        model may draw random numbers in eval mode, the example is used whole, and where no layer
        runs, or the weights are ignored, `doubt` says so.

    Attributes
    ----------
    layers : what runs, in execution order.
    doubt : why the layers or the output may not be the model's; empty but for an observing probe.
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
        observing: bool = False,
    ) -> None:
        first = _checked_example(example_input)
        example = example_input if observing else first
        self._replica = Replica(model, device)
        self._hooks = Hooks(self._replica.module, may_draw=observing)
        self.forward_count = 0
        self.backward_count = 0
        with self._replica.plain_mode():
            self._learned = LearnedLayers(self._replica, self._hooks, example, model)
        self.layers: tuple[LayerInfo, ...] = self._learned.infos
        self._example_output: Any = self._learned.result
        self._learned.result = None
        self.doubt = ""
        try:
            _refuse_if_unfit(self._replica, self._run, self._learned, example)
        except ConvVizError as error:
            if not observing:
                raise
            self.doubt = str(error)
        self._first = FirstPass.of(self._learned, example) if keep_original else None
        self._learned.first = None
        if keep_original:
            self._replica.keep_original()

    @property
    def key(self) -> Hashable | None:
        """What `load` was last given; None before, and after a load that failed."""
        return self._replica.key

    @property
    def original(self) -> dict[str, Any] | None:
        """The state_dict that the model had when the probe was made, None if not kept."""
        return self._replica.original

    def take_example_output(self, example: Tensor) -> Any:
        """Return what the model puts out for the probe's example, and let go: it may be large.

        It is only to be read. A second time the model runs again.
        """
        result, self._example_output = self._example_output, None
        return self.call(nn.Module.__call__, example) if result is None else result

    def load(self, state_dict: Mapping[str, Any], key: Hashable | None = None) -> None:
        """Copy a checkpoint's values into the replica, after checking that all of them fit.

        Parameters
        ----------
        state_dict : its keys may carry the prefixes of torch.compile and DataParallel, or any one
            that all of them share ("model.", "net.").
        key : what `key` says from now on.

        Raises
        ------
        CheckpointError
            Names up to three missing and unexpected keys, or shapes; `key` is None afterwards.
        """
        if state_dict is not self._replica.original:
            self._first = None
        self._replica.load(state_dict, key)

    def restore(self, key: Hashable | None = None) -> None:
        """Load the weights that the model had when the probe was made."""
        self._replica.restore(key)

    def weight(self, layer: str) -> Tensor | None:
        """Return a copy of the layer's weight as it is loaded now, None without one."""
        with self._replica.plain_mode():
            return self._learned.copy_of("weight", layer)

    def bias(self, layer: str) -> Tensor | None:
        """Return a copy of the layer's bias as it is loaded now, None without one."""
        with self._replica.plain_mode():
            return self._learned.copy_of("bias", layer)

    def twin(self) -> Callable[[Tensor], Probe]:
        """Copy the replica; return what makes a probe of the copy for another thread.

        The copy is soon made, while nobody may look through this probe. The other takes an example
        input and runs the model, while anybody may.
        """
        device = self._replica.device
        copied = private_replica(self._replica.module, device)
        return lambda example: Probe(copied, example, device=device, keep_original=False)

    def record(
        self,
        images: Tensor,
        *,
        layers: Collection[str] | None = None,
        between: Callable[[], None] | None = None,
    ) -> Recording:
        """Return the activations of all layers, or of those named, from one forward pass.

        The pass is repeated, and counted again, only when a model overwrites in place what it left
        alone in every earlier pass.

        Parameters
        ----------
        images : (N, C, H, W), on any device; never changed.
        layers : keep these alone, to hold less memory over large batches.
        between : called after every layer; a BaseException that it raises ends the pass.

        Raises
        ------
        InputError
            The images do not fit the model: got, expected.
        ModelError
            The model raises.
        UnknownLayerError
            The model has no such layer.
        """
        for layer in layers or ():
            self._learned.origin(layer)
        first, self._first = self._first, None
        again = first is not None and first.is_of(images) and layers is None
        while True:
            if first is not None and again:
                (tape, result), again = (first.tape, first.result), False
            else:
                tape = self._learned.tape(layers)
                tape.between = between
                result = self._run(tape, images)
            self.forward_count += 1
            overwritten = tape.overwritten()
            if not overwritten:
                arranged = self._learned.arranged
                return Recording(
                    arranged(tape.outputs, "out"),
                    arranged(tape.inputs, "in"),
                    result,
                    self._learned.prefixes(tape.outputs),
                )
            self._learned.safe -= overwritten

    def backward(self, images: Tensor, loss: Callable[[Any], Tensor]) -> Gradients:
        """Return the gradients of ``loss(model(images))`` by outputs, weights, biases, images.

        Parameters
        ----------
        images : (N, C, H, W), floating.
        loss : takes the model's own output, returns a scalar tensor.
        """
        with self._replica.plain_mode(), torch.enable_grad():
            leaf, tape, result = self._run_with_gradients(images)
            weights = self._learned.parameters("weight")
            biases = self._learned.parameters("bias")
            gradients = gradients_of(loss(result), tape, leaf, weights, biases)
        self.backward_count += 1
        return replace(gradients, outputs=self._learned.arranged(gradients.outputs, "out"))

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
        of : takes layer → its output (N, C, ...), and the model's own output; returns the scalar.
        during : is entered for the backward pass alone, to change its rules.
        """
        with self._replica.plain_mode(), torch.enable_grad():
            leaf, tape, result = self._run_with_gradients(images)
            value = of(self._learned.arranged(tape.outputs, "out"), result)
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
        see : takes a layer's name and the first tensor that it returned, with the channels in
            dimension 1; must not change it.
        """
        learned = self._learned

        def observe(layer: str, output: Tensor) -> None:
            see(layer, learned.channels_first(output, (layer, "out")))

        tape = ObservingTape(self._hooks.names, containers=learned.origins, observe=observe)
        result = self._run(tape, images)
        self.forward_count += 1
        return result

    def call(self, function: Callable[[nn.Module, Tensor], Any], values: Tensor) -> Any:
        """Return ``function(replica, values)``: another way through the model than its forward.

        ``values`` are copied to the replica's device. Dropout is the identity; what draws random
        numbers raises `ModelError`.
        """
        with self._replica.plain_mode(), Tape(self._hooks.names):
            return function(self._replica.module, self._replica.own_copy(values))

    def _run(self, tape: Tape, images: Tensor) -> Any:
        """Return the model's output for a copy of the images, written down on a tape."""
        shape = self._learned.checked_shape(images)
        with self._replica.plain_mode():
            return self._hooks.run(tape, self._replica.own_copy(images), shape)

    def _run_with_gradients(self, images: Tensor) -> tuple[Tensor, GradientTape, Any]:
        shape = self._learned.checked_shape(images)
        if not images.is_floating_point():
            raise InputError(f"gradients need floating images, got {images.dtype}")
        leaf = self._replica.own_copy(images).requires_grad_()
        tape = GradientTape(self._hooks.names, containers=self._learned.origins)
        # A clone, because an in-place operation must not write into a leaf.
        return leaf, tape, self._hooks.run(tape, leaf.clone(), shape)


def _refuse_if_unfit(
    replica: Replica, run: Callable[[Tape, Tensor], Any], learned: LearnedLayers, example: Tensor
) -> None:
    """Raise a `ModelError` where no layer runs, or the output ignores the weights."""
    module = replica.module
    if not learned.infos:
        raise ModelError(f"no layer runs inside {type(module).__name__}: wrap it in nn.Sequential")
    with replica.plain_mode():
        refuse_if_weights_are_ignored(
            module, lambda images: run(learned.tape(()), images), replica.own_copy(example)
        )


def list_layers(model: nn.Module, example_input: Tensor) -> tuple[LayerInfo, ...]:
    """Return the layers that run for ``example_input``, in execution order.

    Leaf modules, functional activations, and those containers whose output no layer inside
    returned (a residual block that ends in the sum). The model is only read.

    Parameters
    ----------
    example_input : (N, C, H, W), as the model takes it.

    Raises
    ------
    ModelError
        The model cannot be copied, raises, or ignores its weights.
    InputError
        The images do not fit the model.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
    >>> for info in cvw.list_layers(model, torch.zeros(1, 1, 8, 8)):
    ...     print(info.name, info.kind, info.shape)
    0 Conv2d (4, 6, 6)
    1 ReLU (4, 6, 6)
    """
    return Probe(model, example_input, keep_original=False).layers


def _checked_example(example: Any) -> Tensor:
    """Return the first image as a batch of one."""
    if not isinstance(example, Tensor) or example.ndim < 2 or not len(example):
        raise InputError(f"expected an example input (N, C, H, W), got {shape_or_kind(example)}")
    return example[:1]
