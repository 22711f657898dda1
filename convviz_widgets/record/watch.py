"""ActivationWatch: activation statistics and outputs for a few images, at each checkpoint."""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from convviz_widgets.errors import InputError, ModelError
from convviz_widgets.probe import Probe
from convviz_widgets.probe.replica import device_of, unwrapped
from convviz_widgets.tensors import summary

_MOST_IMAGES = 64

_HIDDEN = "the model is TorchScript, which hides its layers: none of those is recorded"


class ActivationWatch:
    """Statistics of each layer's output, and the model's own, computed in a private copy of it.

    The layers are those of `list_layers`: modules, functional activations such as ``F.relu``, and
    blocks that end in a sum. Per layer: mean, standard deviation and share of exact zeros over all
    images and positions, and the share of channels that are zero everywhere on every image. The
    copy runs in eval mode on the model's device, with the random number generators given back.
    A model that hides its layers, or whose output ignores its weights, is warned of once, and what
    there is to see of it is measured.

    Parameters
    ----------
    model : only read.
    images : float tensor (N, C, H, W), or an image set with ``batch(indices)``; at most 64 are
        used.

    Raises
    ------
    InputError
        For images that are neither, or none.
    ModelError
        When the model cannot be copied, or does not take the images.
    """

    def __init__(self, model: nn.Module, images: Any) -> None:
        self._model = model = unwrapped(model)
        self._inputs = _inputs(images)
        self._device = device_of(model)
        # A probe looks at what runs inside a model, so what shows nothing inside is put inside one.
        is_script = isinstance(model, torch.jit.ScriptModule)
        self._prefix = "0." if is_script or not any(model.children()) else ""
        self._probe = self._probe_of(nn.Sequential(model) if self._prefix else model)
        if doubt := _HIDDEN if is_script else self._probe.doubt:
            warnings.warn(f"{doubt}; its outputs are recorded all the same", stacklevel=3)
        self.output: Tensor | None = None
        """What the model put out when it was last measured (N, ...); None for no tensor."""

    def measure(self) -> dict[str, float]:
        """Return tag to value for the weights that the model has now.

        Raises
        ------
        ModelError
            In one line, when the model does not take the images.
        CheckpointError
            When the model has other parameters than at first.
        """
        measured: dict[str, float] = {}

        def see(layer: str, output: Tensor) -> None:
            if output.dim() >= 2:
                named = layer[len(self._prefix) :]
                measured.update(_statistics(named, output, layer not in unknown))

        layers = self._probe.layers
        unknown = {info.name for info in layers if not info.has_channels or info.prefix_tokens}
        weights = self._model.state_dict()
        self._probe.load({self._prefix + name: value for name, value in weights.items()})
        with self._generators_given_back():
            output = self._probe.observe(self._inputs, see)
        has_rows = isinstance(output, Tensor) and output.dim() > 0
        self.output = output if has_rows and len(output) == len(self._inputs) else None
        return measured

    def _probe_of(self, model: nn.Module) -> Probe:
        # One image takes least memory; a model of a fixed number of images needs all of them.
        with suppress(InputError, ModelError):
            return self._learn(model, self._inputs[:1])
        try:
            return self._learn(model, self._inputs)
        except InputError as error:
            shape = tuple(self._inputs.shape)
            raise ModelError(f"the model raised on images {shape}: {error}") from error

    def _learn(self, model: nn.Module, example: Tensor) -> Probe:
        with self._generators_given_back():
            return Probe(model, example, device=self._device, keep_original=False, observing=True)

    def _generators_given_back(self) -> Any:
        return torch.random.fork_rng([self._device] if self._device.type == "cuda" else [])


def _statistics(layer: str, output: Tensor, has_channels: bool) -> dict[str, float]:
    """Return tag to value for an output (N, C, ...), or one whose channels are not known."""
    whole = summary(output)
    measured = {
        f"activation_mean/{layer}": whole.mean,
        f"activation_std/{layer}": whole.std,
        f"activation_zeros/{layer}": whole.zeros,
    }
    if has_channels:
        dead = (output == 0).movedim(1, 0).flatten(1).all(dim=1)  # (C,)
        measured[f"activation_dead/{layer}"] = dead.double().mean().item()
    return measured


def _inputs(images: Any) -> Tensor:
    if hasattr(images, "batch") and hasattr(images, "__len__"):
        images = images.batch(range(min(len(images), _MOST_IMAGES)))
    if not isinstance(images, Tensor) or images.dim() != 4 or not len(images):
        what = f"a {type(images).__name__}"
        what += f" of shape {(*images.shape,)}" if isinstance(images, Tensor) else ""
        raise InputError(f"images must be an image set or a tensor (N, C, H, W), got {what}")
    return images[:_MOST_IMAGES].detach().clone()
