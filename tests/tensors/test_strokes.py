"""A stroke of a brush, on grids that can be read."""

import numpy as np
import pytest

from convviz_widgets.errors import InputError
from convviz_widgets.tensors import Brush


def drawn(brush, points, height=5, width=5):
    return ["".join(".#"[int(v)] for v in row) for row in brush.coverage(points, height, width)]


def test_a_hard_brush_of_one_pixel_covers_the_pixel_it_is_in():
    for point in [(2.0, 1.0), (2.5, 1.5), (2.99, 1.99)]:
        assert drawn(Brush(1), [point], 3, 4) == ["....", "..#.", "...."]


def test_larger_hard_brushes_are_round():
    assert drawn(Brush(2), [(2.5, 2.5)]) == [".....", "..#..", ".###.", "..#..", "....."]
    assert drawn(Brush(3), [(2.5, 2.5)]) == [".....", ".###.", ".###.", ".###.", "....."]
    assert drawn(Brush(5), [(2.5, 2.5)]) == [".###.", "#####", "#####", "#####", ".###."]


def test_points_far_apart_are_joined():
    assert drawn(Brush(1), [(0, 0), (4, 4)]) == ["#....", ".#...", "..#..", "...#.", "....#"]
    corner = [(0, 0), (4, 0), (4, 4)]
    assert drawn(Brush(1), corner) == ["#####", "....#", "....#", "....#", "....#"]


def test_a_stroke_that_leaves_the_picture_is_cut_off():
    assert drawn(Brush(1), [(-9, 1), (2, 1)], 2, 4) == ["....", "###."]


def test_a_soft_brush_fades_towards_its_rim():
    # radius 2: full up to 1, nothing from 2.5 on, in between a straight line
    row = Brush(4, soft=True).coverage([(3.5, 0.5)], 1, 7)[0]
    np.testing.assert_allclose(row, [0, 1 / 3, 1, 1, 1, 1 / 3, 0], atol=1e-6)


def test_going_over_a_place_twice_does_not_harden_the_rim():
    brush, line = Brush(4, soft=True), [(1.0, 3.0), (6.0, 3.0)]
    np.testing.assert_array_equal(brush.coverage(line, 7, 7), brush.coverage(line * 20, 7, 7))


def test_a_stroke_drawn_bit_by_bit_is_the_stroke():
    points = [(0.2, 0.3), (3.1, 1.7), (2.2, 4.9), (4.4, 4.4)]
    for soft in (False, True):
        brush = Brush(2, soft)
        bits = [brush.coverage(points[i : i + 2], 5, 5) for i in range(3)]
        np.testing.assert_array_equal(np.maximum.reduce(bits), brush.coverage(points, 5, 5))


@pytest.mark.parametrize("size", [0, -1, float("nan")])
def test_a_brush_has_a_size(size):
    with pytest.raises(InputError, match="1 pixel or more"):
        Brush(size)
