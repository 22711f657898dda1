import numpy as np

from convviz_widgets.widgets.thumbnails import in_square

RED, BLACK = [255, 0, 0, 255], [0, 0, 0, 255]


def test_an_image_lies_in_the_middle_its_proportions_kept():
    red = np.full((2, 4, 3), (255, 0, 0), np.uint8)
    square = in_square(red, 8)  # twice as large: 4 rows of 8, two transparent rows on either side
    assert square.shape == (8, 8, 4)
    assert (square[2:6] == RED).all()
    assert not square[[0, 1, 6, 7]].any()


def test_a_large_image_is_shrunk_by_means():
    stripes = np.zeros((8, 8, 3), np.uint8)
    stripes[:, ::2] = 100
    assert (in_square(stripes, 4) == [50, 50, 50, 255]).all()


def test_enlarged_a_whole_number_of_times_every_pixel_is_as_large():
    two = np.array([[[255, 0, 0], [0, 0, 0]]], np.uint8)
    square = in_square(two, 5, whole=True, around=(9, 9, 9, 255))  # 2 × 4 pixels in 5 × 5
    assert square[1].tolist() == [RED, RED, BLACK, BLACK, [9, 9, 9, 255]]


def test_no_image_is_an_empty_square():
    assert (in_square(None, 3, around=(1, 2, 3, 255)) == [1, 2, 3, 255]).all()
    assert not in_square(None, 3).any()
