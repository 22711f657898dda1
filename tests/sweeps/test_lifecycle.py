"""Births, deaths and revivals of filters, worked out by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from convviz_widgets.checkpoints import CheckpointSeries
from convviz_widgets.errors import InputError
from convviz_widgets.probe import can_die, list_layers, nonlinearity_of
from convviz_widgets.sweeps import Lifecycle, rate_bound, sweep

from .nets import build, pictures


def life(*rows, images=1000, known=None):
    fired = np.array(rows)
    seen = np.ones_like(fired, bool) if known is None else np.array(known, bool)
    return Lifecycle(fired, seen, np.full(fired.shape[1], images))


def events(one):
    """Return each channel's checkpoints in letters: born, died, revived, or nothing new."""
    marks = np.select([one.born, one.died, one.revived], ["B", "D", "R"], ".")
    return ["".join(row) for row in marks]


@pytest.mark.parametrize(
    ("fired", "expected"),
    [
        ([5, 5, 5, 5, 5], "....."),
        ([0, 0, 0, 0, 0], "....."),
        ([5, 0, 0, 0, 0], ".D..."),
        ([0, 0, 5, 5, 5], "..B.."),
        ([0, 5, 0, 5, 0], ".BDRD"),
        ([5, 0, 5, 0, 5], ".DRDR"),
    ],
)
def test_births_deaths_and_revivals(fired, expected):
    assert events(life(fired)) == [expected]


def test_what_is_not_known_is_no_event_and_interrupts_none():
    one = life([5, 0, 0, 5], [0, 0, 0, 0], known=[[1, 0, 1, 1], [0, 0, 1, 0]])
    assert events(one) == ["..DR", "...."]
    assert one.dead.tolist() == [[False, False, True, False], [False, False, True, False]]
    assert np.isnan(one.rates[0]).tolist() == [False, True, False, False]


def test_dying_is_less_than_one_percent_but_not_never():
    one = life([0, 1, 9, 10, 1000])
    assert one.dying.tolist() == [[False, True, True, False, False]]
    assert one.dead.tolist() == [[True, False, False, False, False]]
    assert one.rates[0].tolist() == [0, 0.001, 0.009, 0.01, 1]


@pytest.mark.parametrize("images", [30, 960, 10_000])
def test_the_bound_is_the_rate_that_goes_unseen_one_time_in_twenty(images):
    assert (1 - rate_bound(images)) ** images == pytest.approx(0.05, abs=0.008)
    assert rate_bound(2) == rate_bound(0) == 1


def test_a_series_of_sweeps_tells_the_step_at_which_a_filter_died_and_came_back():
    """A 1×1 convolution on pixels from 0 to 1 fires unless its bias is below -1."""
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU())

    def weights(bias):
        return {"0.weight": torch.ones(2, 1, 1, 1), "0.bias": torch.tensor([bias, 1.0])}

    series = CheckpointSeries.from_state_dicts(
        [(step, weights(bias)) for step, bias in ((0, 0.5), (10, -2.0), (20, -2.0), (30, 0.5))]
    )
    images = torch.rand(40, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    result = sweep(net, images, checkpoints=series, progress=False)
    results = [result.at(0), None, result.at(1), result.at(2), result.at(3)]
    one = Lifecycle.of(results, "1")
    assert events(one) == ["..D.R", "....."]
    assert one.images.tolist() == [40, 0, 40, 40, 40]
    assert one.fired[0].tolist() == [40, 0, 0, 0, 40]


def test_nan_alone_is_neither_dead_nor_alive():
    result = sweep(nn.Sequential(nn.ReLU()), torch.full((5, 1, 3, 3), torch.nan), progress=False)
    one = Lifecycle.of([result], "0")
    assert not one.dead.any()
    assert np.isnan(one.rates).all()


def test_without_any_sweep_there_is_none():
    with pytest.raises(InputError, match="nothing has been swept"):
        Lifecycle.of([None, None], "1")


def test_the_nonlinearity_of_a_layer_is_the_one_that_its_channels_go_through():
    layers = list_layers(build("plain"), pictures(1))
    kinds = {layer.name: nonlinearity_of(layer.name, layers).name for layer in layers}
    # conv ReLU pool conv GELU flatten linear ReLU
    assert kinds == dict(zip("01234567", "11144477", strict=True))
    residual = list_layers(build("residual"), pictures(1))
    kinds = {layer.name: nonlinearity_of(layer.name, residual).name for layer in residual}
    assert kinds["conv1"] == "relu"
    assert kinds["norm"] == kinds["head"] == "relu_1"
    assert nonlinearity_of("0", list_layers(nn.Sequential(nn.Conv2d(3, 2, 3)), pictures(1))) is None


def test_only_relu_and_its_like_can_be_dead():
    kinds = [nn.ReLU(), nn.ReLU6(), nn.GELU(), nn.SiLU(), nn.Sigmoid(), nn.LeakyReLU()]
    layers = list_layers(nn.Sequential(nn.Conv2d(3, 2, 3), *kinds), pictures(1))
    assert [can_die(layer) for layer in layers[1:]] == [True, True, False, False, False, False]
