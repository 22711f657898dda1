import numpy as np

from convviz_widgets.tensors.strokes import inside

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
