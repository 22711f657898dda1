import math

import numpy as np
import pytest
import torch
from torch import nn

from convviz_widgets.errors import InputError
from convviz_widgets.tensors import colourfulness, dominant_frequency, filter_order, filter_tiles


def numbered(*shape):
    return torch.arange(float(np.prod(shape))).reshape(shape)


def test_filters_of_the_first_layer_are_in_colour():
    weight = numbered(2, 3, 4, 5)
    tiles = filter_tiles(weight, out_channel=1)
    assert tiles.rgb
    assert tiles.values.shape == (2, 4, 5, 3)
    np.testing.assert_array_equal(tiles.values[1, 2, 3], weight[1, :, 2, 3])
    assert tiles.outputs == (0, 1)
    assert tiles.label(1) == "filter 1"


def test_colours_can_be_switched_off():
    tiles = filter_tiles(numbered(2, 3, 4, 5), rgb=False, out_channel=1)
    assert not tiles.rgb
    np.testing.assert_array_equal(tiles.values, numbered(2, 3, 4, 5)[1])


def test_filters_with_one_input_channel_are_plain():
    tiles = filter_tiles(numbered(4, 1, 3, 3))
    np.testing.assert_array_equal(tiles.values, numbered(4, 1, 3, 3)[:, 0])
    assert tiles.outputs == (0, 1, 2, 3)
    assert not tiles.rgb


def test_depthwise_filters_know_their_input():
    tiles = filter_tiles(nn.Conv2d(3, 6, 3, groups=3).weight, groups=3)
    assert tiles.values.shape == (6, 3, 3)
    assert tiles.inputs == (0, 0, 1, 1, 2, 2)
    assert tiles.label(5) == "filter 5, input 2"


def test_a_deeper_filter_is_shown_by_slice():
    weight = numbered(3, 4, 2, 2)
    tiles = filter_tiles(weight, out_channel=2)
    np.testing.assert_array_equal(tiles.values, weight[2])
    assert tiles.outputs == (2, 2, 2, 2)
    assert tiles.inputs == (0, 1, 2, 3)
    np.testing.assert_array_equal(filter_tiles(weight).values, weight[0])


def test_all_readers_of_an_input_channel():
    weight = numbered(3, 4, 2, 2)
    tiles = filter_tiles(weight, in_channel=1)
    np.testing.assert_array_equal(tiles.values, weight[:, 1])
    assert tiles.outputs == (0, 1, 2)
    one = filter_tiles(weight, in_channel=1, out_channel=2)
    np.testing.assert_array_equal(one.values, weight[2:, 1])


def response(layer, source):
    """Return how each output answers to an impulse in one input channel: (O, kh, kw)."""
    impulse = torch.zeros(1, layer.in_channels, 5, 5)
    impulse[0, source, 2, 2] = 1
    answer = layer(impulse)[0].detach()
    if not layer.transposed:  # a correlation answers with its kernel upside down
        return answer[:, 1:4, 1:4].flip(1, 2).numpy()
    return answer[:, 2:5, 2:5].numpy()


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_slices_are_what_the_layer_does_with_each_input(kind, groups):
    torch.manual_seed(0)
    padding = 1 if kind is nn.Conv2d else 0
    layer = kind(4, 8, 3, padding=padding, groups=groups, bias=False)
    for source in range(4):
        answers = response(layer, source)
        tiles = filter_tiles(
            layer.weight, groups=groups, in_channel=source, transposed=layer.transposed
        )
        readers = np.flatnonzero(answers.any(axis=(1, 2)))
        assert tiles.outputs == tuple(readers)
        np.testing.assert_allclose(tiles.values, answers[readers], atol=1e-6)


@pytest.mark.parametrize("groups", [1, 2])
def test_slices_of_an_output_come_from_its_group(groups):
    weight = numbered(4, 6 // groups, 2, 2)
    for output in range(4):
        tiles = filter_tiles(weight, groups=groups, out_channel=output)
        for tile, source in enumerate(tiles.inputs):
            one = filter_tiles(weight, groups=groups, out_channel=output, in_channel=source)
            np.testing.assert_array_equal(one.values[0], tiles.values[tile])


def test_fully_connected_rows_take_the_shape_of_the_map_that_feeds_them():
    layer = nn.Linear(2 * 3 * 4, 5)
    tiles = filter_tiles(layer.weight, feeding_shape=(2, 3, 4), out_channel=1)
    maps = torch.randn(2, 3, 4)
    expected = float((layer(maps.flatten()) - layer.bias)[1].detach())
    assert float((tiles.values * maps.numpy()).sum()) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("shape", "values", "rgb"), [((3, 2, 2), (5, 2, 2, 3), True), ((1, 3, 4), (5, 3, 4), False)]
)
def test_units_that_read_an_image_look_like_first_filters(shape, values, rgb):
    tiles = filter_tiles(numbered(5, 12), feeding_shape=shape)
    assert tiles.values.shape == values
    assert tiles.rgb is rgb


