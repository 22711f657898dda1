import itertools

import numpy as np
import pytest

from convviz_widgets.errors import InputError
from convviz_widgets.tensors import BACKGROUND, HATCH_DARK, HATCH_LIGHT, Box, Mosaic

B = BACKGROUND


def test_a_mosaic_that_can_be_checked_by_eye():
    mosaic = Mosaic(count=3, tile_height=1, tile_width=2, columns=2, gap=1)
    picture = mosaic.paint(np.array([[[1, 2]], [[3, 4]], [[5, 6]]], np.uint8))
    assert picture.tolist() == [
        [B, B, B, B, B, B, B],
        [B, 1, 2, B, 3, 4, B],
        [B, B, B, B, B, B, B],
        [B, 5, 6, B, B, B, B],
        [B, B, B, B, B, B, B],
    ]
    assert (mosaic.rows, mosaic.width, mosaic.height) == (2, 7, 5)
    assert mosaic.box(2) == Box(x=1, y=3, width=2, height=1)


def test_tiles_are_enlarged_by_whole_numbers():
    picture = Mosaic(1, 1, 2, 1, enlarge=2, gap=0).paint(np.array([[[7, 8]]], np.uint8))
    assert picture.tolist() == [[7, 7, 8, 8], [7, 7, 8, 8]]


def test_colour_tiles_lie_on_transparent_gaps():
    tiles = np.full((2, 1, 1, 4), 9, np.uint8)
    picture = Mosaic(2, 1, 1, 2, gap=1).paint(tiles)
    assert picture.shape == (3, 5, 4)
    assert picture[1, :, 3].tolist() == [0, 9, 0, 9, 0]


