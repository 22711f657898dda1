import itertools

import numpy as np
import pytest

from convviz_widgets.errors import InputError
from convviz_widgets.tensors import (
    BACKGROUND,
    COLORS,
    DIVERGING,
    HATCH_DARK,
    HATCH_LIGHT,
    NOT_A_NUMBER,
    SEQUENTIAL,
    class_colours,
    palette,
    quantize,
    to_rgba,
)

LIGHT_THEME, DARK_THEME = (255, 255, 255), (17, 17, 17)


def luminance(color):
    channels = np.asarray(color[:3]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one, other):
    """Return the contrast ratio of WCAG 2: from 3 on, graphics count as legible."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_values_get_the_nearest_of_the_slots():
    shown = quantize(np.array([0, 0.5, 1, np.nan, 1 / 248, 0.49 / 248], np.float32))
    assert shown.tolist() == [0, 124, 248, NOT_A_NUMBER, 1, 0]
    assert shown.dtype == np.uint8


@pytest.mark.parametrize("shape", [(), (0, 4), (2, 3, 4)])
@pytest.mark.parametrize("value", [0, np.nan])
def test_quantize_keeps_the_shape(shape, value):
    assert quantize(np.full(shape, value, np.float32)).shape == shape


def test_slots_do_not_collide():
    special = {HATCH_DARK, HATCH_LIGHT, NOT_A_NUMBER, BACKGROUND}
    assert len(special) == 4
    assert min(special) >= COLORS
    assert COLORS % 2 == 1  # else no slot is the middle


@pytest.mark.parametrize("name", [*SEQUENTIAL, *DIVERGING])
def test_palettes_are_opaque_colours_on_a_transparent_background(name):
    colors = palette(name)
    assert colors.shape == (256, 4)
    assert colors.dtype == np.uint8
    assert (colors[:COLORS, 3] == 255).all()
    assert colors[BACKGROUND, 3] == 0


@pytest.mark.parametrize("name", DIVERGING)
def test_zero_is_mid_grey_in_diverging_palettes(name):
    middle = palette(name)[COLORS // 2, :3]
    assert np.ptp(middle.astype(int)) <= 1
    assert 126 <= middle[0] <= 129


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_sequential_palettes_get_lighter(name):
    light = np.array([luminance(color) for color in palette(name)[:COLORS]])
    assert (light[10:] > light[:-10]).all()


@pytest.mark.parametrize("name", [*SEQUENTIAL, *DIVERGING])
def test_nan_looks_like_no_value(name):
    distance = np.abs(palette(name)[:COLORS, :3] - palette(name)[NOT_A_NUMBER, :3].astype(int))
    assert distance.max(axis=1).min() >= 60


@pytest.mark.parametrize("page", [LIGHT_THEME, DARK_THEME])
def test_nan_is_legible_on_both_themes(page):
    assert contrast(palette("gray")[NOT_A_NUMBER], page) >= 3


def test_stripes_are_legible_whatever_lies_around_them():
    colors = palette("gray")
    assert contrast(colors[HATCH_LIGHT], colors[HATCH_DARK]) >= 4.5
    for page, stripe in itertools.product((LIGHT_THEME, DARK_THEME), (HATCH_LIGHT, HATCH_DARK)):
        assert tuple(colors[stripe, :3]) != page


def test_palettes_cannot_be_changed_by_a_caller():
    with pytest.raises(ValueError, match="read-only"):
        palette("viridis")[0] = 0


def test_an_unknown_name_is_refused_with_the_choices():
    with pytest.raises(InputError, match=r"'virids'; did you mean 'viridis'.*blue-orange"):
        palette("virids")


def test_colours_become_opaque_pixels():
    shown = to_rgba(np.array([[[0, 0.5, 1], [np.nan, 0, 0]]], np.float32))
    assert shown.tolist() == [[[0, 128, 255, 255], [255, 0, 255, 255]]]


def test_classes_have_colours_of_their_own_however_many():
    colours = class_colours(48)
    assert len(np.unique(colours, axis=0)) == 48
    assert colours[0].tolist() == [0, 0, 0]
    assert colours[1].tolist() == [230, 159, 0]
    assert (colours[17] > colours[1]).any()
