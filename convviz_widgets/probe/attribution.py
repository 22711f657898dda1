"""Attribution: which pixels a class score, or a unit of a layer, answers to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from convviz_widgets.errors import (
    InputError,
    ModelError,
    SelectionError,
    UnknownLayerError,
    checked_index,
    unknown,
)
from convviz_widgets.probe.output_choice import Choice
from convviz_widgets.probe.output_kinds import SEGMENTATION, OutputKind
from convviz_widgets.probe.outputs import check_choice, output_kind
from convviz_widgets.probe.probe import Probe
from convviz_widgets.probe.relu_rules import RULES, LocalResponsePasses, ReluRule
from convviz_widgets.probe.replica import device_of

METHODS = ("gradient", *RULES)

Position = tuple[int, ...]
"""(row, col) in a layer's map; (i,) in a sequence; () in a layer of features."""


@dataclass(frozen=True, eq=False)
class Unit:
    """What is looked for: a channel of a layer, at a position or where it is strongest.

    Attributes
    ----------
    layer : as in ``Probe.layers``.
    channel : an index, or a direction (C,) whose product with the channels stands in for one.
    position : (row, col) for every image, a list of one for each image, or None: the arg-max of
        each image, the first one of several.
    """

    layer: str
    channel: int | Tensor
    position: Position | Sequence[Position] | None = None

    @classmethod
    def parse(cls, unit: Any) -> Unit:
        """Return the unit that a tuple (layer, channel, position) or (layer, channel) names."""
        if isinstance(unit, Unit):
            return unit
        if not isinstance(unit, tuple | list) or len(unit) not in (2, 3):
            raise InputError(f"expected unit=(layer, channel, (row, col) or None), got {unit!r}")
        return cls(*unit)

    def values(self, outputs: Mapping[str, Tensor]) -> tuple[Tensor, tuple[Position, ...]]:
        """Return the unit's value in each image, (N,), and where it stands.

        Parameters
        ----------
        outputs : layer → its output (N, C, ...).

        Raises
        ------
        SelectionError
            The channel or the position is out of range.
        """
        maps = self._maps(outputs[self.layer])  # (N, ...)
        positions = self._positions(maps)
        at = (list(axis) for axis in zip(*positions, strict=True))
        return maps[(range(len(maps)), *at)], positions

    def _maps(self, output: Tensor) -> Tensor:
        channels = output.shape[1]
        if not isinstance(self.channel, Tensor):
            return output[:, checked_index("channel", self.channel, channels, self.layer)]
        if self.channel.shape != (channels,):
            got = tuple(self.channel.shape)
            raise InputError(f"a direction in {self.layer} has shape ({channels},), got {got}")
        return torch.tensordot(output, self.channel.to(output), dims=([1], [0]))

    def _positions(self, maps: Tensor) -> tuple[Position, ...]:
        shape = maps.shape[1:]
        if self.position is None:
            return _strongest(maps.detach())
        if not isinstance(self.position, tuple | list):
            expected = f"expected a position in {self.layer}, (row, col) in a map or (i,) in a row"
            raise InputError(f"{expected}, or None, got {self.position!r}")
        given = list(self.position)
        each = bool(given) and isinstance(given[0], tuple | list)
        positions = given if each else [given] * len(maps)
        if len(positions) != len(maps):
            raise InputError(f"got {len(positions)} positions for {len(maps)} images")
        return tuple(_checked(position, shape, self.layer) for position in positions)


def _strongest(maps: Tensor) -> tuple[Position, ...]:
    flat, shape = maps.reshape(len(maps), -1).argmax(1), maps.shape[1:]
    if not shape:
        return ((),) * len(maps)
    return tuple(map(tuple, torch.stack(torch.unravel_index(flat, shape), 1).tolist()))


def _checked(position: Any, shape: torch.Size, layer: str) -> Position:
    names = ("row", "column") if len(shape) == 2 else tuple(f"index {i}" for i in range(len(shape)))
    if len(position) != len(shape):
        expected = f"({', '.join(names)})"
        raise SelectionError(f"a position in {layer} is {expected}, got {tuple(position)!r}")
    return tuple(
        checked_index(name, value, size, layer)
        for name, value, size in zip(names, position, shape, strict=True)
    )