@pytest.mark.parametrize("shape", [None, (7,), (7, 1, 1)])
def test_fully_connected_rows_without_a_map_are_a_matrix(shape):
    tiles = filter_tiles(numbered(5, 7), feeding_shape=shape)
    np.testing.assert_array_equal(tiles.values, numbered(1, 5, 7))
    assert tiles.by_row
    assert tiles.outputs == (None,)  # a row is the output of its number


@pytest.mark.parametrize("inputs", [3, 8])
def test_kernels_of_one_position_are_a_matrix(inputs):
    tiles = filter_tiles(numbered(4, inputs, 1, 1), out_channel=2)
    assert tiles.values.shape == (1, 4, inputs)
    assert tiles.by_row


def test_a_tile_belongs_to_its_output():
    assert filter_tiles(numbered(4, 1, 3, 3)).outputs == (0, 1, 2, 3)


def test_kernels_in_one_dimension_are_lines():
    assert filter_tiles(numbered(4, 1, 9)).values.shape == (4, 1, 9)
    assert filter_tiles(numbered(4, 3, 9)).values.shape == (3, 1, 9)  # no colours in a sound


def test_kernels_in_three_dimensions_are_laid_out_side_by_side():
    weight = numbered(2, 1, 3, 4, 5)
    tiles = filter_tiles(weight)
    assert tiles.values.shape == (2, 4, 15)
    np.testing.assert_array_equal(tiles.values[1][:, 5:10], weight[1, 0, 1])


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (4, 1, 3, 3), (2, 6, 3, 3), (5, 7)])
def test_tiles_are_the_callers_to_change(shape):
    weight = numbered(*shape)
    filter_tiles(weight).values[:] = -1
    np.testing.assert_array_equal(weight, numbered(*shape))


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((8,), {}, r"shape \(8,\) has no filters"),
        ((2, 0, 3, 3), {}, "has no filters"),
        ((4, 6, 3, 3), {"out_channel": 4}, "out_channel 4 is out of range; expected 0 to 3"),
        ((4, 6, 3, 3), {"in_channel": 12, "groups": 2}, "expected 0 to 11"),
        ((4, 6, 3, 3), {"groups": 3}, "3 groups do not fit"),
        ((4, 6, 3, 3), {"rgb": True}, "6 input channels have no colours"),
        ((5, 12), {"feeding_shape": (2, 2, 2)}, r"expected \(C, H, W\) with C·H·W = 12"),
        (
            (4, 2, 3, 3),
            {"groups": 2, "in_channel": 3, "out_channel": 0},
            "output 0 does not read input 3; outputs 2 to 3 do",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(shape, options, message):
    with pytest.raises(InputError, match=message):
        filter_tiles(numbered(*shape), **options)


def test_chroma_is_the_share_off_grey():
    one = np.ones((3, 4, 4))
    red_green = np.array([1.0, -1, 0])[:, None, None] * one
    red = np.array([1.0, 0, 0])[:, None, None] * one
    np.testing.assert_allclose(
        colourfulness(np.stack([one, red_green, red, 0 * one])),
        [0, 1, math.sqrt(2 / 3), 0],
        atol=1e-12,
    )


def chequerboard(size):
    return np.indices((size, size)).sum(axis=0) % 2 * 2.0 - 1


def test_the_dominant_frequency_is_that_of_a_planted_wave():
    places = np.arange(16)
    wave = np.broadcast_to(np.cos(2 * math.pi * places / 4), (1, 16, 16))
    filters = np.stack([wave, np.ones_like(wave), chequerboard(16)[None], 0 * wave])
    np.testing.assert_allclose(
        dominant_frequency(filters), [0.25, 0.0, math.sqrt(0.5), math.nan], atol=1 / 64
    )


def test_coloured_blobs_come_before_grey_waves_and_empty_filters_last():
    blob = np.ones((3, 6, 6)) * np.array([1.0, -1, 0])[:, None, None]
    wave = np.broadcast_to(chequerboard(6), (3, 6, 6))
    assert filter_order(np.stack([wave, 0 * wave, blob, 0.5 * blob + wave])).tolist() == [
        2,
        3,
        0,
        1,
    ]
    assert filter_order(np.stack([wave[:1], blob[:1]])).tolist() == [1, 0]
