"""What a model puts out, as it is decided: from the values, what is known beside them, a choice."""

import gc
import weakref
from collections import OrderedDict
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from convviz_widgets.errors import InputError
from convviz_widgets.images import ImageSet
from convviz_widgets.probe import Probe
from convviz_widgets.probe.default_loss import NO_LOSS, default_loss
from convviz_widgets.probe.masks import IGNORED, class_masks
from convviz_widgets.probe.output_kinds import (
    BINARY,
    LOGITS,
    MULTILABEL,
    NUMBER,
    OTHER,
    PICTURE,
    PROBABILITIES,
    SEGMENTATION,
    OutputKind,
)
from convviz_widgets.probe.outputs import check_choice, output_kind

IMAGES = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    """Four maps of 8×8, made something of."""

    def __init__(self, finish):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.fc = nn.Linear(4, 4)
        self.finish = [finish]
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))

    def forward(self, images):
        return self.finish[0](self.conv(images), self.fc)


def row(maps, fc):
    return fc(maps.mean((2, 3)))


def decided(finish, choice=None, **beside):
    images = ImageSet(IMAGES, **beside)
    return output_kind(Probe(Net(finish), IMAGES[:1]), IMAGES[:1], images, choice)


def mask(*values, dtype=torch.long):
    """Return masks of which each row of the image has one of these values."""
    rows = torch.tensor(values).repeat(8)[:8]
    return rows[None, :, None].expand(6, 8, 8).to(dtype)


FINISHED = {
    "scores": (row, {}, LOGITS, 4),
    "scores above zero": (lambda m, fc: row(m, fc).exp(), {}, LOGITS, 4),
    "probabilities": (lambda m, fc: row(m, fc).softmax(1), {}, PROBABILITIES, 4),
    "half precision": (lambda m, fc: row(m, fc).softmax(1).bfloat16(), {}, PROBABILITIES, 4),
    "their logarithms": (lambda m, fc: row(m, fc).log_softmax(1), {}, LOGITS, 4),
    "sigmoids": (lambda m, fc: row(m, fc).sigmoid(), {}, MULTILABEL, 4),
    "length one": (lambda m, fc: F.normalize(row(m, fc)), {}, OTHER, None),
    "one": (lambda m, fc: row(m, fc)[:, :1], {"labels": [0, 1] * 3}, BINARY, 2),
    "one of two names": (
        lambda m, fc: row(m, fc)[:, 0],
        {"class_names": ["no", "yes"]},
        BINARY,
        2,
    ),
    "age": (lambda m, fc: row(m, fc)[:, :1], {"labels": [3, 40, 7, 0, 1, 9]}, NUMBER, None),
    "whole numbers": (
        lambda m, fc: row(m, fc).argmax(1) + row(m, fc).long()[:, 0],
        {},
        OTHER,
        None,
    ),
    "tokens": (lambda m, fc: m.flatten(2), {}, OTHER, None),
    "several labels": (
        row,
        {"targets": torch.tensor([[1, 1, 0, 0], [0, 0, 0, 1]] * 3)},
        MULTILABEL,
        4,
    ),
    "one-hot rows": (row, {"targets": torch.eye(4)[[0, 1, 2, 3, 0, 1]]}, LOGITS, 4),
    "masks": (lambda m, fc: m, {"targets": mask(0, 1, 3, 255)}, SEGMENTATION, 4),
    "masks of floats": (
        lambda m, fc: m,
        {"targets": mask(0, 1, dtype=torch.float32)},
        SEGMENTATION,
        4,
    ),
    "three classes": (lambda m, fc: m[:, :3], {"targets": mask(0, 1, 2)}, SEGMENTATION, 3),
    "one class": (lambda m, fc: m[:, :1], {"targets": mask(0, 1)[:, None]}, SEGMENTATION, 2),
    "one class, flat": (
        lambda m, fc: m[:, 0],
        {"targets": mask(0, 1, dtype=torch.float32)},
        SEGMENTATION,
        2,
    ),
    "white on black": (lambda m, fc: m[:, :1], {"targets": mask(0, 255)}, OTHER, None),
    "map of probabilities": (lambda m, fc: m.softmax(1)[:, :, ::2], {}, SEGMENTATION, 4),
    "named classes": (lambda m, fc: m[:, :, ::2], {"class_names": list("abcd")}, SEGMENTATION, 4),
    "features": (lambda m, fc: F.avg_pool2d(m, 2), {}, OTHER, None),
    "features of labelled images": (lambda m, fc: m, {"labels": [0] * 6}, OTHER, None),
    "picture": (lambda m, fc: m[:, :3], {}, PICTURE, None),
    "picture with target": (lambda m, fc: m, {"targets": torch.rand(6, 4, 8, 8)}, PICTURE, None),
    "larger picture": (lambda m, fc: F.interpolate(m[:, :3], scale_factor=2.0), {}, PICTURE, None),
    "flat picture": (lambda m, fc: m[:, :3].flatten(1), {}, PICTURE, None),
    "boxes": (row, {"targets": torch.rand(6, 4)}, OTHER, None),
    "signed labels": (row, {"targets": torch.ones(6, 4).long() * -1}, OTHER, None),
    "shares": (row, {"targets": torch.rand(6, 4).softmax(1)}, LOGITS, 4),
    "many classes": (lambda m, fc: m[:, :3].flatten(1), {"labels": [191] * 6}, LOGITS, 192),
    "overlapping masks": (lambda m, fc: m, {"targets": torch.ones(6, 4, 8, 8)}, OTHER, None),
}


