"""Codes that differ in one factor, worked out by hand."""

import torch

from convviz_widgets.tensors.codes import traversal_change, traversal_codes


def test_each_strip_sets_one_factor_and_holds_the_others():
    codes = traversal_codes(torch.tensor([7.0, 8.0]), torch.tensor([-1.0, 0.0, 1.0]))
    assert codes[0].tolist() == [[-1, 8], [0, 8], [1, 8]]
    assert codes[1].tolist() == [[7, -1], [7, 0], [7, 1]]


def test_the_change_is_the_rms_difference_from_the_mean_picture():
    strips = torch.tensor([[-1.0, 1.0], [5.0, 5.0]]).reshape(2, 2, 1, 1, 1).repeat(1, 1, 1, 3, 3)
    assert traversal_change(strips).tolist() == [1.0, 0.0]
