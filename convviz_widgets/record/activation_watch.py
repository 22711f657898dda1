"""What a model in training makes of a few images, measured at each checkpoint."""

from __future__ import annotations

import copy
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from convviz_widgets.errors import InputError, ModelError
from convviz_widgets.tensors import summary

_MOST_IMAGES = 64
_HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
)


class ActivationWatch:
    """Statistics of each layer's output, and the model's own, computed in a private copy of it.

    Per module without children, in the order of execution: mean, standard deviation and share of
    exact zeros over all images and positions, and the share of channels that are zero everywhere on
    every image. Functions such as ``F.relu`` are no modules and are not seen. The copy runs in eval
    mode on the model's device, with the random number generators given back.

    Parameters
    ----------
    model
        Only read.
    images
        Float tensor (N, C, H, W), or an image set with ``batch(indices)``; at most 64 are used.

    Raises
    ------
    InputError
        For images that are neither, or none.
    ModelError
        When the model cannot be copied.
    """

    def __init__(self, model: nn.Module, images: Any) -> None:
        self._model = model = _unwrapped(model)
        self._inputs = _inputs(images)
        try:
            self._replica = copy.deepcopy(model, _without_hooks(model)).eval()
        except Exception as error:
            raise ModelError(f"the model cannot be copied to watch it: {error}") from error
        self.output: Tensor | None = None
        """What the model put out when it was last measured (N, ...); None for no tensor."""
        self._measured: dict[str, float] = {}
        self._calls: Counter[str] = Counter()
        for name, module in self._replica.named_modules():
            if not any(module.children()):
                # No hook: the numbers that hooks get are counted for the whole process.
                module.forward = self._watched(name, module.forward)

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """Return tag to value for the weights that the model has now.

        Raises
        ------
        ModelError
            In one line, when the model does not take the images.
        """
        self._measured, self._calls = {}, Counter()
        self._replica.load_state_dict(self._model.state_dict())
        device = next((tensor.device for tensor in self._replica.parameters()), torch.device("cpu"))
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            try:
                output = self._replica(self._inputs.to(device))
            except Exception as error:
                reason = (str(error).splitlines() or [""])[0]
                shape = tuple(self._inputs.shape)
                raise ModelError(f"the model raised on images {shape}: {reason}") from error
        self.output = output if _has_rows(output, len(self._inputs)) else None
        return self._measured

    def _watched(self, name: str, forward: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            output = forward(*args, **kwargs)
            if isinstance(output, Tensor) and output.dim() >= 2:
                call = self._calls[name]
                self._calls[name] += 1
                self._note(f"{name}_{call}" if call else name, output)
            return output

        return run

    def _note(self, layer: str, output: Tensor) -> None:
        """Take the statistics of an output (N, C, ...) before an in-place layer overwrites it."""
        whole = summary(output)
        dead = (output == 0).movedim(1, 0).flatten(1).all(dim=1)  # (C,)
        self._measured |= {
            f"activation_mean/{layer}": whole.mean,
            f"activation_std/{layer}": whole.std,
            f"activation_zeros/{layer}": whole.zeros,
            f"activation_dead/{layer}": dead.double().mean().item(),
        }


def _has_rows(output: Any, count: int) -> bool:
    return isinstance(output, Tensor) and output.dim() > 0 and len(output) == count


def _inputs(images: Any) -> Tensor:
    if hasattr(images, "batch") and hasattr(images, "__len__"):
        images = images.batch(range(min(len(images), _MOST_IMAGES)))
    if not isinstance(images, Tensor) or images.dim() != 4 or not len(images):
        what = f"a {type(images).__name__}"
        what += f" of shape {(*images.shape,)}" if isinstance(images, Tensor) else ""
        raise InputError(f"images must be an image set or a tensor (N, C, H, W), got {what}")
    return images[:_MOST_IMAGES].detach().clone()


def _unwrapped(model: nn.Module) -> nn.Module:
    """Return the model inside the wrappers of torch.compile and of parallel training."""
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return _unwrapped(model.module)
    inner = getattr(model, "_orig_mod", None)
    return _unwrapped(inner) if isinstance(inner, nn.Module) else model


def _without_hooks(model: nn.Module) -> dict[int, Any]:
    """Return a memo that keeps the user's hooks out of a deep copy.

    Those of torch's own spectral norm and pruning stay: they compute the weight.
    """
    memo: dict[int, Any] = {}
    for module in model.modules():
        for hooks in (vars(module)[kind] for kind in _HOOKS):
            kept = [(n, h) for n, h in hooks.items() if type(h).__module__.startswith("torch.nn.")]
            memo[id(hooks)] = OrderedDict(kept)
    return memo