def random_direction(channels: int, seed: int) -> Tensor:
    """Return a direction drawn evenly from the unit sphere: float32 (channels,).

    Images that lie along one look about as much alike as those of a single channel [Szegedy et
    al., ICLR 2014], which is why the one is worth seeing beside the other. The global generator
    does not move.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(channels, generator=generator)
    return drawn / drawn.norm()


@dataclass(frozen=True, eq=False)
class Attributions:
    """One map for each image.

    Attributes
    ----------
    maps : float32 (N, C, H, W), signed, without unit: what a pixel adds for each step of it.
    values : (N,) of the unit, or the score of the class, in each image. Where that of a unit is
        not above zero the deconvnet has nothing to reconstruct.
    positions : where the unit stands in each image; None for a class.
    kept : the activations that went back through their own derivative though the method has
        another rule for ReLUs, by name: it is not defined for them.
    """

    maps: Tensor
    values: Tensor
    positions: tuple[Position, ...] | None
    kept: tuple[str, ...] = ()


def attribute(
    model: nn.Module,
    input: Tensor,
    *,
    target: int | None = None,
    unit: tuple[Any, ...] | Unit | None = None,
    method: str = "gradient",
    output: Choice = None,
) -> Tensor:
    """Return a map of the pixels that a class score, or one unit, answers to.

    A signal of one starts at the score or unit and runs back to the pixels. Pooling hands it to
    the places that won, convolutions and linear layers run transposed, batch normalisation scales
    as in eval mode, biases do not enter. The methods differ at the ReLUs: with f the input of the
    ReLU and R the signal, "gradient" hands on (f > 0)·R, "deconvnet" (R > 0)·R [Zeiler and Fergus,
    ECCV 2014], "guided" (f > 0)(R > 0)·R [Springenberg et al., ICLR 2015 workshop]. Activations
    other than ReLU and ReLU6 keep their own derivative: the deconvnet is not defined for them. Not
    in the paper: sums and average pools hand the gradient on, local response normalisation is the
    identity for the deconvnet.

    Parameters
    ----------
    model : is only read; a private copy in eval mode runs, on the model's device.
    input : one image (C, H, W) or (1, C, H, W), floating, as the model takes it.
    target : class index; by default, without a unit, the predicted class. Of one logit, class 1
        is the logit and class 0 its negative. Of a map of scores, the sum over the positions at
        which the class is predicted [Kokhlikyan et al., Captum]; by default the class of most.
    unit : (layer, channel, (row, col)), or None for the position: the strongest one.
    method : "gradient", "guided" or "deconvnet".
    output : what the model puts out, where it cannot be known, as for `ModelState`.

    Returns
    -------
    float32 (C, H, W), signed, on the device of the input.

    Raises
    ------
    InputError
        Both target and unit, an unknown method, an image that does not fit, a model whose output
        has no classes, or, for guided and deconvnet, a unit whose value is not above zero: there
        is nothing to reconstruct.
    SelectionError
        A layer, channel, position or class that the model does not have.
    ModelError
        The model cannot be copied or raises, or no gradient reaches what is asked for.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.ReLU())
    >>> _ = model[0].weight.data.fill_(2.0)
    >>> image = torch.ones(1, 2, 2)
    >>> cvw.attribute(model, image, unit=("1", 0, (0, 1)), method="deconvnet")
    tensor([[[0., 2.],
             [0., 0.]]])
    """
    images = _one_image(input)
    check_choice(output)
    probe = Probe(model, images, device=device_of(model), keep_original=False)
    kind = output_kind(probe, images, choice=output) if unit is None else None
    found = attributions(probe, images, target=target, unit=unit, method=method, kind=kind)
    if unit is not None and method in RULES and not found.values[0] > 0:
        raise InputError(
            f"nothing to reconstruct: the unit {_named(unit, found)} is {found.values[0]:.4g} on "
            "this image, not above zero"
        )
    return found.maps[0].to(input.device)


def attributions(
    probe: Probe,
    images: Tensor,
    *,
    target: int | None = None,
    unit: tuple[Any, ...] | Unit | None = None,
    method: str = "gradient",
    kind: OutputKind | None = None,
) -> Attributions:
    """Return what `attribute` does, for several images at once and with a probe's weights.

    Parameters
    ----------
    images : (N, C, H, W), floating.
    unit : as for `attribute`, or a `Unit`, which may have a position for each image.
    kind : what the model puts out, for a target; None: what its first image says.

    Raises
    ------
    As `attribute` does, except for a unit whose value is not above zero: look at ``values``.
    """
    if method not in METHODS:
        raise InputError(unknown("method", method, METHODS, "there are"))
    if target is not None and unit is not None:
        raise InputError("got both target= and unit=; expected one of them")
    seed: _UnitSeed | _ClassSeed = (
        _ClassSeed(target, kind or output_kind(probe, images[:1]), len(images))
        if unit is None
        else _UnitSeed(Unit.parse(unit), probe)
    )
    rule = ReluRule(RULES[method]) if method in RULES else None
    with LocalResponsePasses() if method == "deconvnet" else nullcontext():
        maps = probe.image_gradient(images, seed, during=rule)
    kept = tuple(rule.kept) if rule is not None else ()
    return Attributions(maps.float(), seed.values, seed.positions, kept)


class _UnitSeed:
    """The sum over the images of one unit each: its gradient by an image is that unit's."""

    def __init__(self, unit: Unit, probe: Probe) -> None:
        self._unit = unit
        self._infos = {layer.name: layer for layer in probe.layers}

    def __call__(self, outputs: Mapping[str, Tensor], result: Any) -> Tensor:
        layer = self._unit.layer
        if layer not in self._infos:
            raise UnknownLayerError(unknown("layer", layer, self._infos, "this model has"))
        if self._infos[layer].without_channels:
            raise InputError(self._infos[layer].without_channels)
        if layer not in outputs:
            raise ModelError(f"no gradient reaches {layer}: it runs under no_grad")
        values, self.positions = self._unit.values(outputs)
        self.values = values.detach()
        return values.sum()


