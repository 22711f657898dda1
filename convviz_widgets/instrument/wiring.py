"""Permanent hooks on a replica, which tell the running tape what each module takes and returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList

from convviz_widgets.errors import ConvVizError
from convviz_widgets.instrument.activations import ACTIVATION_MODULES
from convviz_widgets.instrument.failures import explain
from convviz_widgets.instrument.tape import Tape

Enter = Callable[[Tape, str, tuple[Any, ...], dict[str, Any]], None]
Leave = Callable[[Tape, str, Any], Any]
Role = tuple[Enter | None, Leave]

_OURS = -1
"""The number of our hooks on each module; PyTorch counts its own up from 0."""


class _Reel:
    """What the hooks know: hooks that knew the replica would keep it until a garbage collection."""

    tape: Tape | None = None


class Wiring:
    """Hooks that stay on: adding them for each pass costs 17 to 36 % of a forward.

    Parameters
    ----------
    may_draw : whether random functions of the replica may draw; else they raise.
    """

    def __init__(self, replica: nn.Module, *, may_draw: bool = False) -> None:
        self._replica = replica
        self._may_draw = may_draw
        self.names = dict(replica.named_modules())
        self._reel = _Reel()
        for name, module in self.names.items():
            if not _inside_parametrization(name):
                _wire(self._reel, module, name, *_role(name, module))

    def run(self, tape: Tape, images: Tensor, known_shape: tuple[int, ...] | None = None) -> Any:
        """Return the replica's output for ``images``, written down on ``tape`` on the way.

        Parameters
        ----------
        known_shape : of one image, which the model is known to take.

        Raises
        ------
        InputError, ModelError
            In one line, when the model raises.
        """
        self._reel.tape = tape
        tape.may_draw = self._may_draw
        try:
            with tape:
                return self._replica(images)
        except ConvVizError:
            raise
        except Exception as error:
            raise explain(error, tuple(images.shape[1:]), known_shape, self.names) from error
        finally:
            self._reel.tape = None


def _wire(reel: _Reel, module: nn.Module, name: str, enter: Enter | None, leave: Leave) -> None:
    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if reel.tape is not None and enter is not None:
            enter(reel.tape, name, args, kwargs)

    def after(_: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        return output if reel.tape is None else leave(reel.tape, name, output)

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
