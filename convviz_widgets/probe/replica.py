"""A private copy of the user's model, its own device and mode, with one checkpoint's weights."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from convviz_widgets.checkpoints.state_dicts import load_checked
from convviz_widgets.errors import ConvVizError, InputError, ModelError, error_text
from convviz_widgets.probe.recording import Memory, storage_of, tensors_in

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


class Replica:
    """A private copy of a model, whose weights change as a whole or not at all.

    Parameters
    ----------
    model : is only read.
    device : where the copy lives.

    Attributes
    ----------
    module : the copy, see `private_replica`.
    key : what `load` was last given; None before, and after a load that failed.
    original : a state_dict to go back to, None where none was kept.
    """

    def __init__(self, model: nn.Module, device: str | torch.device) -> None:
        self.device = torch.device(device)
        self.key: Hashable | None = None
        self.original: dict[str, Any] | None = None
        with self.plain_mode():
            self.module = private_replica(model, self.device)
            self._own = self.module.state_dict()  # aliases: always what is loaded now

    def keep_original(self) -> None:
        """Keep the weights that are loaded now for `restore`."""
        self.original = copy.deepcopy(self._own)

    def load(self, state_dict: Mapping[str, Any], key: Hashable | None) -> None:
        """Copy a checkpoint's values in, after checking that all of them fit."""
        self.key = None
        with self.plain_mode():
            load_checked(self.module, state_dict, self._own)
        self.key = key

    def restore(self, key: Hashable | None) -> None:
        """Load the weights that were kept."""
        if self.original is None:
            raise InputError("this probe kept no original weights; make it with keep_original=True")
        self.load(self.original, key)

    def own_copy(self, images: Tensor) -> Tensor:
        """Return the images on the replica's device, for a model that may write into its input."""
        return images.detach().to(self.device, copy=True)

    @contextmanager
    def plain_mode(self) -> Iterator[None]:
        """Run in plain eager mode without gradients, whatever the caller's thread has on.

        Weights that a cast of autocast keeps are forgotten: they would outlive a load, up to the
        end of the outermost autocast.
        """
        autocast = torch.autocast(self.device.type, enabled=False, cache_enabled=False)
        torch.clear_autocast_cache()
        with torch.inference_mode(False), torch.no_grad(), autocast:
            yield


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
        reason = _why_not_copied(model, error, copied)
        raise ModelError(f"the model cannot be copied: {reason}") from error
    _check_apart(model, replica)
    for parameter in replica.parameters():
        parameter.requires_grad_(parameter.is_floating_point() or parameter.is_complex())
    return replica.eval().to(device)


def device_of(model: Any) -> torch.device:
    """Return where a model's parameters are; the CPU for one without, or for no model."""
    parameters = model.parameters() if isinstance(model, nn.Module) else iter(())
    return next((parameter.device for parameter in parameters), torch.device("cpu"))


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


def _why_not_copied(model: nn.Module, error: Exception, copied: Callable[[Any], Any]) -> str:
    """Return the attribute that stopped the copy, and the remedy.

    Parameters
    ----------
    error : what the copy of the whole model raised.
    copied : copies one value as the whole model was copied.
    """
    own = vars(nn.Module())
    for name, module in model.named_modules():
        for attribute, value in vars(module).items():
            reason = None if attribute in own else _reason_against(value, copied)
            if reason is not None:
                return f".{attribute} of {f'module {name!r}' if name else 'the model'} {reason}"
    return f"{error_text(error)}; give its class a __deepcopy__"


def _reason_against(value: Any, copied: Callable[[Any], Any]) -> str | None:
    if isinstance(value, Tensor) and value.grad_fn is not None:
        return (
            "is a tensor with a gradient history: keep it detached (a pruned weight: prune.remove; "
            "weight_norm, spectral_norm: those of torch.nn.utils.parametrizations)"
        )
    try:
        copied(value)
    except Exception as error:
        return (
            f"({type(value).__name__}): {error_text(error)}; make it in forward(), or give its "
            "class a __deepcopy__"
        )
    return None


