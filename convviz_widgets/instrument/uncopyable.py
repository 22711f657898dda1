"""Why a model cannot be copied, and what to change in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from convviz_widgets.instrument.failures import one_line


def why_not_copied(model: nn.Module, error: Exception, copied: Callable[[Any], Any]) -> str:
    """Return the attribute that stopped the copy, and the remedy.

    Parameters
    ----------
    error : what the copy of the whole model raised.
    copied : copies one value as the whole model was copied.
    """
    own = vars(nn.Module())
    for name, module in model.named_modules():
        for attribute, value in vars(module).items():
            reason = None if attribute in own else _reason(value, copied)
            if reason is not None:
                return f".{attribute} of {f'module {name!r}' if name else 'the model'} {reason}"
    return f"{one_line(error)}; give its class a __deepcopy__"


def _reason(value: Any, copied: Callable[[Any], Any]) -> str | None:
    if isinstance(value, Tensor) and value.grad_fn is not None:
        return (
            "is a tensor with a gradient history: keep it detached (a pruned weight: prune.remove; "
            "weight_norm, spectral_norm: those of torch.nn.utils.parametrizations)"
        )
    try:
        copied(value)
    except Exception as error:
        return (
            f"({type(value).__name__}): {one_line(error)}; make it in forward(), or give its class "
            "a __deepcopy__"
        )
    return None
