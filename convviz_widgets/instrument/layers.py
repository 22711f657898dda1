"""What a layer is: a module call or a functional activation, in execution order."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.utils.parametrize import type_before_parametrizations


@dataclass(frozen=True)
class LayerInfo:
    """One layer of a model.

    Attributes
    ----------
    name : qualified as in ``named_modules()``; a functional activation after its enclosing module
        and its op (``layer1.0.relu``), a repeated call with its count (``conv_1``).
    kind : the module's class name, or the op (``"relu"``).
    shape : of the output for one image, (C, H, W) or (F,).
    weight_shape : of the module's weight, None without one.
    groups : of a convolution, otherwise 1.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3))
    >>> (info,) = cvw.list_layers(model, torch.zeros(1, 1, 8, 8))
    >>> info.name, info.kind, info.shape, info.weight_shape
    ('0', 'Conv2d', (4, 6, 6), (4, 1, 3, 3))
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    weight_shape: tuple[int, ...] | None
    groups: int


def describe(name: str, op: str | None, module: nn.Module | None, output: Tensor) -> LayerInfo:
    """Return the facts of a layer: of ``module``, or of the functional activation ``op``."""
    weight = getattr(module, "weight", None)
    groups = getattr(module, "groups", 1)
    return LayerInfo(
        name=name,
        kind=type_before_parametrizations(module).__name__ if module is not None else str(op),
        shape=tuple(output.shape[1:]),
        weight_shape=tuple(weight.shape) if isinstance(weight, Tensor) else None,
        groups=groups if isinstance(groups, int) else 1,
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
    from convviz_widgets.instrument.probe import Probe  # the probe is made of layers

    return Probe(model, example_input, keep_original=False).layers
