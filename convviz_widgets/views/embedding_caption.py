"""The lines under an embedding: what it is of, and how far it can be trusted."""

from __future__ import annotations

import math

from convviz_widgets.instrument import LayerInfo
from convviz_widgets.state.embeddings import Embedding


def sentences(
    found: Embedding,
    *,
    layer: LayerInfo,
    instead_of: str,
    step: str,
    reference: str,
    total: int,
    beyond: int,
) -> list[str]:
    """Return what the lines say.

    Parameters
    ----------
    layer, instead_of
        The layer that the codes are of, and the selected one where that is another.
    step, reference
        The checkpoints: shown, and turned to.
    total
        Images of the set.
    beyond
        Points that lie outside the frame.
    """
    n = int(found.shown.sum())
    drawn = f" of {total:,}, evenly drawn" if len(found.images) < total else ""
    missing = len(found.images) - n
    said = [
        f"codes of {layer.name}{_stands_for(instead_of)}: {_shape(layer)}",
        step,
        f"n = {n:,} images{drawn}",
        *_method(found),
        _turned(found, step, reference),
        f"frame {2 * found.frame.half:.2g} spreads wide at every step",
        "line: the selected image's way through the steps",
    ]
    if missing:
        why = f" ({found.failures[0]})" if found.failures else ""
        said.append(f"{missing} without a finite code left out{why}")
    if beyond:
        said.append(f"{beyond} outside, drawn at its edge")
    return said


def _stands_for(instead_of: str) -> str:
    return f" (the activation after {instead_of})" if instead_of else ""


def _shape(layer: LayerInfo) -> str:
    if len(layer.shape) < 2:
        return f"{layer.shape[0]} numbers an image"
    places = "×".join(map(str, layer.shape[1:]))
    return f"{layer.shape[0]} channels, each the mean over its {places} positions"


def _method(found: Embedding) -> list[str]:
    layout = found.layout
    if layout.divergence is not None:
        return [
            f"t-SNE, perplexity {layout.perplexity:.3g}, KL divergence {layout.divergence:.3g}: "
            "who is near whom counts; distances between far clusters and their sizes mean little"
        ]
    if layout.shares is None or math.isnan(layout.shares[0]):
        return ["ALL CODES ARE THE SAME: one point"]
    first, second = layout.shares
    return [f"PCA: {first + second:.0%} of the variance ({first:.0%} + {second:.0%})"]


def _turned(found: Embedding, step: str, reference: str) -> str:
    if step == reference:
        return "the other steps are turned onto this one"
    if math.isnan(found.agreement):
        return f"not turned: {step if not found.spread else reference} has no spread"
    spread = "" if found.layout.divergence is not None else f", spread {found.spread:.2g}× as large"
    return (
        f"turned or mirrored and scaled onto {reference}: agreement {found.agreement:.2f} of 1"
        f"{spread}"
    )
