"""Rules for inputs and samples: the smallest input that fires, and its neighbour."""

import numpy as np
import pytest
import torch

from convviz_widgets.diagnosis.rules.data import (
    duplicate_sample,
    input_not_centred,
    input_scale,
    repeated_batch,
    train_validation_leak,
    unequal_input_scales,
    wrong_preprocessing,
)
from convviz_widgets.images import Duplicates, InputStatistics, Leak


def inputs(mean=(0.0,), std=(1.0,), n=256, **given):
    mean, std = np.array(mean), np.array(std)
    plain = {"low": mean, "high": mean, "non_finite": 0.0, "clipped": 0.0, "whole": 1.0}
    return InputStatistics(
        n=n,
        values=n,
        mean=mean,
        std=std,
        rms=np.sqrt(mean**2 + std**2),
        levels=None,
        failures={},
        **{**plain, **given},
    )


def test_a_mean_of_more_than_half_a_deviation_is_off_centre():
    (found,) = input_not_centred(inputs(mean=(-0.6,)))
    assert (found.severity, found.value) == ("remark", pytest.approx(0.6))
    assert input_not_centred(inputs(mean=(0.4,))) == []


@pytest.mark.parametrize(("std", "is_found"), [(5.1, 1), (4.9, 0), (0.051, 0), (0.049, 1)])
def test_a_scale_beyond_the_usual_is_an_alarm(std, is_found):
    found = input_scale(inputs(std=(std,)))
    assert [finding.severity for finding in found] == ["warning"] * is_found


def test_channels_more_than_three_times_apart_are_unequal():
    assert unequal_input_scales(inputs((0.0, 0.0), (1.0, 3.1)))[0].value == pytest.approx(3.1)
    assert unequal_input_scales(inputs((0.0, 0.0), (1.0, 2.9))) == []
    assert unequal_input_scales(inputs()) == []


@pytest.mark.parametrize("rule", [input_not_centred, input_scale, unequal_input_scales])
def test_255_images_say_nothing(rule):
    assert rule(inputs((9.0, 9.0), (1.0, 9.0), n=255)) == []


def test_clipped_values_and_broken_levels_look_wrong():
    eight_bit = (object(),)
    assert wrong_preprocessing(inputs(clipped=0.011))[0].value == 0.011
    assert wrong_preprocessing(inputs(clipped=0.009, whole=0.5)) == []  # no 8-bit source
    broken = inputs(whole=0.98)
    object.__setattr__(broken, "levels", eight_bit)
    assert wrong_preprocessing(broken)[0].threshold == 0.99
    object.__setattr__(broken, "whole", 0.99)
    assert wrong_preprocessing(broken) == []


def test_a_batch_repeats_another_in_any_order():
    batches = [[b"a", b"b", b"b"], [b"a", b"a", b"b"], [b"b", b"a", b"b"]]
    (found,) = repeated_batch(batches)
    assert (found.value, found.n) == (1, 3)
    assert repeated_batch(batches[:2]) == []  # the same samples, but not as often


def test_copies_in_a_set_and_across_sets_are_counted():
    (twice,) = duplicate_sample(Duplicates(((2, 5, 7),), 10, {}))
    assert (twice.value, twice.n, twice.select) == (2, 10, {"image": 2})
    assert duplicate_sample(Duplicates((), 10, {})) == []
    (leak,) = train_validation_leak(Leak((((4,), (0, 1)),), (10, 5), ({}, {})))
    assert (leak.value, leak.n, leak.select) == (2, 5, {"image": 4})
    assert train_validation_leak(Leak((), (10, 5), ({}, {}))) == []


def test_scaling_inputs_changes_neither_centre_nor_ratio():
    generator = torch.Generator().manual_seed(0)
    mean, std = 5 + torch.rand(3, generator=generator).numpy(), np.array([1.0, 2.0, 4.0])
    for rule in (input_not_centred, unequal_input_scales):
        values = [[f.value for f in rule(inputs(k * mean, k * std))] for k in (1.0, 0.01, 255.0)]
        assert values[0]
        assert values[1] == pytest.approx(values[0])
        assert values[2] == pytest.approx(values[0])