_SCALES = (0.1, -1.0, 1e3, -1e3)
"""Sizes of the weights that are tried before a model is said to ignore its own."""


def refuse_if_weights_are_ignored(
    model: nn.Module, forward: Callable[[Tensor], Any], images: Tensor
) -> None:
    """Raise a `ModelError` when other weights give the very same output.

    Such a model holds on to something that a copy does not reach (a closure, a frozen function),
    so a checkpoint would show what another one computed. An image of zeros, or dead layers, may
    hide the weights: a textured image is tried before the model is refused. So may an output that
    is rounded, saturated or a class: weights of several sizes and of both signs are.
    """
    if not any(parameter.is_floating_point() for parameter in model.parameters()):
        return
    if _middle_tells(model, forward, images):
        return
    for attempt in (images, images + _texture(images) if images.is_floating_point() else images):
        before = forward(attempt)
        for scale in _SCALES:
            with other_weights(model, scale):
                if _differs(before, forward, attempt):
                    return
    raise ModelError(
        "the model's output ignores its weights: its forward runs something that a copy does not "
        "reach (a closure, functools.partial, a traced function); call submodules as self.<name>. "
        "Or it puts out the same whatever they are (a softmax over one class, a product with zero)"
    )


MIDDLE = 256
"""Side, in pixels, of the middle of a large image that usually shows whether weights matter."""


def middle_of(images: Tensor) -> Tensor | None:
    """Return the middle of large images, None for others."""
    if images.ndim != 4 or images.shape[2] * images.shape[3] < 16 * MIDDLE**2:
        return None
    top, left = ((length - MIDDLE) // 2 for length in images.shape[2:])
    return images[:, :, max(0, top) : top + MIDDLE, max(0, left) : left + MIDDLE]


def _middle_tells(model: nn.Module, forward: Callable[[Tensor], Any], images: Tensor) -> bool:
    """Tell whether other weights give another output for the middle of a large image.

    That saves two passes over all of it. A model that takes no other size tells nothing so.
    """
    middle = middle_of(images)
    if middle is None:
        return False
    try:
        before = forward(middle)
        with other_weights(model):
            scores = zip(_scores(before), _scores(forward(middle)), strict=False)
            return any(not torch.equal(old, new) for old, new in scores)
    except ConvVizError:
        return False


def _differs(before: Any, forward: Callable[[Tensor], Any], images: Tensor) -> bool:
    try:
        after = forward(images)
    except ConvVizError:
        return True  # other weights break it: it does use them
    pairs = zip(_scores(before), _scores(after), strict=False)
    same = [torch.equal(old, new) for old, new in pairs]  # NaN never equals: cannot tell
    return not same or not all(same)


def _scores(result: Any) -> list[Tensor]:
    """Return the floating tensors; a class index may well stay the same under other weights."""
    return [
        tensor for tensor in tensors_in(result) if tensor.is_floating_point() and tensor.numel()
    ]


@contextmanager
def other_weights(model: nn.Module, size: float = 0.1) -> Iterator[None]:
    """Give the model other weights for a while, of this largest magnitude, and its own back."""
    parameters = [parameter for parameter in model.parameters() if parameter.is_floating_point()]
    kept = [parameter.clone() for parameter in parameters]
    try:
        for parameter in parameters:
            parameter.copy_(_texture(parameter) * size)
        yield
    finally:
        for parameter, values in zip(parameters, kept, strict=True):
            parameter.copy_(values)


def _texture(like: Tensor) -> Tensor:
    """Return a deterministic pattern in [-1, 1]; drawing one would move the user's generator."""
    saw = torch.arange(like.numel(), device=like.device, dtype=torch.float32).mul_(0.618).frac_()
    return saw.mul_(2).sub_(1).reshape(like.shape).to(like.dtype)
