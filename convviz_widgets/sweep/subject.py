"""What a result is about, by which it tells whether another one belongs to it."""

from __future__ import annotations

from dataclasses import dataclass

from convviz_widgets.errors import InputError
from convviz_widgets.instrument import LayerInfo


@dataclass(frozen=True)
class Subject:
    """The layers, the checkpoints and the data set of a sweep.

    Attributes
    ----------
    layers : those swept, in execution order.
    steps : of the checkpoints; () for the model as it was.
    weights : sha256 of each checkpoint's weights, or of the model's; "" of one not loaded yet.
    data : sha256 of the data set, see `data_fingerprint`.
    count : images in the data set.
    image_shape : (C, H, W).
    k : places in each channel's top list.
    """

    layers: tuple[LayerInfo, ...]
    steps: tuple[int, ...]
    weights: tuple[str, ...]
    data: str
    count: int
    image_shape: tuple[int, ...]
    k: int

    def joined(self, other: Subject) -> Subject:
        """Return what both are about.

        Raises
        ------
        InputError
            They are about different things; says which.
        """
        difference = self._difference(other)
        if difference:
            raise InputError(f"these results do not belong together: {difference}")
        pairs = zip(self.weights, other.weights, strict=True)
        return self.with_weights(tuple(mine or theirs for mine, theirs in pairs))

    def with_weights(self, weights: tuple[str, ...]) -> Subject:
        """Return the same with other fingerprints of the weights."""
        return Subject(**{**vars(self), "weights": weights})

    def weights_name(self, index: int) -> str:
        """Say whose weights these are."""
        return f"weights at step {self.steps[index]}" if self.steps else "model's weights"

    def _difference(self, other: Subject) -> str:
        if self.layers != other.layers:
            mine, theirs = _names(self.layers), _names(other.layers)
            same_names = "of other shapes" if mine == theirs else f"{mine} and {theirs}"
            return f"the layers differ, {same_names}"
        if self.steps != other.steps:
            return f"the checkpoints differ, steps {_span(self.steps)} and {_span(other.steps)}"
        for index, pair in enumerate(zip(self.weights, other.weights, strict=True)):
            if "" not in pair and len(set(pair)) > 1:
                return f"the {self.weights_name(index)} differ"
        if (self.count, self.data) != (other.count, other.data):
            return f"the data sets differ, {self.count:,} and {other.count:,} images"
        return f"they keep the top {self.k} and {other.k}" if self.k != other.k else ""


def _names(layers: tuple[LayerInfo, ...]) -> str:
    names = [layer.name for layer in layers]
    return ", ".join(names[:3]) + (f", ... ({len(names)} in all)" if len(names) > 3 else "")


def _span(steps: tuple[int, ...]) -> str:
    return f"{steps[0]:,} to {steps[-1]:,} ({len(steps)})" if steps else "none"
