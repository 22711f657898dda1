import numpy as np
from matplotlib.path import Path

from convviz_widgets.tensors.polygon import inside

SQUARE = np.array([[0, 0], [4, 0], [4, 4], [0, 4]], float)


def test_a_square_holds_its_middle_and_nothing_beside_it():
    points = np.array([[2, 2], [5, 2], [-1, 2], [2, 9], [2, -3]], float)
    assert inside(points, SQUARE).tolist() == [True, False, False, False, False]


def test_matplotlib_finds_the_same_points_in_a_bent_line():
    random = np.random.default_rng(0)
    angles = np.sort(random.uniform(0, 2 * np.pi, 30))
    bent = np.stack([np.cos(angles), np.sin(angles)], 1) * random.uniform(0.3, 1, (30, 1))
    points = random.uniform(-1, 1, (2000, 2))
    expected = Path(bent).contains_points(points)
    assert 200 < expected.sum() < 1800
    np.testing.assert_array_equal(inside(points, bent), expected)


def test_a_line_holds_nothing():
    assert not inside(np.array([[2.0, 2.0]]), SQUARE[:2]).any()
