import pytest

from convviz_widgets.widgets.plot import axis_label


@pytest.mark.parametrize("steps", [[0], [0, 7], [0, 100, 200], [50, 100, 150, 170]])
def test_checkpoints_at_even_steps_are_to_scale(steps):
    assert axis_label(steps) == "step"


@pytest.mark.parametrize("steps", [[0, 100, 200, 400], [0, 1, 10, 100], [0, 50, 200, 250]])
def test_an_axis_with_one_place_a_checkpoint_says_so_when_their_steps_are_uneven(steps):
    assert axis_label(steps) == "step (not to scale)"
