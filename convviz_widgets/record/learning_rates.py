"""The learning rate as an optimizer has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from convviz_widgets.errors import InputError

_TAG = "learning_rate"


def learning_rates(optimizer: Any) -> Callable[[], dict[str, float]]:
    """Return a function that gives the learning rate of each parameter group, by tag.

    Raises ``InputError`` for something without parameter groups; None has no learning rate.
    """
    if optimizer is None:
        return dict
    if not hasattr(optimizer, "param_groups"):
        raise InputError(
            f"optimizer must be a torch.optim.Optimizer, got a {type(optimizer).__name__}"
        )

    def now() -> dict[str, float]:
        rates = [float(group["lr"]) for group in optimizer.param_groups if "lr" in group]
        if len(rates) == 1:
            return {_TAG: rates[0]}
        return {f"{_TAG}/{index}": rate for index, rate in enumerate(rates)}

    return now