@pytest.mark.parametrize("name", FINISHED)
def test_the_kind_is_told_from_the_values_and_what_is_beside_them(name):
    finish, beside, kind, classes = FINISHED[name]
    found = decided(finish, **beside)
    assert (found.name, found.classes) == (kind, classes)
    assert bool(found.why) == (kind == OTHER)
    assert "\n" not in found.why + found.note


def test_as_many_scores_as_values_of_labelled_images_are_said_to_be_a_picture_perhaps():
    found = decided(lambda m, fc: m[:, :3].flatten(1), labels=[3] * 6)
    assert (found.name, found.classes) == (LOGITS, 192)
    assert "output='picture' if they are one" in found.note
    assert decided(lambda m, fc: m[:, :3].flatten(1), labels=[191] * 6).note == ""


def test_one_image_whose_scores_sum_to_one_has_no_probabilities():
    """The bias alone makes the scores of every image 0, 0, 1, 0; other weights tell."""

    def finish(maps, fc):
        return fc(maps.mean((2, 3)))

    net = Net(finish)
    with torch.no_grad():
        net.fc.weight.zero_()
        net.fc.bias.copy_(torch.tensor([0.0, 0.0, 1.0, 0.0]))
    assert output_kind(Probe(net, IMAGES[:1]), IMAGES[:1]).name == LOGITS
    with torch.no_grad():
        net.fc.bias[2] = 0.5
    net.finish[0] = lambda maps, fc: finish(maps, fc)[:, 2]
    found = output_kind(Probe(net, IMAGES[:1]), IMAGES[:1])
    assert (found.name, found.squashed) == (BINARY, False)


def test_nan_in_the_example_leaves_the_rest_to_tell():
    net = Net(lambda maps, fc: row(maps, fc).softmax(1))
    with torch.no_grad():
        net.fc.bias[0] = torch.nan
    assert output_kind(Probe(net, IMAGES[:1]), IMAGES[:1]).name == PROBABILITIES


def two(maps, fc):
    return fc(maps.mean((2, 3))), fc(maps.amax((2, 3)))


