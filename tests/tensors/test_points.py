import numpy as np
import pytest

from convviz_widgets.tensors.strokes import SHAPES, Points, paint_points

RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_point_covers_about_the_area_of_its_circle_around_its_pixel(shape):
    drawn = paint_points(41, [Points(np.array([[20.5, 20.5]]), RED, shape, 1.0)], 6.0)
    assert drawn[20, 20].tolist() == [255, 0, 0, 255]
    assert drawn[..., 3].sum() / 255 == pytest.approx(np.pi * 36, rel=0.12)
    assert not drawn[:10].any()
    np.testing.assert_array_equal(drawn, drawn[:, ::-1])


def test_points_at_the_edge_are_cut_and_those_that_are_not_there_left_out():
    places = np.array([[0.0, 0.0], [np.nan, 5.0], [20.0, 20.0]])
    drawn = paint_points(20, [Points(places, RED, "circle", 1.0)], 3.0)
    assert drawn[0, 0, 3] == drawn[19, 19, 3] == 255
    assert not drawn[8:12].any()


def test_later_groups_lie_over_earlier_ones_by_their_opacity():
    at = np.array([[5.5, 5.5], [5.5, 5.5]])  # twice in one place is no more opaque
    below, above = Points(at, RED, "circle", 1.0), Points(at, BLUE, "circle", 0.25)
    assert paint_points(11, [below, above], 3.0)[5, 5].tolist() == [191, 0, 64, 255]
    assert paint_points(11, [above], 3.0)[5, 5].tolist() == [0, 0, 255, 64]
