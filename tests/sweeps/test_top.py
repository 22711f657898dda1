"""The strongest images against a pass that keeps and sorts everything."""

import itertools

import pytest
import torch

from convviz_widgets.images import ImageSet
from convviz_widgets.probe import FieldBox, Probe, ReceptiveFields
from convviz_widgets.sweeps import sweep
from convviz_widgets.sweeps.top import Peaks, Top

from .nets import activations, build, pictures, strongest


def tied_pictures():
    """200 pictures, of which 0 and every 7th are one another's copies, and so are 5, 66 and 199."""
    images = pictures(200)
    images[::7] = images[0].clone()
    images[[66, 199]] = images[5].clone()
    return images


@pytest.mark.parametrize("name", ["plain", "residual", "strided"])
@pytest.mark.parametrize("batch_size", [1, 7, 64, 500])
def test_the_top_is_that_of_a_brute_force_pass_with_ties_in_order(name, batch_size):
    net, images = build(name), tied_pictures()[: 80 if batch_size == 1 else None]
    result = sweep(net, images, batch_size=batch_size, k=9, progress=False)
    for layer, maps in activations(net, images).items():
        for channel in range(maps.shape[1]):
            expected = strongest(maps, channel, 9)
            hits = result.top(layer, channel)
            assert [hit.image for hit in hits] == [image for image, _, _ in expected]
            assert [hit.position for hit in hits] == [position for _, _, position in expected]
            values = torch.tensor([value for _, value, _ in expected])
            torch.testing.assert_close(torch.tensor([hit.value for hit in hits]), values)


@pytest.mark.parametrize("k", [1, 4])
def test_a_group_has_one_place(k):
    net, images = build("plain"), tied_pictures()
    groups = [f"photograph {index // 20}" for index in range(200)]
    for data, given in ((images, groups), (ImageSet(images, groups=groups), None)):
        result = sweep(net, data, k=k, groups=given, batch_size=16, progress=False)
        for layer, maps in activations(net, images).items():
            for channel in range(maps.shape[1]):
                expected = strongest(maps, channel, k, groups)
                assert [hit.image for hit in result.top(layer, channel)] == [
                    i for i, _, _ in expected
                ]


def test_groups_of_an_image_set_can_be_switched_off():
    images = tied_pictures()
    grouped = ImageSet(images, groups=[0] * 200)
    net = build("plain")
    assert len(sweep(net, grouped, progress=False).top("0", 0)) == 1
    alone = sweep(net, grouped, groups=False, progress=False)
    assert alone.top("0", 0) == sweep(net, images, progress=False).top("0", 0)


def test_equal_values_go_to_the_first_images_and_equal_positions_to_the_first():
    images = torch.ones(50, 3, 8, 8)
    result = sweep(build("plain"), images, k=3, batch_size=8, progress=False)
    assert [hit.image for hit in result.top("0", 1)] == [0, 1, 2]
    assert {hit.position for hit in result.top("0", 1)} == {(0, 0)}


def test_fewer_images_than_places():
    result = sweep(build("plain"), pictures(2), k=9, progress=False)
    assert len(result.top("0", 0)) == 2


def test_a_hit_tells_the_box_of_its_unit():
    net, images = build("residual"), pictures(20)
    result = sweep(net, images, progress=False)
    fields = ReceptiveFields.of(Probe(net, images), images)
    for hit in result.top("relu_1", 2):
        assert hit.box == fields.box("relu_1", 2, hit.position)
    for hit in result.top("head", 0):
        assert (hit.position, hit.box) == (None, FieldBox(0, 0, 8, 8, (0, 0), (8, 8)))


def top_of(rows, k=3, grouped=False):
    """One channel's top after batches of (value, image, group)."""
    top = Top.empty(1, k, grouped=grouped)
    for batch in rows:
        values, images, groups = (torch.tensor(column) for column in zip(*batch, strict=True))
        rows = torch.arange(len(batch))
        peaks = Peaks(torch.zeros_like(rows), rows, values.float(), images * 10)
        top = top.with_peaks(peaks, images, groups if grouped else None)
    return top


def test_two_batches_by_hand():
    top = top_of([[(1.0, 0, 0), (3.0, 1, 0)], [(3.0, 2, 0), (-0.0, 3, 0), (0.0, 4, 0)]], k=4)
    assert top.images.tolist() == [[1, 2, 0, 3]]
    assert top.values.tolist() == [[3.0, 3.0, 1.0, 0.0]]
    assert top.positions.tolist() == [[10, 20, 0, 30]]


def test_a_better_image_of_a_group_takes_its_place_and_frees_none():
    top = top_of([[(1.0, 0, 7), (2.0, 1, 8)], [(5.0, 2, 8), (0.5, 3, 9)]], grouped=True)
    assert top.images.tolist() == [[2, 0, 3]]
    assert top.groups.tolist() == [[8, 7, 9]]


def test_negative_and_infinite_values_are_in_order():
    values = [-torch.inf, -3.0, -(2.0**-100), 0.0, 2.0**-100, 7.0, torch.inf]
    top = top_of([[(value, image, 0) for image, value in enumerate(values)]], k=7)
    assert top.values[0].tolist() == values[::-1]
    assert top.images[0].tolist() == [6, 5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize("grouped", [False, True])
def test_merging_does_not_depend_on_order_or_nesting(grouped):
    generator = torch.Generator().manual_seed(0)
    values = torch.randint(0, 6, (40,), generator=generator).tolist()
    rows = [(value, image, image % 7) for image, value in enumerate(values)]
    expected = top_of([rows], k=5, grouped=grouped)
    parts = [top_of([rows[start : start + 10]], k=5, grouped=grouped) for start in (0, 10, 20, 30)]
    for a, b, c, d in itertools.permutations(parts):
        for merged in (a.merged(b).merged(c).merged(d), a.merged(b.merged(c.merged(d)))):
            assert torch.equal(merged.keys, expected.keys)
            assert torch.equal(merged.positions, expected.positions)
