"""Functions that measure one checkpoint: weights, activations, gradients, updates and filters."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convviz_widgets.images import ImageSet
from convviz_widgets.measure.answers import Answers
from convviz_widgets.measure.measurement import (
    BIASES,
    OUTPUT_GRADIENTS,
    OUTPUTS,
    PRE_ACTIVATIONS,
    WEIGHT_GRADIENTS,
    WEIGHTS,
    FilterFacts,
    Measurement,
    Name,
)
from convviz_widgets.measure.responses import ImageBatch
from convviz_widgets.probe import Probe, Recording
from convviz_widgets.probe.gradients import image_gradient_of
from convviz_widgets.probe.output_kinds import OutputKind
from convviz_widgets.probe.recording import storage_of
from convviz_widgets.tensors import (
    Distribution,
    FilterQuality,
    concentration,
    distribution,
    filter_quality,
    to_display_array,
)

_CONVOLUTION_DIMENSIONS = 3
"""A weight with fewer has no kernels."""

Pause = Callable[[], object]
"""Is called between two layers: it may raise, or let the probe be used for something else, but
leaves the same weights in it."""


def _go_on() -> None:
    """Pause for nothing."""


def measure_parameters(probe: Probe, pause: Pause = _go_on) -> Measurement:
    """Count the weights and biases of every layer that has some, with a pause before each."""
    found: dict[Name, Distribution] = {}
    for info in probe.layers:
        pause()
        for quantity, value in (
            (WEIGHTS, probe.weight(info.name)),
            (BIASES, probe.bias(info.name)),
        ):
            if value is not None:
                found[info.name, quantity] = _compact(distribution(value))
    return Measurement(distributions=found)


def measure_activations(probe: Probe, batches: Iterable[Tensor]) -> Measurement:
    """Count what every layer puts out, and what every activation takes in.

    One forward pass for each batch (N, C, H, W); nothing but counts outlives it. Of the output of
    every activation the mean `concentration` of its maps is taken, those that are zero everywhere
    left out, and the number of images on which each channel fires.
    """
    counts: dict[Name, Distribution] = {}
    fired: dict[str, np.ndarray] = {}
    shares: dict[str, list[np.ndarray]] = {}
    images = 0
    unknown = _without_channels(probe)
    for batch in batches:
        recording = probe.record(batch)
        images += len(batch)
        for name, part in _counted(recording).items():
            counts[name] = counts[name] + part if name in counts else part
        _add_fired(fired, recording, unknown)
        for layer in recording.inputs.keys() - unknown:
            maps = to_display_array(recording.outputs[layer])  # (N, C, ...)
            if maps.ndim > 2:
                shares.setdefault(layer, []).append(
                    concentration(maps.reshape(-1, *maps.shape[2:]))
                )
    return Measurement(
        images,
        {name: _compact(part) for name, part in counts.items()},
        fired,
        concentration={layer: _mean(parts) for layer, parts in shares.items()},
    )


def measure_image_set(
    probe: Probe,
    images: ImageSet,
    batches: Iterable[ImageBatch],
    initial: Mapping[str, Tensor] | None = None,
    pause: Pause = _go_on,
    kind: OutputKind | None = None,
) -> Measurement:
    """Count where each channel of every activation is not zero, and what the model answers.

    One forward pass for each batch; nothing but counts outlives it. Images that could not be read
    do not count. The noise of the filters is measured as well, against the ``initial`` weights
    where those are known, with a pause before each layer. ``kind`` is what the model puts out;
    None: what its shape suggests.
    """
    fired: dict[str, np.ndarray] = {}
    answers = Answers(images, kind)
    unknown = _without_channels(probe)
    for batch in batches:
        if batch.inputs is not None:
            recording = probe.record(batch.inputs)
            answers.add(batch.indices.tolist(), recording.result, batch.expected)
            _add_fired(fired, recording, unknown)
    facts = answers.facts
    filters = measure_filters(probe, initial, pause).filters
    return Measurement(facts.images, fired=fired, filters=filters, answers=facts)


def measure_gradients(
    probe: Probe,
    images: Tensor,
    loss: Callable[[Any], Tensor],
    pause: Pause = _go_on,
    at_once: int | None = None,
) -> Measurement:
    """Count the gradients of the loss on one batch by every layer's output and weights.

    There is a pause before each layer is counted, and before each pass.

    Parameters
    ----------
    at_once : images in a pass; None: all. What comes out is the same, but for rounding.
    """
    pieces = images.split(at_once or len(images))
    outputs, weights, value = _gradients(probe, pieces, loss, pause)
    counts: dict[Name, Distribution] = {}
    means: dict[Name, float] = {}
    for quantity, found in ((OUTPUT_GRADIENTS, outputs), (WEIGHT_GRADIENTS, weights)):
        for layer, gradient in found.items():
            pause()
            values = to_display_array(gradient)
            counts[layer, quantity] = _compact(distribution(values))
            means[layer, quantity] = _mean([np.abs(values).ravel()])
    return Measurement(len(images), counts, magnitudes=means, loss=value)


_Found = tuple[dict[str, Tensor], dict[str, Tensor], float]
"""The gradients by the outputs and by the weights of layers, and the loss."""


def _gradients(
    probe: Probe, pieces: Sequence[Tensor], loss: Callable[[Any], Tensor], pause: Pause
) -> _Found:
    """Differentiate the loss on all pieces, with one pass for each where that can be.

    A loss need not be a sum over images. So it is taken of what the model puts out for all of
    them, and its gradient by that goes on through one piece after the other: the chain rule, at
    the price of one more forward pass [Gao et al., RepL4NLP 2021].
    """
    output = _output(probe, pieces, pause) if len(pieces) > 1 else None
    if output is not None:
        return _through(probe, pieces, output.requires_grad_(), loss, pause)
    pause()
    whole = probe.backward(torch.cat(list(pieces)), loss)
    return whole.outputs, whole.weights, whole.loss


def _output(probe: Probe, pieces: Sequence[Tensor], pause: Pause) -> Tensor | None:
    """Return what the model puts out; None if not one tensor, or if one image changes another's."""
    found: list[Tensor] = []
    for piece in (pieces[0][:1], *pieces):
        pause()
        result = probe.record(piece, layers=()).result
        is_floating = isinstance(result, Tensor) and result.is_floating_point()
        if not is_floating or result.shape[:1] != piece.shape[:1]:
            return None
        found.append(result.detach())
    alone, *rest = found
    is_its_own = torch.allclose(alone, rest[0][:1], rtol=1e-3, atol=1e-5, equal_nan=True)
    return torch.cat(rest) if is_its_own else None


