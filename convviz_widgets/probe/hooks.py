"""Permanent hooks on a replica, which tell a tape what each module takes and returns.

Where a model raises, `Hooks.run` says in one line which layer it was, what it got and expects.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping, Sequence
from types import FrameType
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList

from convviz_widgets.errors import ConvVizError, InputError, ModelError, error_text
from convviz_widgets.images.checks import channels_last, channels_last_hint
from convviz_widgets.probe.layers import ACTIVATION_MODULES
from convviz_widgets.probe.tape import Tape

Enter = Callable[[Tape, str, tuple[Any, ...], dict[str, Any]], None]

Leave = Callable[[Tape, str, Any], Any]

Role = tuple[Enter | None, Leave]

_OURS = -1
"""The number of our hooks on each module; PyTorch counts its own up from 0."""

_EXPECTS = {  # attribute of a module → which dimension of its input, and what stands there
    "in_channels": (1, "channels"),
    "num_features": (1, "channels"),
    "in_features": (-1, "features"),
}


class _Current:
    """The tape of the pass that runs; hooks that held the replica itself would keep it alive."""

    tape: Tape | None = None


class Hooks:
    """Hooks that stay on: adding them for each pass costs 17 to 36 % of a forward.

    Parameters
    ----------
    may_draw : whether random functions of the replica may draw; else they raise.
    """

    def __init__(self, replica: nn.Module, *, may_draw: bool = False) -> None:
        self._replica = replica
        self._may_draw = may_draw
        self.names = dict(replica.named_modules())
        self._current = _Current()
        for name, module in self.names.items():
            if not _inside_parametrization(name):
                _hook(self._current, module, name, *_role(name, module))

    def run(self, tape: Tape, images: Tensor, known_shape: tuple[int, ...] | None = None) -> Any:
        """Return the replica's output for ``images``, written down on ``tape`` on the way.

        Parameters
        ----------
        known_shape : shape of one image that the model is known to take.

        Raises
        ------
        InputError, ModelError
            In one line, when the model raises.
        """
        self._current.tape = tape
        tape.may_draw = self._may_draw
        try:
            with tape:
                return self._replica(images)
        except ConvVizError:
            raise
        except Exception as error:
            if known_shape is None and (remedy := _images_alone(self._replica, error)):
                raise ModelError(remedy) from error
            raise explained(error, tuple(images.shape[1:]), known_shape, self.names) from error
        finally:
            self._current.tape = None


def _hook(
    current: _Current, module: nn.Module, name: str, enter: Enter | None, leave: Leave
) -> None:
    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if current.tape is not None and enter is not None:
            enter(current.tape, name, args, kwargs)

    def after(_: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        return output if current.tape is None else leave(current.tape, name, output)

    # Not register_forward_hook: it numbers the hooks of the whole process, and the next one of
    # the user would get another number than without us.
    if enter is not None:
        module._forward_pre_hooks[_OURS] = before
        module._forward_pre_hooks_with_kwargs[_OURS] = True
    module._forward_hooks[_OURS] = after


def _role(name: str, module: nn.Module) -> Role:
    if not name:
        return Tape.enter, Tape.leave
    if isinstance(module, ParametrizationList):
        return Tape.enter_hiding, Tape.leave
    if isinstance(module, ACTIVATION_MODULES):
        return Tape.enter_activation, Tape.leave_activation
    if _is_container(module):
        return Tape.enter, Tape.leave_container
    if type(module).__module__.startswith("torch.nn.modules."):
        return None, Tape.leave_unentered  # calls no activation function: need not be entered
    return Tape.enter, Tape.leave_leaf


def _is_container(module: nn.Module) -> bool:
    children = [name for name, _ in module.named_children() if name != "parametrizations"]
    return bool(children) or isinstance(module, nn.Sequential)


def _inside_parametrization(name: str) -> bool:
    path = name.split(".")
    return "parametrizations" in path[:-2]


_NO_IMAGES = (
    "must be tuple of Tensors, not Tensor",  # a list of images
    "invalid data type 'str'",  # a dict
    "too many indices",  # a dict, likewise
    "'Tensor' object has no attribute",  # a dict, or an object that holds the images
    "argument #1 'indices'",  # tokens
    "positional argument but",  # nothing, or everything by name
)
"""What torch says where a model takes something else than a batch of images."""


def _images_alone(model: nn.Module, error: Exception) -> str:
    """Say how to wrap a model that takes something else than images, or more; empty for others."""
    if found := _given_by_name(model):
        name, others = found
        call = ", ".join([f"{name}=x", *(f"{other}=..." for other in others)])
        return f"the model takes images as {name}=, not first: {_wrapper(call, others)}"
    first, *others = _needed(model)
    if isinstance(error, TypeError) and (others or first.endswith("=")):
        given = first.removesuffix("=")
        takes = ", ".join([first, *(name.removesuffix("=") for name in others)])
        call = ", ".join(["x" if first == given else f"{given}=x", *(f"{n}..." for n in others)])
        say = f"the model takes ({takes}), expected one that takes the images alone"
        return f"{say}: {_wrapper(call, others)}"
    text = error_text(error)
    if not any(sign in text for sign in _NO_IMAGES):
        return ""
    say = f"the model does not take a batch of images (N, C, H, W): {type(error).__name__}: {text}"
    return f"{say}; {_wrapper('...', others)}, with what it takes made of x"


_IMAGES = ("pixel_values", "images", "image", "imgs", "img")
"""What models of text and images call the images."""


def _given_by_name(model: nn.Module) -> tuple[str, list[str]] | None:
    """Return what takes the images of a model that takes words first, and what it needs beside."""
    try:
        parameters = inspect.signature(model.forward).parameters
    except (TypeError, ValueError):
        return None
    name = next((name for name in _IMAGES if name in parameters), None)
    is_of_words = any(word in next(iter(parameters), "") for word in ("ids", "text", "token"))
    if name is None or not is_of_words:
        return None
    given = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [each for each in parameters.values() if each.default is each.empty]
    return name, [each.name for each in needed if each.name != name and each.kind not in given]


def _needed(model: nn.Module) -> list[str]:
    """Return the arguments that a model must be given, those by name with "=" behind."""
    try:
        parameters = list(inspect.signature(model.forward).parameters.values())
    except (TypeError, ValueError):
        return ["x"]
    needed = [
        each
        for each in parameters
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    given = next((each for each in parameters if each.kind is not each.VAR_KEYWORD), None)
    by_name = given is not None and given.kind is given.KEYWORD_ONLY
    first = "x" if given is None else f"{given.name}{'=' if by_name else ''}"
    return [first, *(f"{each.name}=" for each in needed if each is not given)]


def _wrapper(call: str, others: Sequence[str]) -> str:
    """Return the lines that wrap a model, in one, as a message has one."""
    values = ", with a value for " + " and ".join(n.removesuffix("=") for n in others)
    return (
        "wrap it: class ImagesAlone(torch.nn.Sequential): forward = lambda self, x: "
        f"self[0]({call}); model = ImagesAlone(model){values if others else ''}"
    )


def explained(
    error: Exception,
    shape: tuple[int, ...],
    known: tuple[int, ...] | None,
    layers: Mapping[str, nn.Module],
) -> ConvVizError:
    """Return the error to raise for a model that raised on images of ``shape``.

    Parameters
    ----------
    error : what the model raised, with its traceback.
    shape : that of one image, without the batch.
    known : the shape that the model is known to take; None for the first pass.
    layers : qualified name → module.
    """
    name, mismatch = _where(error, {module: name for name, module in layers.items()})
    place = f" in layer {name!r}" if name else ""
    what = mismatch or f"{type(error).__name__}{place}: {error_text(error)}"
    if known is not None and shape != known:
        return InputError(f"got images of shape {shape}, expected {known}: {what}")
    if mismatch:
        order = f"; this looks like {channels_last_hint(4)}" if channels_last(shape) else ""
        return InputError(
            f"got images of shape {shape}, which do not fit the model: {mismatch}{order}"
        )
    return ModelError(f"the model raised on images of shape {shape}: {what}")


def _where(error: Exception, names: Mapping[nn.Module, str]) -> tuple[str, str]:
    """Return the innermost module that was running, and how its input does not fit it."""
    name, forward = "", None
    for frame, _ in traceback.walk_tb(error.__traceback__):
        owner = frame.f_locals.get("self")
        if not isinstance(owner, nn.Module) or owner not in names:
            continue
        if frame.f_code.co_name == "forward":
            forward = frame
        elif names[owner] != name:
            forward = None  # entered, and not yet, or never, in its forward
        name = names[owner]
    return name, _mismatch(name, forward) if forward is not None else ""


def _mismatch(name: str, forward: FrameType) -> str:
    module: Any = forward.f_locals["self"]
    given = next((value for value in forward.f_locals.values() if isinstance(value, Tensor)), None)
    if given is None or given.ndim < 2:
        return ""
    layer = f"layer {name!r} ({type(module).__name__})"
    for attribute, (dimension, what) in _EXPECTS.items():
        expected, got = getattr(module, attribute, None), given.shape[dimension]
        if isinstance(expected, int) and got != expected:
            return f"{layer} expects {expected} {what}, got {got}"
    weight = getattr(module, "weight", None)
    if isinstance(weight, Tensor) and weight.dtype != given.dtype:
        way_out = f"; images.to({weight.dtype}) makes them fit" if given.is_floating_point() else ""
        return f"{layer} expects {weight.dtype}, got {given.dtype}{way_out}"
    return ""
