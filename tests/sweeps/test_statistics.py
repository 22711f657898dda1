"""Counts, moments, histograms: against numpy over everything that was kept."""

import numpy as np
import pytest
import torch
from torch import nn

from convviz_widgets.sweeps import histograms, sweep
from convviz_widgets.sweeps.statistics import summarise, summarise_exactly

from .nets import activations, build, pictures


@pytest.mark.parametrize("name", ["plain", "residual", "strided"])
@pytest.mark.parametrize("batch_size", [7, 64])
def test_every_layer_has_the_numbers_of_a_pass_that_keeps_everything(name, batch_size):
    net, images = build(name), pictures(100)
    result = sweep(net, images, batch_size=batch_size, progress=False)
    assert result.count == 100
    for layer, maps in activations(net, images).items():
        flat = maps.transpose(0, 1).flatten(1).double()
        torch.testing.assert_close(result.mean(layer), flat.mean(1), rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(result.std(layer), flat.std(1, correction=0), rtol=1e-5, atol=0)
        torch.testing.assert_close(result.max(layer), flat.amax(1).float())
        fired = (maps != 0).flatten(2).any(2).sum(0) if maps.ndim > 2 else (maps != 0).sum(0)
        assert torch.equal(result.fired(layer), fired)
        assert torch.equal(result.dead(layer), fired == 0)


def test_functional_activations_are_layers_like_any_other():
    result = sweep(build("residual"), pictures(9), progress=False)
    names = [layer.name for layer in result.layers]
    assert names == ["conv1", "relu", "conv2", "norm", "shortcut", "relu_1", "head"]
    assert result.fired("relu").shape == (4,)


@pytest.mark.parametrize("shape", [(7, 3, 40), (7, 3, 4), (1, 2, 1)])
def test_what_is_done_without_looking_is_what_is_done_on_a_cpu(shape):
    """The sums that a GPU makes, on a CPU."""
    maps = torch.randn(shape, generator=torch.Generator().manual_seed(0)).relu_()
    images, least = torch.arange(shape[0]) + 5, torch.full((shape[1],), 0.5)
    quick, exact = (way(maps, images, least, None) for way in (summarise, summarise_exactly))
    for name in ("fired", "values", "nan", "infinite", "first_nan", "maximum"):
        assert torch.equal(getattr(quick.sums, name), getattr(exact.sums, name))
    torch.testing.assert_close(quick.sums.mean, exact.sums.mean, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(quick.sums.squares, exact.sums.squares, rtol=1e-5, atol=1e-6)
    for mine, theirs in zip(vars(quick.peaks).values(), vars(exact.peaks).values(), strict=True):
        assert torch.equal(mine, theirs)
    assert (quick.finite, exact.finite) == (True, False)


def test_half_precision_is_summed_up_in_full():
    net, images = build("plain").bfloat16(), pictures(30).bfloat16()
    result = sweep(net, images, progress=False)
    maps = activations(net, images)["0"].double()
    torch.testing.assert_close(result.mean("0"), maps.mean((0, 2, 3)), rtol=1e-6, atol=1e-8)
    assert result.top("0", 0)[0].value == maps[:, 0].max().item()


def test_a_mean_far_larger_than_the_deviation_costs_no_digits():
    net = nn.Sequential(nn.Conv2d(1, 1, 1))
    net[0].weight.data.fill_(1.0)
    net[0].bias.data.fill_(3000.0)
    images = torch.randint(-4, 5, (200, 1, 6, 6), generator=torch.Generator().manual_seed(0)) / 8.0
    result = sweep(net, images, batch_size=32, progress=False)
    values = images.double() + 3000
    assert result.mean("0").item() == pytest.approx(values.mean().item(), rel=1e-12)
    assert result.std("0").item() == pytest.approx(values.std(correction=0).item(), rel=1e-9)


def test_a_planted_dead_filter_is_found_and_one_that_fires_once_in_2000_is_not_called_dead():
    """Channel 0: dead. Channel 1: fires where a pixel exceeds 9. Channel 2: always."""
    net = nn.Sequential(nn.Conv2d(1, 3, 1), nn.ReLU())
    net[0].weight.data.fill_(1.0)
    net[0].bias.data = torch.tensor([-100.0, -9.0, 1.0])
    images = torch.rand(2000, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    images[1234, 0, 2, 3] = 9.5
    result = sweep(net, images, progress=False)
    assert result.fired("1").tolist() == [0, 1, 2000]
    assert result.dead("1").tolist() == [True, False, False]
    assert not result.dead("0").any()  # before the ReLU nothing is exactly zero
    first = result.top("1", 1)[0]
    assert (first.image, first.value, first.position) == (1234, 0.5, (2, 3))


def test_a_channel_that_is_only_ever_negative_fires():
    net = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False))
    net[0].weight.data.fill_(-1.0)
    images = torch.zeros(3, 1, 2, 2)
    images[1, 0, 0, 0] = 1e-30
    assert sweep(net, images, progress=False).fired("0").tolist() == [1]


def test_a_histogram_counts_every_value_of_a_small_data_set():
    net, images = build("plain"), pictures(100)
    result = sweep(net, images, batch_size=16, progress=False)
    for layer, maps in activations(net, images).items():
        drawn = result.histogram(layer)
        counts, _ = np.histogram(maps.double(), drawn.edges)
        assert drawn.counts.tolist() == counts.tolist()
        assert (drawn.n, drawn.zeros) == (maps.numel(), int((maps == 0).sum()))
        one = result.histogram(layer, 1)
        assert one.counts.tolist() == np.histogram(maps[:, 1].double(), one.edges)[0].tolist()


def test_a_histogram_of_a_large_data_set_counts_an_even_sample():
    result = sweep(build("strided"), pictures(700), progress=False)
    maps = activations(build("strided"), pictures(700)[::5])["0"]
    assert result.histogram("0").n == maps.numel()
    assert result.histogram("0").zeros == int((maps == 0).sum())


def counted(values):
    counts = torch.zeros(len(values), histograms.COUNTERS, dtype=torch.int32)
    histograms.count(counts, values[None])
    return counts


def test_bins_hold_what_numpy_puts_into_them():
    edges = histograms.edges()
    assert (len(edges), edges[0], edges[-1]) == (histograms.BINS + 1, -4096.0, 4096.0)
    assert (np.diff(edges) > 0).all()
    generator = torch.Generator().manual_seed(0)
    random = torch.randn(5000, generator=generator) * torch.randn(5000, generator=generator).exp()
    special = torch.tensor([0.0, -0.0, 1e-40, -1e-40, 5e4, -5e4, -4096.0])
    on_edges = torch.tensor(edges[:-1], dtype=torch.float32)
    below = torch.nextafter(on_edges, torch.tensor(-torch.inf))
    for values in (random, special, on_edges, below):
        drawn = histograms.to_histogram(counted(values[None])[0])
        inside = values[(values >= -4096) & (values < 4096)]
        assert drawn.counts.tolist() == np.histogram(inside.double(), edges)[0].tolist()
        assert (drawn.below, drawn.above) == (
            int((values < -4096).sum()),
            int((values > 4095).sum()),
        )
        assert drawn.zeros == int((values == 0).sum())
        assert drawn.n == len(values)


def test_bins_tell_values_that_are_not_finite_apart():
    values = torch.tensor([[1.0, torch.nan, torch.inf, -torch.nan], [-torch.inf, 0.0, 1e30, 1.0]])
    first, second = (histograms.to_histogram(row) for row in counted(values))
    assert (first.nan, first.positive_inf, first.negative_inf, first.counts.sum()) == (2, 1, 0, 1)
    assert (second.nan, second.negative_inf, second.above, second.counts.sum()) == (0, 1, 1, 2)
    assert first.n == second.n == 4


@pytest.mark.parametrize("shape", [(5, 3, 7), (300, 2, 500), (2, 40, 5000), (2, 3, 100_000)])
def test_bins_count_the_same_in_pieces(shape):
    maps = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    counts = torch.zeros(shape[1], histograms.COUNTERS, dtype=torch.int32)
    histograms.count(counts, maps, finite=True)
    for channel, row in enumerate(counts):
        drawn = histograms.to_histogram(row)
        expected = np.histogram(maps[:, channel].double(), drawn.edges)[0]
        assert drawn.counts.tolist() == expected.tolist()
