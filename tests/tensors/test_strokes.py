"""Strokes of a brush, on grids that can be read; points; what a line encloses."""

import numpy as np
import pytest

from convviz_widgets.errors import InputError
from convviz_widgets.tensors import Brush
from convviz_widgets.tensors.strokes import SHAPES, PointGroup, inside, paint_points


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


RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_point_covers_about_the_area_of_its_circle_around_its_pixel(shape):
    drawn = paint_points(41, [PointGroup(np.array([[20.5, 20.5]]), RED, shape, 1.0)], 6.0)
    assert drawn[20, 20].tolist() == [255, 0, 0, 255]
    assert drawn[..., 3].sum() / 255 == pytest.approx(np.pi * 36, rel=0.12)
    assert not drawn[:10].any()
    np.testing.assert_array_equal(drawn, drawn[:, ::-1])


def test_points_at_the_edge_are_cut_and_those_that_are_not_there_left_out():
    places = np.array([[0.0, 0.0], [np.nan, 5.0], [20.0, 20.0]])
    drawn = paint_points(20, [PointGroup(places, RED, "circle", 1.0)], 3.0)
    assert drawn[0, 0, 3] == drawn[19, 19, 3] == 255
    assert not drawn[8:12].any()


def test_later_groups_lie_over_earlier_ones_by_their_opacity():
    at = np.array([[5.5, 5.5], [5.5, 5.5]])  # twice in one place is no more opaque
    below, above = PointGroup(at, RED, "circle", 1.0), PointGroup(at, BLUE, "circle", 0.25)
    assert paint_points(11, [below, above], 3.0)[5, 5].tolist() == [191, 0, 64, 255]
    assert paint_points(11, [above], 3.0)[5, 5].tolist() == [0, 0, 255, 64]


SQUARE = np.array([[0, 0], [4, 0], [4, 4], [0, 4]], float)


def test_a_square_holds_its_middle_and_nothing_beside_it():
    points = np.array([[2, 2], [5, 2], [-1, 2], [2, 9], [2, -3]], float)
    assert inside(points, SQUARE).tolist() == [True, False, False, False, False]


def test_the_direction_of_the_line_does_not_matter():
    points = np.array([[2, 2], [5, 2]], float)
    assert inside(points, SQUARE[::-1]).tolist() == [True, False]


def in_a_triangle(points, first, second):
    """Tell which points lie in the triangle of the origin and two corners."""
    shares = np.linalg.solve(np.stack([first, second], 1), points.T)  # (2, n)
    return (shares >= 0).all(axis=0) & (shares.sum(axis=0) < 1)


def test_a_bent_line_around_the_origin_holds_the_points_of_its_triangles():
    random = np.random.default_rng(0)
    angles = np.sort(random.uniform(0, 2 * np.pi, 30))
    bent = np.stack([np.cos(angles), np.sin(angles)], 1) * random.uniform(0.3, 1, (30, 1))
    points = random.uniform(-1, 1, (2000, 2))
    triangles = zip(bent, np.roll(bent, -1, axis=0), strict=True)
    expected = np.any([in_a_triangle(points, *corners) for corners in triangles], axis=0)
    assert 200 < expected.sum() < 1800
    np.testing.assert_array_equal(inside(points, bent), expected)


def test_what_is_surrounded_twice_is_outside():
    twice = np.concatenate([SQUARE, SQUARE + 2])  # around two squares that overlap
    points = np.array([[1, 1], [3, 3], [5, 5]], float)
    assert inside(points, twice).tolist() == [True, False, True]


def test_points_that_are_not_there_are_outside():
    assert not inside(np.array([[np.nan, 2], [2, np.nan], [np.inf, 2]]), SQUARE).any()


def test_a_line_holds_nothing():
    for corners in (0, 1, 2):
        assert not inside(np.array([[2.0, 2.0]]), SQUARE[:corners]).any()