@pytest.mark.parametrize(
    ("finish", "place", "note"),
    [
        (lambda m, fc: {"scores": row(m, fc)}, ("scores",), ""),
        (lambda m, fc: {"a": None, "b": {"c": [row(m, fc)]}}, ("b", "c", 0), ""),
        (lambda m, fc: SimpleNamespace(y=row(m, fc), n=3), ("y",), ""),
        (lambda m, fc: (row(m, fc), m.mean()), (0,), ""),
        (lambda m, fc: OrderedDict(loss=m.mean(), logits=row(m, fc), h=(m, m)), ("logits",), "'h'"),
        (lambda m, fc: [m, row(m, fc)], (1,), "a list of 2: index 1 taken; output= picks another"),
        (lambda m, fc: (row(m, fc), m), (0,), "index 0 taken"),
    ],
)
def test_the_part_that_is_meant_is_found_and_a_guess_is_told(finish, place, note):
    found = decided(finish)
    assert (found.name, found.place) == (LOGITS, place)
    assert note in found.note
    assert bool(note) == bool(found.note)


CLASSES = {"labels": [0, 1, 2, 3, 0, 1]}


@pytest.mark.parametrize(
    ("finish", "beside", "place"),
    [
        (lambda m, fc: (row(m, fc), m[:, :3].flatten(1)), CLASSES, (0,)),
        (lambda m, fc: (m.amax((2, 3))[:, :3], row(m, fc)), CLASSES, (1,)),
        (lambda m, fc: (row(m, fc), row(m, fc)[:, :2]), CLASSES, (0,)),
        (lambda m, fc: sure(row(m, fc)), CLASSES, (0,)),
        (lambda m, fc: sure(row(m, fc)[:, :2]), {"labels": [0, 1] * 3}, (0,)),
        (lambda m, fc: sure(row(m, fc)), {}, None),
        (lambda m, fc: doubled(row(m, fc)), CLASSES, None),
        (lambda m, fc: doubled(m), {"targets": mask(0, 1, 2, 3)}, None),
        (lambda m, fc: halved(m), {"targets": mask(0, 1, 2, 3)}, (0,)),
        (lambda m, fc: halved(m)[::-1], {"targets": mask(0, 1, 2, 3)}, (1,)),
    ],
)
def test_what_is_made_of_scores_is_not_taken_for_them(finish, beside, place):
    found = decided(finish, **beside)
    assert (found.name == OTHER) == (place is None)
    assert "output= says which" in found.why if place is None else "taken" in found.note
    assert found.place == (place or ())


def sure(scores):
    return scores, scores.softmax(1).amax(1)


def doubled(scores):
    return {"a": scores, "b": scores * 2}


def halved(maps):
    return maps, F.avg_pool2d(maps, 2)


def test_scores_and_their_probabilities_are_one_answer():
    assert decided(lambda m, fc: given_twice(row(m, fc), torch.softmax, 1)).name == PROBABILITIES
    assert decided(lambda m, fc: given_twice(row(m, fc), torch.sigmoid)).squashed


def given_twice(scores, function, *args):
    return scores, function(scores, *args)


def test_the_image_handed_on_is_no_answer():
    class Passing(Net):
        def forward(self, images):
            return super().forward(images), images, images.flatten(1)

    found = output_kind(Probe(Passing(row), IMAGES[:1]), IMAGES[:1], ImageSet(IMAGES))
    assert (found.name, found.place) == (LOGITS, (0,))
    assert "index 0 taken" in found.note


def test_rows_of_length_one_are_no_labels_though_they_lie_between_zero_and_one():
    found = decided(lambda m, fc: F.normalize(row(m, fc).relu() + 0.01), labels=[1] * 6)
    assert (found.name, found.classes) == (OTHER, None)
    assert "length 1, as embeddings" in found.why


def test_percentages_are_no_scores():
    def percent(maps, fc):
        return row(maps, fc).softmax(1) * 100

    assert "its rows sum to 100: output=lambda y: y / 100" in decided(percent).why
    assert decided(percent, lambda y: y / 100).name == PROBABILITIES