def _through(
    probe: Probe,
    pieces: Sequence[Tensor],
    output: Tensor,
    loss: Callable[[Any], Tensor],
    pause: Pause,
) -> _Found:
    """Differentiate the loss by an output of the model, and that by layers, piece by piece."""
    with torch.enable_grad():
        value = loss(output.clone())  # which it may change in place
        seeds = image_gradient_of(value, output).split(len(pieces[0]))
    outputs: dict[str, list[Tensor]] = {}
    weights: dict[str, Tensor] = {}
    for piece, seed in zip(pieces, seeds, strict=True):
        pause()
        part = probe.backward(piece, partial(_weighted, seed))
        for layer, gradient in part.outputs.items():
            outputs.setdefault(layer, []).append(gradient)
        for layer, gradient in part.weights.items():
            weights[layer] = weights[layer] + gradient if layer in weights else gradient
    return {layer: torch.cat(parts) for layer, parts in outputs.items()}, weights, value.item()


def _weighted(weights: Tensor, output: Tensor) -> Tensor:
    return (output * weights).sum()


def measure_updates(
    probe: Probe, before: Mapping[str, Tensor], pause: Pause = _go_on
) -> Measurement:
    """Measure how far the weights of two or more dimensions have moved: ‖W − W₀‖ / ‖W₀‖.

    Layer by layer, with a pause before each, so that one is held in double precision at a time.

    Parameters
    ----------
    before : the weights of an earlier checkpoint, as `weights_of` returned them.
    """
    matrices = _matrices(probe, pause)
    ratios = {layer: relative_change(before[layer], weight) for layer, weight in matrices}
    return Measurement(update_ratios=ratios)