class _ClassSeed:
    """The sum over the images of one class score each."""

    positions: None = None

    def __init__(self, target: int | None, kind: OutputKind, count: int) -> None:
        self._target, self._kind, self._count = target, kind, count

    def __call__(self, outputs: Mapping[str, Tensor], result: Any) -> Tensor:
        kind = self._kind
        scores = kind.values(result, self._count)  # (N, K, ...)
        if kind.classes is None:
            raise InputError(
                f"the model has no class scores (N, K): its output is {tuple(scores.shape)}; give "
                "unit=(layer, channel, position), or output= where they are among what it puts out"
            )
        values = self._of_map(scores) if kind.name == SEGMENTATION else self._of_row(scores)
        self.values = values.detach()
        return values.sum()

    def _of_row(self, scores: Tensor) -> Tensor:
        values = self._kind.class_values(scores)  # (N, K)
        best = values.detach().argmax(1, keepdim=True)
        index = self._checked()
        return values.gather(1, best if index is None else torch.full_like(best, index)).flatten()

    def _of_map(self, scores: Tensor) -> Tensor:
        """Return the sum of each image's scores over the positions that the class has."""
        values = self._kind.class_values(scores)  # (N, K, H, W)
        predicted = values.detach().argmax(1).flatten(1)  # (N, H·W)
        index = self._checked()
        if index is None:
            wanted = predicted.mode(1, keepdim=True).values
        else:
            wanted = torch.full_like(predicted[:, :1], index)
        here = predicted == wanted
        if not here.any(1).all():
            raise InputError(
                f"class {index} is predicted at no position of this image: there is nothing to "
                "explain; give the target of one that is, or unit=(layer, channel, (row, col))"
            )
        flat = values.flatten(2)
        chosen = flat.gather(1, wanted[:, None].expand(-1, 1, flat.shape[2]))[:, 0]
        return (chosen * here).sum(1)

    def _checked(self) -> int | None:
        if self._target is None:
            return None
        return checked_index("class", self._target, self._kind.classes or 0, "this model")


def _one_image(image: Any) -> Tensor:
    if isinstance(image, Tensor) and image.ndim == 3:
        return image[None]
    if isinstance(image, Tensor) and image.ndim == 4 and len(image) == 1:
        return image
    got = tuple(image.shape) if isinstance(image, Tensor) else type(image).__name__
    raise InputError(f"expected one image (C, H, W) or (1, C, H, W), got {got}")


def _named(unit: Any, found: Attributions) -> str:
    parsed = Unit.parse(unit)
    at = (found.positions or ((),))[0]
    return f"{parsed.layer}, channel {parsed.channel}, {at}"
