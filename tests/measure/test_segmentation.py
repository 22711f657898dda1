"""Positions of masks, counted on images of four positions."""

import numpy as np
import pytest
import torch

from convviz_widgets.measure.segmentation import count_masks
from convviz_widgets.probe.output_kinds import SEGMENTATION, OutputKind

KIND = OutputKind(SEGMENTATION, (3, 2, 2), 3)


def scores(*classes):
    """Return scores (1, 3, 2, 2) that are highest for these classes."""
    return torch.eye(3)[torch.tensor(classes)].T.reshape(1, 3, 2, 2)


def test_intersection_over_union_is_that_worked_out_by_hand():
    true, predicted = torch.tensor([[0, 0], [1, 255]]), scores(0, 1, 1, 1)
    found = count_masks(predicted, [true], KIND)
    assert found.counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert (found.images, found.n, found.ignored) == (1, 3, 1)
    np.testing.assert_allclose(found.iou, [1 / 2, 1 / 2, np.nan])
    assert found.mean_iou == pytest.approx(0.5)  # class 2 is nowhere


def test_images_without_a_mask_or_with_nan_are_left_out_and_counted():
    broken = scores(0, 0, 0, 0)
    broken[0, 0, 0, 0] = torch.nan
    both = torch.cat([scores(2, 2, 2, 2), scores(0, 0, 0, 0), broken])
    found = count_masks(both, [torch.full((2, 2), 2), None, torch.zeros(2, 2)], KIND)
    assert (found.images, found.unmasked, found.not_finite) == (1, 1, 1)
    assert (found + found).counts[2, 2] == 8


def test_smaller_scores_are_compared_at_the_size_of_the_mask():
    found = count_masks(scores(0, 0, 1, 1), [torch.tensor([[0] * 4] * 2 + [[1] * 4] * 2)], KIND)
    assert found.n == 16
    assert found.mean_iou == 1.0


def test_one_score_a_position_is_of_two_classes():
    kind = OutputKind(SEGMENTATION, (1, 2, 2), 2)
    values = torch.tensor([[[[-1.0, 2.0], [3.0, -4.0]]]])
    found = count_masks(values, [torch.tensor([[[0.0, 1.0], [0.0, 0.0]]])], kind)
    assert found.counts.tolist() == [[2, 1], [0, 1]]
