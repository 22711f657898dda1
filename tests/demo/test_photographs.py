import importlib.util

import numpy as np
import pytest

import convviz_widgets as cvw
from convviz_widgets.demo import PHOTOGRAPHS
from convviz_widgets.demo.photographs import cut_patches, read_photograph


@pytest.fixture(scope="module")
def training():
    return cut_patches("train", at_most=40)


@pytest.fixture(scope="module")
def validation():
    return cut_patches("validation", at_most=40)


def corners(patches):
    """Return (label, x, y) of every patch."""
    return [
        (label, *map(int, name.split()[1].split(",")))
        for label, name in zip(patches.labels, patches.names, strict=True)
    ]


def test_no_patch_occurs_twice_in_either_part(training, validation):
    pictures = [patch.tobytes() for patch in (*training.pixels, *validation.pixels)]
    assert len(set(pictures)) == len(pictures)


def test_a_patch_is_the_piece_of_the_photograph_that_its_name_says(training):
    for patch, (label, x, y) in list(zip(training.pixels, corners(training), strict=True))[:12]:
        photograph = read_photograph(PHOTOGRAPHS[label])
        np.testing.assert_array_equal(patch, photograph[y : y + 32, x : x + 32])


def test_patches_share_no_pixel(training, validation):
    covered = [np.zeros(read_photograph(photograph).shape[:2]) for photograph in PHOTOGRAPHS]
    for label, x, y in corners(training) + corners(validation):
        covered[label][y : y + 32, x : x + 32] += 1
    assert max(counts.max() for counts in covered) == 1


def test_left_trains_and_right_validates(training, validation):
    widths = [read_photograph(photograph).shape[1] for photograph in PHOTOGRAPHS]
    assert all(x + 32 <= widths[label] * 0.75 for label, x, _ in corners(training))
    assert all(x >= int(widths[label] * 0.75) for label, x, _ in corners(validation))


def test_flat_patches_are_left_out(training, validation):
    assert min(patch.std() for patch in (*training.pixels, *validation.pixels)) >= 2


def test_classes_take_turns(training):
    assert training.labels[:24] == (*range(12), *range(12))


def test_the_draw_depends_on_the_seed_alone(training):
    again, other = cut_patches("train", at_most=40), cut_patches("train", at_most=40, seed=1)
    assert again.names == training.names
    assert other.names != training.names


def test_missing_scikit_image_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(cvw.ConvVizError, match=r"pip install 'convviz_widgets\[demo\]'"):
        read_photograph(PHOTOGRAPHS[0])


def test_a_photograph_that_is_gone_is_named(monkeypatch, tmp_path):
    class Elsewhere:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: Elsewhere)
    with pytest.raises(cvw.ConvVizError, match=r"astronaut\.png"):
        read_photograph(PHOTOGRAPHS[0])