def test_the_output_that_told_the_kind_is_let_go_and_can_be_had_again():
    seen = []

    def finish(maps, fc):
        found = maps * 2
        seen.append(weakref.ref(found))
        return found

    probe = Probe(Net(finish), IMAGES[:1])
    kinds = [output_kind(probe, IMAGES[:1], choice="segmentation") for _ in range(2)]
    gc.collect()
    assert len(seen) > 1
    assert all(each() is None for each in seen)
    assert [kind.classes for kind in kinds] == [4, 4]


def test_maps_with_channels_last_are_refused_with_the_remedy():
    last = {"targets": mask(0, 1, 2, 3)}
    why = decided(lambda m, fc: m.movedim(1, -1), **last).why
    assert "its channels are last: output=lambda y: y.movedim(-1, 1)" in why
    found = decided(lambda m, fc: m.movedim(1, -1), lambda y: y.movedim(-1, 1), **last)
    assert (found.name, found.classes) == (SEGMENTATION, 4)


def test_a_probability_for_each_class_of_a_position_is_said_and_has_no_loss_of_its_own():
    found = decided(lambda m, fc: m.sigmoid(), targets=mask(0, 1, 2, 3))
    assert (found.name, found.classes, found.loss_classes) == (SEGMENTATION, 4, None)
    assert "values from 0 to 1 that do not sum to 1: the largest is the class" in found.note
    with pytest.raises(InputError, match=r"a probability of its own for each class .* loss="):
        default_loss(found, torch.rand(6, 4, 8, 8), mask(0, 1, 2, 3))


def test_of_two_heads_none_is_taken_but_the_one_with_the_named_classes():
    assert "output= says which" in decided(two).why
    names = {"class_names": ["a", "b"]}
    found = decided(lambda m, fc: (row(m, fc), row(m, fc)[:, :2] * 2), **names)
    assert (found.place, found.classes) == ((1,), 2)


@pytest.mark.parametrize(
    ("choice", "kind", "place"),
    [
        (0, LOGITS, (0,)),
        (-1, LOGITS, (-1,)),
        ((1, "multilabel"), MULTILABEL, (1,)),
        ([1], LOGITS, (1,)),
    ],
)
def test_a_choice_picks_a_part_and_says_what_it_is(choice, kind, place):
    found = decided(two, choice)
    assert (found.name, found.place, found.note) == (kind, place, "")


def test_a_word_that_is_a_key_picks_that_member():
    found = decided(lambda m, fc: {"logits": row(m, fc).softmax(1), "binary": m}, "logits")
    assert (found.place, found.name) == (("logits",), PROBABILITIES)


def test_a_word_says_what_the_values_are():
    assert decided(row, "multilabel").name == MULTILABEL
    assert decided(lambda m, fc: row(m, fc).softmax(1), "logits").squashed is False
    assert decided(lambda m, fc: F.avg_pool2d(m, 2), "segmentation").classes == 4
    assert decided(lambda m, fc: m, "picture").name == PICTURE
    assert decided(lambda m, fc: row(m, fc)[:, 0], "binary").is_certain
    chosen = decided(two, (lambda found: found[1].sigmoid(), "probabilities"))
    assert (chosen.name, chosen.squashed) == (MULTILABEL, True)


@pytest.mark.parametrize(
    ("finish", "choice", "line"),
    [
        (row, "logit", "unknown output 'logit'; did you mean 'logits'"),
        (row, 3, "unknown output 3"),
        (row, "segmentation", "segmentation is a map of scores"),
        (row, "binary", "binary is one value an image"),
        (row, "probabilities", "no probabilities"),
        (row, "picture", "a picture has 192 values here"),
        (lambda m, fc: m, "multilabel", r"one row \(N, K\)"),
        (two, "logits", r"say which, such as output=\(0, 'logits'\)"),
        (lambda m, fc: {"a": row(m, fc), "b": m}, "logits", r"such as output=\('a', 'logits'\)"),
        (two, 2, "unknown output 2; .*a tuple of 2"),
        (lambda m, fc: {"a": row(m, fc), "b": m}, "c", "unknown output 'c'; .*'a', 'b': a, b"),
        (two, lambda found: found[7], "output= raised on a tuple of 2: IndexError"),
        (two, lambda found: found, "the model puts out a tuple of 2; expected"),
        (two, (lambda found: found[0], "scores"), "expected .function, kind."),
    ],
)
def test_a_choice_that_does_not_fit_is_told_in_one_line(finish, choice, line):
    with pytest.raises(InputError, match=line) as caught:
        decided(finish, choice)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("choice", [1.5, True, [None, {}], ((),)])