@pytest.mark.parametrize(
    "mosaic",
    [
        Mosaic(5, 3, 2, 2),
        Mosaic(5, 3, 2, 3, enlarge=3, gap=1),
        Mosaic(4, 5, 7, 2, reduce=2, gap=3),
        Mosaic(1, 1, 1, 1, gap=0),
        Mosaic(3, 5, 4, 4, enlarge=2, reduce=3),
    ],
)
def test_pixels_lead_back_to_what_was_painted_there(mosaic):
    shape = (mosaic.count, mosaic.shown_height, mosaic.shown_width)
    tiles = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    picture = mosaic.paint(tiles)
    for y, x in itertools.product(range(mosaic.height), range(mosaic.width)):
        found = mosaic.pixel_at(x, y)
        if found is None:
            assert picture[y, x] == BACKGROUND
            assert mosaic.tile_at(x, y) is None
        else:
            tile, row, column = found
            assert picture[y, x] == tiles[tile, row // mosaic.reduce, column // mosaic.reduce]
            assert mosaic.tile_at(x + 0.9, y) == tile


def test_boxes_hold_exactly_the_pixels_of_their_tile():
    mosaic = Mosaic(5, 3, 2, 2, enlarge=2)
    found = np.array(
        [[mosaic.tile_at(x, y) for x in range(mosaic.width)] for y in range(mosaic.height)]
    )
    for tile in range(5):
        box = mosaic.box(tile)
        inside = found[box.y : box.y + box.height, box.x : box.x + box.width]
        assert (inside == tile).all()
        assert (found == tile).sum() == box.width * box.height


@pytest.mark.parametrize("point", [(-1, 5), (5, -1), (-0.5, 5), (10_000, 5), (5, 10_000), (1, 5)])
def test_outside_and_in_gaps_there_is_no_tile(point):
    assert Mosaic(4, 8, 8, 2).tile_at(*point) is None


def test_reduction_takes_the_largest_value_of_each_block():
    values = np.array([[[1, -9, 3], [4, 2, 0], [-5, -6, -7]]], np.float32)
    mosaic = Mosaic(1, 3, 3, 1, reduce=2)
    assert mosaic.reduced(values).tolist() == [[[4, 3], [-5, -7]]]
    assert mosaic.reduced(values, signed=True).tolist() == [[[-9, 3], [-6, -7]]]


@pytest.mark.parametrize("signed", [False, True])
def test_a_nan_is_not_reduced_away(signed):
    values = np.ones((1, 4, 4), np.float32)
    values[0, 0, 3] = np.nan
    reduced = Mosaic(1, 4, 4, 1, reduce=2).reduced(values, signed)
    np.testing.assert_array_equal(reduced, [[[1, np.nan], [1, 1]]])


@pytest.mark.parametrize("size", [2, 3, 5])
def test_reduction_agrees_with_a_loop_over_blocks(size):
    values = np.random.default_rng(0).standard_normal((2, 11, 7)).astype(np.float32)
    mosaic = Mosaic(2, 11, 7, 2, reduce=size)
    for row, column in np.ndindex(mosaic.shown_height, mosaic.shown_width):
        block = values[:, row * size : (row + 1) * size, column * size : (column + 1) * size]
        expected = block.reshape(2, -1).max(axis=1)
        np.testing.assert_array_equal(mosaic.reduced(values)[:, row, column], expected)


def test_stripes_cover_chosen_tiles_alone():
    mosaic = Mosaic(3, 24, 24, 2, gap=2)
    plain = np.zeros((3, 24, 24), np.uint8)
    picture = mosaic.paint(plain, hatched=np.array([False, True, False]))
    box = mosaic.box(1)
    striped = picture[box.y : box.y + 24, box.x : box.x + 24]
    values, counts = np.unique(striped, return_counts=True)
    assert values.tolist() == [0, HATCH_DARK, HATCH_LIGHT]
    assert counts.tolist() == [288, 144, 144]  # of each period of 8: 4 left free, 2 and 2 striped
    striped[:] = 0
    np.testing.assert_array_equal(picture, mosaic.paint(plain))


def test_stripes_are_drawn_in_screen_pixels():
    picture = Mosaic(1, 1, 1, 1, enlarge=24, gap=0).paint(
        np.zeros((1, 1, 1), np.uint8), hatched=np.array([True])
    )
    assert picture[0, :9].tolist() == [253, 253, 252, 252, 0, 0, 0, 0, 253]
    assert picture[1, :8].tolist() == [253, 252, 252, 0, 0, 0, 0, 253]


def test_colour_tiles_are_striped_in_opaque_greys():
    picture = Mosaic(1, 8, 8, 1, gap=0).paint(
        np.zeros((1, 8, 8, 4), np.uint8), hatched=np.array([True])
    )
    assert sorted({tuple(pixel) for pixel in picture.reshape(-1, 4).tolist()}) == [
        (0, 0, 0, 0),
        (64, 64, 64, 255),
        (190, 190, 190, 255),
    ]


SIZES = [
    (64, 112, 112),
    (512, 7, 7),
    (3, 32, 32),
    (10, 1, 1),
    (1, 10, 4096),
    (5, 300, 2),
    (0, 4, 4),
]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("max_width", [60, 320, 848, 1200])
@pytest.mark.parametrize("max_height", [None, 100, 600])
def test_a_fitted_mosaic_keeps_the_width_and_the_least_tile(size, max_width, max_height):
    mosaic = Mosaic.fit(*size, max_width=max_width, max_height=max_height)
    assert mosaic.width <= max_width
    assert mosaic.enlarge == 1 or mosaic.reduce == 1
    shorter = min(mosaic.shown_height, mosaic.shown_width) * mosaic.enlarge
    wider = (mosaic.shown_width * (mosaic.enlarge + 1)) + 2 * mosaic.gap
    assert shorter >= 24 or wider > max_width
    if max_height and mosaic.height > max_height:  # then nothing smaller was allowed
        smaller = min(-(-side // (mosaic.reduce + 1)) for side in size[1:])
        assert mosaic.enlarge == 1 or (mosaic.enlarge - 1) * min(size[1:]) < 24
        assert mosaic.enlarge > 1 or smaller < 24


@pytest.mark.parametrize(
    ("size", "limits", "expected"),
    [
        ((64, 112, 112), {"max_width": 914}, (8, 1, 1)),
        ((64, 112, 112), {"max_width": 848, "max_height": 600}, (13, 1, 2)),
        ((512, 7, 7), {"max_width": 848}, (27, 4, 1)),
        ((16, 28, 28), {"max_width": 848, "max_height": 600}, (4, 5, 1)),
        ((10, 1, 1), {"max_width": 848}, (10, 24, 1)),
    ],
)
def test_fitted_scales(size, limits, expected):
    mosaic = Mosaic.fit(*size, **limits)
    assert (mosaic.columns, mosaic.enlarge, mosaic.reduce) == expected


def test_an_empty_mosaic_is_a_gap():
    picture = Mosaic(0, 3, 3, 2).paint(np.zeros((0, 3, 3), np.uint8), np.zeros(0, bool))
    assert picture.shape == (2, 12)
    assert (picture == BACKGROUND).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Mosaic(1, 1, 1, 0), "columns 0"),
        (lambda: Mosaic(1, 0, 1, 1), "tile_height 0"),
        (lambda: Mosaic.fit(1, 5, 0, max_width=100), "tile_width 0"),
        (lambda: Mosaic(2, 4, 4, 1).reduced(np.zeros((2, 4, 3))), r"expected \(2, 4, 4\)"),
        (lambda: Mosaic(-1, 1, 1, 1), "count -1"),
        (lambda: Mosaic(2, 1, 1, 1).box(2), "tile 2 is out of range; expected 0 to 1"),
        (lambda: Mosaic(2, 1, 1, 1).paint(np.zeros((2, 1, 2), np.uint8)), r"\(2, 1, 2\)"),
        (lambda: Mosaic(2, 1, 1, 1).paint(np.zeros((2, 1, 1))), "float64"),
        (
            lambda: Mosaic(2, 1, 1, 1).paint(np.zeros((2, 1, 1), np.uint8), np.ones(3, bool)),
            r"hatched of shape \(3,\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
