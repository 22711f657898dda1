"""Colours of a mosaic: where zero lies."""

import numpy as np
import pytest

from convviz_widgets.widgets.mosaic_view import colour


@pytest.mark.parametrize(
    ("colormap", "low"), [("blue-orange", -2), ("gray", 0), ("viridis", 0), ("automatic", 0)]
)
def test_zero_is_the_middle_of_a_diverging_colour_map(colormap, low):
    limits = colour(np.array([[[0.0, 2.0]]]), colormap).limits
    assert (limits.low, limits.high) == (low, 2)


def test_signed_values_have_zero_in_the_middle_of_any_colour_map():
    limits = colour(np.array([[[-1.0, 2.0]]]), "viridis").limits
    assert (limits.low, limits.high) == (-2, 2)
