"""Filters: a layer's weights as tiles, with their share of colour, their frequency, their order."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from convviz_widgets.errors import InputError
from convviz_widgets.tensors.display import Numbers, to_display_array

SPECTRUM = 64
"""Points of the spectrum on each axis: frequencies are known to a 64th of a cycle a pixel."""


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
    weight, groups, feeding_shape, transposed : as in `kernels`: the weight as PyTorch keeps it.
        With `feeding_shape` (C, H, W) the rows of a fully connected layer are reshaped to the map
        that feeds it.
    out_channel : whose slices are shown, by default the first. No effect where every filter has its
        tile.
    in_channel : show the outputs that read this input channel (counted over all groups), never in
        colour; with `out_channel` that one slice.
    rgb : whether three input channels are colours. None: where filters with extent in two
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


def colourfulness(filters: Numbers) -> np.ndarray:
    """Return how much of each filter is colour: 0 for grey, 1 for what a grey image cannot see.

    Parameters
    ----------
    filters : (O, 3, h, w), first-layer filters; other numbers of channels have no colour.

    Returns
    -------
    numpy.ndarray
        (O,) float64 in [0, 1]: √Σ(w_c − grey)² / √Σw_c², grey being the mean of the three
        channels. 0 for a filter of zeros; NaN for one that is not finite.
    """
    array = _filters(filters)
    if array.shape[1] != 3:
        raise InputError(f"filters with {array.shape[1]} input channels have no colours; need 3")
    off_grey = array - array.mean(axis=1, keepdims=True)
    whole = _norm(array)
    return np.divide(_norm(off_grey), whole, out=whole * 0.0, where=whole != 0)


def dominant_frequency(filters: Numbers) -> np.ndarray:
    """Return the spatial frequency at which each filter is strongest.

    Parameters
    ----------
    filters : (O, I, h, w).

    Returns
    -------
    numpy.ndarray
        (O,) float64 in cycles a pixel: 0 for a blob of one sign, 0.5 for columns that alternate,
        √0.5 for a chequerboard. It is the peak of the power spectrum, summed over the inputs. NaN
        where a filter is zero or not finite.
    """
    array = _filters(filters)
    finite = np.isfinite(array).all(axis=(1, 2, 3)) & array.any(axis=(1, 2, 3))  # (O,)
    safe = np.where(finite[:, None, None, None], array, 0.0)
    size = max(SPECTRUM, *array.shape[2:])
    power = np.stack([(np.abs(np.fft.rfft2(one, s=(size, size))) ** 2).sum(axis=0) for one in safe])
    strongest = power.reshape(len(array), -1).argmax(axis=1)  # (O,)
    row, column = np.unravel_index(strongest, power.shape[1:])
    frequency = np.hypot(np.fft.fftfreq(size)[row], np.fft.rfftfreq(size)[column])
    return np.where(finite, frequency, np.nan)


def filter_order(filters: Numbers) -> np.ndarray:
    """Return the filters' numbers, coloured low-frequency ones first, grey fast ones last.

    Colourful and slow count alike, by rank: so the two streams part that AlexNet's first layer
    has (Krizhevsky, Sutskever & Hinton, 2012). Filters of other than three inputs go by their
    frequency alone; those without one, being zero or not finite, come last.
    """
    array = _filters(filters)
    fast = dominant_frequency(array)
    known = np.isfinite(fast)
    key = _rank(np.where(known, fast, np.inf)).astype(np.float64)
    if array.shape[1] == 3:
        key -= _rank(np.where(known, np.nan_to_num(colourfulness(array)), -np.inf))
    return np.lexsort((key, ~known))


def _filters(filters: Numbers) -> np.ndarray:
    array = to_display_array(filters).astype(np.float64)
    if array.ndim != 4 or 0 in array.shape:
        raise InputError(f"expected filters (O, I, h, w), got {array.shape}")
    return array


def _norm(array: np.ndarray) -> np.ndarray:
    """Return the Euclidean norm of each filter: (O,)."""
    return np.sqrt((array**2).sum(axis=(1, 2, 3)))


def _rank(values: np.ndarray) -> np.ndarray:
    """Return the place of each value among the different ones, equal values sharing theirs."""
    return np.unique(values, return_inverse=True)[1]


def kernels(
    weight: np.ndarray,
    groups: int = 1,
    feeding_shape: tuple[int, ...] | None = None,
    transposed: bool = False,
) -> np.ndarray:
    """Return a weight as PyTorch keeps it as (O, I/groups, h, w).

    Parameters
    ----------
    weight : (O, I/groups, ...) with one to three kernel axes, transposed (I, O/groups, ...), or
        fully connected (O, F). A kernel in one dimension becomes one line; in three, its depth
        slices are laid side by side.
    groups : number of groups of the convolution.
    feeding_shape : (C, H, W) of the map that feeds a fully connected layer; its weights then look
        like a convolution of that size. None or (F,): F inputs of one position each.
    transposed : whether the weight is that of a transposed convolution.

    Raises
    ------
    InputError
        For a weight of other shapes, or one that does not fit `groups` or `feeding_shape`.
    """
    if not 2 <= weight.ndim <= 5 or 0 in weight.shape:
        raise InputError(
            f"a weight of shape {weight.shape} has no filters to show; expected that of a "
            "convolution or a fully connected layer"
        )
    if weight.ndim == 2:
        return _fully_connected(weight, feeding_shape)
    grouped = weight.shape[0]  # inputs of a transposed convolution, outputs otherwise
    if groups < 1 or grouped % groups:
        raise InputError(f"{groups} groups do not fit a weight of shape {weight.shape}")
    if transposed:
        apart = weight.reshape(groups, grouped // groups, *weight.shape[1:])
        weight = apart.swapaxes(1, 2).reshape(-1, grouped // groups, *weight.shape[2:])
    return _flat(weight)


def _fully_connected(weight: np.ndarray, feeding_shape: tuple[int, ...] | None) -> np.ndarray:
    outputs, inputs = weight.shape
    channels, *extent = feeding_shape or (inputs,)
    shape = (channels, *(1,) * (2 - len(extent)), *extent)
    if len(shape) != 3 or math.prod(shape) != inputs:
        raise InputError(
            f"a map of shape {feeding_shape} does not feed a layer with {inputs} inputs; "
            f"expected (C, H, W) with C·H·W = {inputs}"
        )
    return weight.reshape(outputs, *shape)


def _flat(weight: np.ndarray) -> np.ndarray:
    """Return (O, I, [[d,] h,] w) as (O, I, h, d·w)."""
    outputs, inputs, *kernel = weight.shape
    depth, height, width = (1,) * (3 - len(kernel)) + tuple(kernel)
    deep = weight.reshape(outputs, inputs, depth, height, width)
    return deep.swapaxes(2, 3).reshape(outputs, inputs, height, depth * width)
