"""A private copy of the user's model: no hooks of the user's, eval mode, its own device."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from convviz_widgets.errors import InputError, ModelError
from convviz_widgets.instrument.recording import Memory, storage_of
from convviz_widgets.instrument.uncopyable import why_not_copied

_HOOK_DICTS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
)
_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def private_replica(model: nn.Module, device: str | torch.device) -> nn.Module:
    """Return a deep copy to look through; the model itself is only read.

    The copy has none of the user's forward and backward hooks, no ``.grad``, is in eval mode and
    on ``device``. Wrappers (torch.compile, DataParallel, DistributedDataParallel) are left out.

    Raises
    ------
    ModelError
        In one line that says what to change, when the model cannot be copied.
    """
    model = unwrapped(model)
    _check_copyable(model)

    def copied(value: Any) -> Any:
        return copy.deepcopy(value, _memo(model))

    try:
        replica = copied(model)
    except Exception as error:
        reason = why_not_copied(model, error, copied)
        raise ModelError(f"the model cannot be copied: {reason}") from error
    _check_apart(model, replica)
    for parameter in replica.parameters():
        parameter.requires_grad_(parameter.is_floating_point() or parameter.is_complex())
    return replica.eval().to(device)


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the model inside torch.compile's and the parallel wrappers."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and isinstance(model, _WRAPPERS):
            inner = model.module
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def _check_copyable(model: nn.Module) -> None:
    if not isinstance(model, nn.Module):
        raise InputError(f"expected a torch.nn.Module, got {type(model).__name__}")
    if isinstance(model, torch.jit.ScriptModule):
        raise ModelError("the model is TorchScript, which hides its layers: give the Python model")
    for name, tensor in _state(model):
        if is_lazy(tensor):
            raise ModelError(f"{name!r} is not initialised yet: run the model once, then look")
        if tensor.is_meta:
            raise ModelError(f"{name!r} is on the meta device and has no values: give it weights")


def _state(model: nn.Module) -> list[tuple[str, Tensor]]:
    return [*model.named_parameters(), *model.named_buffers()]


def _memo(model: nn.Module) -> dict[int, Any]:
    """Return what deepcopy must not copy: the user's hooks, and torch.compile's wrappers."""
    memo: dict[int, Any] = {}
    compiled = []
    for module in model.modules():
        for attribute in _HOOK_DICTS:
            hooks = vars(module).get(attribute)
            if hooks is not None:
                memo[id(hooks)] = OrderedDict(
                    (key, hook) for key, hook in hooks.items() if _belongs_to_model(hook)
                )
        if unwrapped(module) is not module:
            compiled.append(module)
    for module in reversed(compiled):  # one inside another first
        memo[id(module)] = copy.deepcopy(unwrapped(module), memo)
    return memo


def _belongs_to_model(hook: Any) -> bool:
    # torch's own spectral_norm and pruning compute the weight in a pre-hook: without it the copy
    # would keep running the weight of the moment it was made.
    return type(hook).__module__.startswith("torch.nn.utils.")


def _check_apart(model: nn.Module, replica: nn.Module) -> None:
    theirs = set(model.modules())
    memory = memory_of(model)
    shared = [name or "itself" for name, module in replica.named_modules() if module in theirs]
    shared += [name for name, tensor in _state(replica) if storage_of(tensor) in memory]
    if shared:
        raise ModelError(
            f"the model cannot be copied: its copy still shares {shared[0]!r} with it; mend the "
            "__deepcopy__ of its class"
        )


def memory_of(model: nn.Module, *, attributes: bool = False) -> dict[Memory | None, str]:
    """Return memory → name of the model's parameters and buffers.

    Parameters
    ----------
    attributes : also of the tensors that its modules keep as plain attributes.
    """
    tensors = _state(model) + (_plain_attributes(model) if attributes else [])
    memory = {storage_of(tensor): name for name, tensor in tensors if tensor.numel()}
    return {place: name for place, name in memory.items() if place is not None}


def _plain_attributes(model: nn.Module) -> list[tuple[str, Tensor]]:
    return [
        (f"{name}.{attribute}", value)
        for name, module in model.named_modules()
        for attribute, value in vars(module).items()
        if isinstance(value, Tensor)
    ]
