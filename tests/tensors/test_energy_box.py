import numpy as np
import pytest

from convviz_widgets.tensors.maps import energy_box


def test_the_box_closes_in_on_a_spot():
    energy = np.zeros((8, 10))
    energy[2:4, 5:9] = 1
    assert energy_box(energy) == (2, 5, 4, 9)


def test_a_tenth_may_lie_outside():
    energy = np.zeros((6, 6))
    energy[1, 1], energy[4, 4] = 0.95, 0.05
    assert energy_box(energy) == (1, 1, 2, 2)
    energy[4, 4] = 0.2
    assert energy_box(energy) == (1, 1, 5, 5)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_of_a_constant_the_box_is_large(value):
    top, left, bottom, right = energy_box(np.full((20, 20), value))
    assert (bottom - top) * (right - left) >= 0.9 * 400


def test_what_is_left_holds_the_share():
    energy = np.random.default_rng(0).random((12, 9)) ** 6
    top, left, bottom, right = energy_box(energy, share=0.8)
    assert energy[top:bottom, left:right].sum() >= 0.8 * energy.sum()
    assert (bottom - top) * (right - left) < 108