def test_what_can_be_no_choice_is_refused_at_once(choice):
    if choice == [None, {}]:
        choice = [{}]
    with pytest.raises(InputError, match="unknown output"):
        check_choice(choice)


def test_masks_are_read_as_classes_whatever_they_are_kept_as():
    expected = torch.tensor([[[0, 1], [2, IGNORED]]])
    for given in (
        torch.tensor([[[0, 1], [2, 255]]], dtype=torch.uint8),
        torch.tensor([[[[0.0, 1.0], [2.0, -100.0]]]]),
    ):
        assert torch.equal(class_masks(given, 3), expected)
    one_hot = F.one_hot(torch.tensor([[[0, 1], [2, 1]]]), 3).permute(0, 3, 1, 2)
    assert class_masks(one_hot.float(), 3).tolist() == [[[0, 1], [2, 1]]]


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (
            torch.tensor([[[0, 3]]]),
            "class 3 of the target masks has no score: the model puts out 3",
        ),
        (torch.tensor([[[0, 1 / 255]]]), "fractions: .*ToTensor divides a picture by 255"),
        (torch.ones(1, 3, 1, 2), "several classes, or none, at a position"),
        (torch.zeros(1, 2, 1, 2), "are no masks"),
    ],
)
def test_what_is_no_mask_is_told_in_one_line(given, line):
    with pytest.raises(InputError, match=line) as caught:
        class_masks(given, 3)
    assert "\n" not in str(caught.value)


def test_the_loss_of_probabilities_stays_finite_where_one_is_zero():
    kind = OutputKind(PROBABILITIES, (2,), 2, squashed=True)
    certain = torch.tensor([[1.0, 0.0]], requires_grad=True)
    loss = default_loss(kind, certain, torch.tensor([1]))
    loss.backward()
    assert loss.isfinite()
    assert certain.grad.isfinite().all()


@pytest.mark.parametrize(
    ("kind", "values", "target", "line"),
    [
        (OutputKind(LOGITS, (2,), 2), torch.zeros(1, 2), None, NO_LOSS),
        (OutputKind(LOGITS, (2,), 2), torch.zeros(1, 2), torch.tensor([5]), "label 5 has no class"),
        (OutputKind(LOGITS, (2,), 2), torch.zeros(1, 2), torch.ones(1, 3), "do not fit 2 class"),
        (OutputKind(NUMBER, (1,)), torch.zeros(1, 1), torch.tensor([5]), "give the state loss="),
        (OutputKind(MULTILABEL, (3,), 3), torch.zeros(1, 3), torch.ones(1, 2), r"targets \(N, 3\)"),
        (
            OutputKind(SEGMENTATION, (2, 1, 1), 2),
            torch.zeros(1, 2, 1, 1),
            torch.tensor([0]),
            "masks",
        ),
        (
            OutputKind(SEGMENTATION, (2, 1, 1), 2),
            torch.zeros(1, 2, 1, 1),
            torch.full((1, 1, 1), 255),
            "every position",
        ),
        (OutputKind(PICTURE, (1, 1, 1)), torch.zeros(1, 1, 1, 1), torch.ones(1, 3, 1, 1), "loss="),
    ],
)
def test_targets_that_do_not_fit_a_kind_are_told_in_one_line(kind, values, target, line):
    with pytest.raises(InputError, match=line) as caught:
        default_loss(kind, values, target)
    assert "\n" not in str(caught.value)
