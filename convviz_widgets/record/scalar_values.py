"""Which values of a TensorBoard event are metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_SCALARS = "scalars"


class ScalarValues:
    """Takes the scalars out of the events of one file, in both of TensorBoard's formats.

    The old format has a field for them. The new one has tensors, and says with the first of a tag
    which plugin they are for; where that first one is lost, any single number counts.
    """

    def __init__(self) -> None:
        self._plugins: dict[str, str] = {}

    def of(self, event: Any) -> Iterator[tuple[str, float]]:
        """Yield tag and value of each scalar in an ``event_pb2.Event``."""
        for value in event.summary.value:
            kind = value.WhichOneof("value")
            if kind == "simple_value":
                yield value.tag, value.simple_value
            elif kind == "tensor":
                number = self._number(value)
                if number is not None:
                    yield value.tag, number

    def _number(self, value: Any) -> float | None:
        if value.HasField("metadata"):
            self._plugins.setdefault(value.tag, value.metadata.plugin_data.plugin_name)
        if self._plugins.get(value.tag, _SCALARS) != _SCALARS:
            return None
        return _single_number(value.tensor)


def _single_number(tensor: Any) -> float | None:
    """Return a tensor's only value; None where it has several or is no number.

    The shape is looked at first: a few bytes can declare a tensor of any size.
    """
    from tensorboard.util import tensor_util

    if any(dimension.size != 1 for dimension in tensor.tensor_shape.dim):
        return None
    array = tensor_util.make_ndarray(tensor)
    return float(array.reshape(())) if array.dtype.kind in "biuf" else None
