import torch

from convviz_widgets.demo.network import build_network


def test_logits_have_one_column_a_class():
    assert build_network(12, seed=0)(torch.zeros(2, 3, 32, 32)).shape == (2, 12)


def test_weights_depend_on_the_seed_alone():
    first, again, other = (build_network(12, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.conv2.weight, again.conv2.weight)
    assert not torch.equal(first.conv2.weight, other.conv2.weight)


def test_building_draws_no_global_random_number():
    before = torch.get_rng_state()
    build_network(12, seed=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_fill_the_range_of_the_default_initialisation():
    weight = build_network(12, seed=0).conv1.weight
    bound = (3 * 7 * 7) ** -0.5
    assert 0.99 * bound < weight.abs().max() <= bound
    assert abs(weight.mean()) < 0.02 * bound


def test_first_scale_shrinks_the_first_filters_alone():
    usual, small = build_network(12, seed=0), build_network(12, seed=0, first_scale=0.1)
    torch.testing.assert_close(small.conv1.weight, usual.conv1.weight * 0.1)
    assert torch.equal(small.conv1.bias, usual.conv1.bias)
    assert torch.equal(small.conv2.weight, usual.conv2.weight)
