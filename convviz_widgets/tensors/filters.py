"""Filter tiles: the weights of a layer as pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convviz_widgets.errors import InputError
from convviz_widgets.tensors.display import Numbers, to_display_array
from convviz_widgets.tensors.kernels import kernels


@dataclass(frozen=True, eq=False)
class FilterTiles:
    """Tiles of weights, and what each of them stands for.

    Weights are signed: draw them with `symmetric_limits`, so that zero is mid-grey.
    """

    values: np.ndarray
    """(n, h, w), or (n, h, w, 3) where `rgb`; memory of its own."""
    rgb: bool
    """Whether the three input channels are the colours of one tile."""
    outputs: tuple[int | None, ...]
    """Output channel of each tile; None where each row of the tile is one (`by_row`)."""
    inputs: tuple[int | None, ...]
    """Input channel of each tile; None where the tile shows all of them."""
    caption: str
    """One line on what the tiles are."""
    sliced: bool = False
    """Whether a tile is one slice of a filter that has more."""

    @property
    def by_row(self) -> bool:
        """Whether there is one tile, a matrix with one output in each row."""
        return self.outputs == (None,)

    def output_at(self, tile: int, row: int) -> int:
        """Return the output channel to which a pixel in this row of this tile belongs."""
        output = self.outputs[tile]
        return row if output is None else output

    def label(self, tile: int) -> str:
        """Return what a tile stands for, in words: ``filter 3, input 5``."""
        output, source = self.outputs[tile], self.inputs[tile]
        if output is None:
            return self.caption
        return f"filter {output}" + ("" if source is None else f", input {source}")


def filter_tiles(
    weight: Numbers,
    *,
    groups: int = 1,
    out_channel: int | None = None,
    in_channel: int | None = None,
    feeding_shape: tuple[int, ...] | None = None,
    transposed: bool = False,
    rgb: bool | None = None,
) -> FilterTiles:
    """Return the weights of a convolution or a fully connected layer as tiles.

    Filters with three input channels become one colour tile each, filters with one (grey images,
    depthwise layers) one plain tile each. Of deeper filters only slices can be shown: those of
    one output channel, a tile for each input channel of its group; or, with `in_channel`, those
    of all outputs that read this input. Weights without extent (1×1, fully connected) become one
    matrix with a row for each output.

    Parameters
    ----------
    weight, groups, feeding_shape, transposed
        As in `kernels`: the weight as PyTorch keeps it. With `feeding_shape` (C, H, W) the rows of
        a fully connected layer are reshaped to the map that feeds it.
    out_channel
        Whose slices are shown, by default the first. No effect where every filter has its tile.
    in_channel
        Show the outputs that read this input channel (counted over all groups), never in colour;
        with `out_channel` that one slice.
    rgb
        Whether three input channels are colours. None: where filters with extent in two
        dimensions have three, in one group.

    Raises
    ------
    InputError
        For a weight that has no filters or does not fit the other arguments, and for channels
        out of range.

    Notes
    -----
    After CS231n, "Understanding and Visualizing Convolutional Neural Networks": the first layer
    in colour, deeper layers by slice.
    """
    array = to_display_array(weight)
    ordered = kernels(array, groups, feeding_shape, transposed)  # (O, I/groups, h, w)
    outputs, inputs, height, width = ordered.shape
    _check_channel("out_channel", out_channel, outputs)
    _check_channel("in_channel", in_channel, inputs * groups)
    if in_channel is not None:
        return _of_input(ordered, groups, in_channel, out_channel)
    extended = height * width > 1
    if rgb or (rgb is None and inputs == 3 and groups == 1 and extended and array.ndim != 3):
        return _in_color(ordered)
    if inputs == 1:
        return _plain(ordered, groups)
    if not extended:
        return _matrix(ordered)
    return _of_output(ordered, groups, out_channel or 0)


def _in_color(ordered: np.ndarray) -> FilterTiles:
    outputs, inputs, height, width = ordered.shape
    if inputs != 3:
        raise InputError(f"filters with {inputs} input channels have no colours; expected 3")
    return FilterTiles(
        values=np.ascontiguousarray(ordered.transpose(0, 2, 3, 1)),
        rgb=True,
        outputs=tuple(range(outputs)),
        inputs=(None,) * outputs,
        caption=f"{outputs} filters of {height}×{width} in colour",
    )


def _plain(ordered: np.ndarray, groups: int) -> FilterTiles:
    outputs, _, height, width = ordered.shape
    each = "" if groups == 1 else ", each on one input channel"
    return FilterTiles(
        values=np.ascontiguousarray(ordered[:, 0]),
        rgb=False,
        outputs=tuple(range(outputs)),
        inputs=tuple(output * groups // outputs for output in range(outputs)),
        caption=f"{outputs} filters of {height}×{width}{each}",
    )


def _matrix(ordered: np.ndarray) -> FilterTiles:
    outputs, inputs = ordered.shape[:2]
    return FilterTiles(
        values=ordered.reshape(1, outputs, inputs).copy(),
        rgb=False,
        outputs=(None,),
        inputs=(None,),
        caption=f"{outputs} outputs (rows) × {inputs} inputs (columns)",
    )


def _of_output(ordered: np.ndarray, groups: int, output: int) -> FilterTiles:
    outputs, inputs, height, width = ordered.shape
    first = output * groups // outputs * inputs  # first input channel of the output's group
    return FilterTiles(
        values=ordered[output].copy(),
        rgb=False,
        outputs=(output,) * inputs,
        inputs=tuple(range(first, first + inputs)),
        caption=f"filter {output} of {outputs}: its {inputs} slices of {height}×{width}, "
        "one for each input channel",
        sliced=True,
    )


def _of_input(ordered: np.ndarray, groups: int, source: int, output: int | None) -> FilterTiles:
    outputs, inputs, height, width = ordered.shape
    group, within = divmod(source, inputs)
    readers = range(group * outputs // groups, (group + 1) * outputs // groups)
    if output is not None:
        if output not in readers:
            raise InputError(
                f"output {output} does not read input {source}; "
                f"outputs {readers[0]} to {readers[-1]} do"
            )
        readers = range(output, output + 1)
    return FilterTiles(
        values=ordered[readers.start : readers.stop, within].copy(),
        rgb=False,
        outputs=tuple(readers),
        inputs=(source,) * len(readers),
        caption=f"{len(readers)} slices of {height}×{width} that read input {source}",
        sliced=True,
    )


def _check_channel(name: str, channel: int | None, count: int) -> None:
    if channel is not None and not 0 <= channel < count:
        raise InputError(f"{name} {channel} is out of range; expected 0 to {count - 1}")
