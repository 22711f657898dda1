"""LatentTraversal on a decoder whose strips can be written down."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import convviz_widgets as cvw
from convviz_widgets.errors import InputError


class Coder(nn.Module):
    """The code is 0 and the image's mean; the picture is 0.5 + code₁ / 10, whatever code₀."""

    def __init__(self):
        super().__init__()
        self.code = nn.Linear(4, 2, bias=False)
        self.gain = nn.Parameter(torch.tensor(0.1))
        with torch.no_grad():
            self.code.weight.copy_(torch.tensor([[0.0] * 4, [0.25] * 4]))

    def decode(self, codes):
        return (0.5 + self.gain * codes[:, 1]).reshape(-1, 1, 1, 1).expand(-1, 1, 2, 2)

    def forward(self, images):
        return self.decode(self.code(images.flatten(1)))


def shown(**options):
    model = Coder()
    images = cvw.ImageSet(torch.full((2, 1, 2, 2), 0.4), mean=0.0, std=1.0)
    weaker = {name: value * 0 for name, value in model.state_dict().items()}
    series = cvw.CheckpointSeries.from_state_dicts([(0, weaker), (1, model.state_dict())])
    state = cvw.ModelState(model, images, checkpoints=series, layer="code")
    return state, cvw.LatentTraversal(state, decode=model.decode, **options)


def strips(view, state):
    return view.compute(state.selection).picture.tiles


def test_strips_are_ranked_by_what_they_change_and_run_from_end_to_end():
    state, view = shown(code="code", span=1.0)
    found = strips(view, state)
    assert found.factors == (1, 0)
    assert found.change == (pytest.approx(0.0632, abs=1e-3), 0.0)  # 0.1 · rms of −1, −0.8, … 1
    assert found.values[0, 0, 0, 0] == pytest.approx(0.4, abs=0.002)  # shown in 8 bits
    assert found.values[10, 0, 0, 0] == pytest.approx(0.6, abs=0.002)
    assert found.code == pytest.approx((0.0, 0.4))


def test_the_clock_scrubs_the_decoder():
    state, view = shown(code="code")
    state.select(checkpoint=0)
    assert strips(view, state).change == (0.0, 0.0)


def test_a_click_selects_the_factor_as_a_channel():
    state, view = shown(code="code", span=1.0)
    view.pick(3)
    assert (state.layer, state.channel) == ("code", 1)
    assert view.selected_tile(state.selection, view.painted) == 7  # of −1, −0.8, … 1: 0.4
    assert view.describe(0, view.painted) == "factor z1 = -1.00; 0.40 in the code"
    tiles = replace(view.painted.tiles, code=(0.0, -0.001))
    assert view.describe(5, replace(view.painted, tiles=tiles)).endswith("; 0.00 in the code")


def test_without_a_code_the_others_are_held_at_zero():
    state, view = shown(size=2)
    assert strips(view, state).code == (0.0, 0.0)
    assert "held at zero" in view.caption


def test_a_decoder_of_another_size_is_said_in_one_line():
    _, view = shown(size=1)
    assert "decode raised on codes (11, 1)" in view.problem
    for size in (None, 0, 2.5, True):
        with pytest.raises(InputError, match="how many factors"):
            shown(size=size)
    with pytest.raises(InputError, match=r"for codes of shape \(2,\)"):
        shown(size=3, code="code")


def test_a_decoder_of_ones_own_says_that_the_clock_does_not_change_it():
    state, _ = shown(size=2)
    view = cvw.LatentTraversal(state, decode=lambda codes: codes[:, :1, None, None], size=2)
    assert "THE CLOCK DOES NOT CHANGE THIS DECODER" in view.caption
    with pytest.raises(InputError, match="a ModelState and a decoder"):
        cvw.LatentTraversal(state)