def relative_change(before: Tensor, now: Tensor) -> float:
    """Return ‖W − W₀‖ / ‖W₀‖ in double precision; NaN from weights of zero."""
    before, now = before.to(torch.float64), now.to(torch.float64)
    norm = float(torch.linalg.vector_norm(before))
    return float(torch.linalg.vector_norm(now - before)) / norm if norm else math.nan


def weights_of(probe: Probe, pause: Pause = _go_on) -> dict[str, Tensor]:
    """Return copies of the weights with two or more dimensions, with a pause before each."""
    return dict(_matrices(probe, pause))


def _matrices(probe: Probe, pause: Pause) -> Iterator[tuple[str, Tensor]]:
    for info in probe.layers:
        pause()
        weight = probe.weight(info.name)
        if weight is not None and weight.ndim >= 2 and weight.is_floating_point():
            yield info.name, weight


def measure_filters(
    probe: Probe, initial: Mapping[str, Tensor] | None = None, pause: Pause = _go_on
) -> Measurement:
    """Measure how noisy the filters of every convolution are, see `filter_quality`.

    There is a pause before each layer.

    Parameters
    ----------
    initial : weights of step 0 by layer, as `weights_of` returned them; None where they are
        unknown.
    """
    found: dict[str, FilterFacts] = {}
    for info in probe.layers:
        pause()
        weight = probe.weight(info.name)
        if weight is None or weight.ndim < _CONVOLUTION_DIMENSIONS:
            continue
        quality = filter_quality(
            weight,
            None if initial is None else initial.get(info.name),
            groups=info.groups,
            transposed="Transpose" in info.kind,
        )
        if quality is not None:
            found[info.name] = _facts(quality)
    return Measurement(filters=found)


def _facts(quality: FilterQuality) -> FilterFacts:
    facts = FilterFacts(quality.share, quality.count, quality.cosine, quality.update_share)
    entropy = quality.entropy
    if entropy is None:
        return facts
    return replace(facts, entropy=entropy.value, relative_entropy=entropy.relative)


def _counted(recording: Recording) -> dict[Name, Distribution]:
    """Return the distribution of every tensor; those of the same memory are counted once."""
    known: dict[Any, Distribution] = {}

    def counted(tensor: Tensor) -> Distribution:
        place = storage_of(tensor), tensor.storage_offset(), tensor.numel(), tensor.dtype
        if place[0] is None:
            return distribution(tensor)
        if place not in known:
            known[place] = distribution(tensor)
        return known[place]

    return {
        **{(layer, OUTPUTS): counted(tensor) for layer, tensor in recording.outputs.items()},
        **{(layer, PRE_ACTIVATIONS): counted(tensor) for layer, tensor in recording.inputs.items()},
    }


def _without_channels(probe: Probe) -> frozenset[str]:
    """Return the layers of which the channels are not known."""
    return frozenset(info.name for info in probe.layers if not info.has_channels)


def _add_fired(
    fired: dict[str, np.ndarray], recording: Recording, unknown: Collection[str]
) -> None:
    """Add the images on which each channel of every activation fires, in place."""
    for layer in recording.inputs:
        if layer in unknown:
            continue
        maps = recording.outputs[layer]  # (N, C, ...)
        if layer in recording.prefixes:  # a channel may fire on the class token alone
            maps = torch.cat([recording.prefixes[layer], maps.flatten(2)], 2)
        if maps.ndim >= 2:
            fired[layer] = fired.get(layer, 0) + fired_images(maps)


def fired_images(maps: Tensor) -> np.ndarray:
    """Return on how many images each channel of (N, C, ...) is not zero everywhere: int64 (C,)."""
    return (maps.reshape(*maps.shape[:2], -1) != 0).any(dim=2).sum(dim=0).cpu().numpy()


def _mean(parts: list[np.ndarray]) -> float:
    """Return the mean of all values that are not NaN; NaN for none."""
    values = np.concatenate(parts)
    known = values[~np.isnan(values)]
    return float(known.mean(dtype=np.float64)) if known.size else float("nan")


def _compact(counted: Distribution) -> Distribution:
    """Return the same distribution with its counts in the smallest type that holds them."""
    smallest = np.min_scalar_type(int(counted.counts.max(initial=0)))
    return replace(counted, counts=counted.counts.astype(smallest))
