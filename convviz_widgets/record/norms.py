"""NormMeter: gradient norms and update ratios of each parameter, measured in training."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from convviz_widgets.checkpoints import strip_prefixes

GRADIENT_NORM = "gradient_norm/"
UPDATE_RATIO = "update_ratio/"
_VALUES_A_STEP = 32
_LOW_PRECISION = (torch.float16, torch.bfloat16)


class NormMeter:
    """Measures, per parameter, the gradient's norm and the update ratio ‖ΔW‖ / ‖W‖.

    W is the parameter before the step, ΔW what the step added to it; only of tensors with at least
    two dimensions. About 1e-3 is usual (CS231n's rule of thumb). Gradients are taken as they are
    after the step: clipped, and gone where ``zero_grad`` has been called already.

    The norms are computed where the parameters are and come to the host in one piece. For the ratio
    the weights are copied at the step before: as much memory again as those weights take.

    Parameters
    ----------
    model : its parameters are only read.
    every : measure at steps that this divides. None: at each step for small networks, at every k-th
        for larger ones, so that on average at most 32 values a step are recorded.
    """

    def __init__(self, model: nn.Module, every: int | None = None) -> None:
        self._model = model
        self._before: dict[str, Tensor] = {}
        self.every = every or self._default_every()
        """Steps between two measurements."""

    def _default_every(self) -> int:
        parameters = _plain(self._model)
        values = len(parameters) + sum(map(_has_ratio, parameters.values()))
        return max(-(-values // _VALUES_A_STEP), 1)

    @torch.no_grad()
    def measure(self, step: int) -> dict[str, float]:
        """Return tag to norm or ratio after a step; nothing where the step is not measured."""
        if step % self.every and (step + 1) % self.every:
            return {}
        parameters = _plain(self._model)
        measured = {} if step % self.every else self._measured(parameters)
        self._remember(step, parameters)
        return measured

    @torch.no_grad()
    def start(self, step: int) -> None:
        """Begin with the weights as they are after ``step``."""
        self._remember(step, _plain(self._model))

    def _remember(self, step: int, parameters: Mapping[str, Tensor]) -> None:
        """Keep the weights if the next step is measured."""
        self._before = {}  # frees the old copy before a new one is made
        if (step + 1) % self.every == 0:
            self._before = {n: p.detach().clone() for n, p in parameters.items() if _has_ratio(p)}

    def _measured(self, parameters: Mapping[str, Tensor]) -> dict[str, float]:
        gradients = {n: _values(p.grad) for n, p in parameters.items() if p.grad is not None}
        before = {n: w for n, w in self._before.items() if _alike(w, parameters.get(n))}
        old = _norms(list(before.values()))
        updates = list(before.values())
        if updates:
            torch._foreach_sub_(updates, [parameters[name].detach() for name in before])
        numbers = _to_host([*_norms(list(gradients.values())), *old, *_norms(updates)])
        return self._named(numbers, list(gradients), list(before))

    @staticmethod
    def _named(numbers: list[float], gradients: list[str], weights: list[str]) -> dict[str, float]:
        named = {GRADIENT_NORM + name: numbers[i] for i, name in enumerate(gradients)}
        old = numbers[len(gradients) : len(gradients) + len(weights)]
        change = numbers[len(gradients) + len(weights) :]
        for name, norm, changed in zip(weights, old, change, strict=True):
            if norm:  # the ratio to nothing, as of weights that begin at zero, says nothing
                named[UPDATE_RATIO + name] = changed / norm
        return named


def _plain(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters that have a norm, by name without the prefixes of wrappers."""
    parameters: Mapping[str, Tensor] = {
        name: parameter
        for name, parameter in model.named_parameters()
        if not is_lazy(parameter)
        and not parameter.is_meta
        and parameter.layout == torch.strided
        and (parameter.is_floating_point() or parameter.is_complex())
    }
    return strip_prefixes(parameters)


def _has_ratio(parameter: Tensor) -> bool:
    return parameter.dim() >= 2


def _alike(before: Tensor, now: Tensor | None) -> bool:
    """Tell whether a parameter is what it was, but for its values."""
    return now is not None and (before.shape, before.dtype, before.device) == (
        now.shape,
        now.dtype,
        now.device,
    )


def _values(gradient: Tensor) -> Tensor:
    """Return a gradient's values; a sparse one has zeros elsewhere."""
    gradient = gradient.detach()
    return gradient.coalesce().values() if gradient.is_sparse else gradient


def _norms(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return the Euclidean norm of each, as 0-d tensors; half precision would overflow in them."""
    norms: list[Tensor | None] = [None] * len(tensors)
    groups: defaultdict[bool, list[int]] = defaultdict(list)
    for index, tensor in enumerate(tensors):
        groups[tensor.dtype in _LOW_PRECISION].append(index)
    for low, indices in groups.items():
        dtype = torch.float32 if low else None
        group = torch._foreach_norm([tensors[i] for i in indices], 2, dtype)
        for index, norm in zip(indices, group, strict=True):
            norms[index] = norm
    return [norm for norm in norms if norm is not None]


def _to_host(scalars: Sequence[Tensor]) -> list[float]:
    """Return 0-d tensors as floats, with one transfer for each device and type."""
    groups: defaultdict[object, list[int]] = defaultdict(list)
    for index, scalar in enumerate(scalars):
        groups[scalar.device, scalar.dtype].append(index)
    numbers = [0.0] * len(scalars)
    for indices in groups.values():
        together = torch.stack([scalars[i] for i in indices]).tolist()
        for index, number in zip(indices, together, strict=True):
            numbers[index] = number
    return numbers
