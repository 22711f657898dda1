"""Every kind of output by predictions, gradient, attribution and matrix or gallery.

What is expected is worked out by torch alone, of a net whose scores are known before they are
wrapped as people wrap them; else the refusal has to name its remedy.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import convviz_widgets as cvw

PATIENCE = 60
COUNT, CLASSES, SIDE = 6, 4, 8


class Net(nn.Module):
    """Maps of features, a row of features, class scores, and a map of scores; `wrap` puts out."""

    def __init__(self, wrap: Callable[[Net, Tensor], Any]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, padding=1)
        self.fc = nn.Linear(5, CLASSES)
        self.side = nn.Linear(5, CLASSES)
        self.pixels = nn.Conv2d(5, CLASSES, 1)
        self.colours = nn.Conv2d(5, 3, 1)
        self._wrap = [wrap]
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))

    def maps(self, images: Tensor) -> Tensor:
        return torch.relu(self.conv(images))

    def scores(self, images: Tensor) -> Tensor:
        return self.fc(self.maps(images).mean((2, 3)))

    def forward(self, images: Tensor) -> Any:
        return self._wrap[0](self, images)


@dataclass
class Answer:
    loss: Tensor | None = None
    logits: Tensor | None = None
    hidden_states: tuple[Tensor, ...] = ()


class Heads(NamedTuple):
    aux: Tensor | None
    logits: Tensor


def features_and_scores(net: Net, images: Tensor) -> tuple[Tensor, Tensor]:
    maps = net.maps(images)
    row = maps.mean((2, 3))
    return row, net.fc(row)


def two_maps(net: Net, images: Tensor) -> dict[str, Tensor]:
    maps = net.maps(images)
    return OrderedDict(out=net.pixels(maps), aux=net.pixels(maps) * 2)


def small_and_large(net: Net, images: Tensor) -> list[Tensor]:
    maps = net.maps(images)
    return [net.pixels(F.avg_pool2d(maps, 2)), net.pixels(maps)]


def variational(net: Net, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    maps = net.maps(images)
    row = maps.mean((2, 3))
    return net.colours(maps + net.fc(row)[:, :1, None, None]), net.fc(row), net.side(row)


def boxes(net: Net, images: Tensor) -> list[dict[str, Any]]:
    return [{"boxes": each.expand(3, -1), "labels": [1, 2, 3]} for each in net.scores(images)]


class Told(NamedTuple):
    """What torch says: each of it a function of a net, images and targets."""

    probabilities: Callable[[Net, Tensor], Tensor] | None = None
    """(N, classes)"""
    loss: Callable[[Net, Tensor, Tensor], Tensor] | None = None
    score: Callable[[Net, Tensor, int], Tensor] | None = None
    """The scalar that an attribution explains, of one image."""
    shown: str = ""
    """What the matrix or gallery has to say; "matrix": the counts of torch's arg-max."""


def one(net: Net, images: Tensor) -> Tensor:
    return net.scores(images)[:, :1]


def both(net: Net, images: Tensor) -> Tensor:
    p = one(net, images).double().sigmoid()
    return torch.cat([1 - p, p], 1).float()


def of_one(net: Net, image: Tensor, target: int) -> Tensor:
    return (1 if target else -1) * one(net, image).sum()


def of_class(net: Net, image: Tensor, target: int) -> Tensor:
    return net.scores(image)[0, target]


def of_positions(net: Net, image: Tensor, target: int) -> Tensor:
    maps = net.pixels(net.maps(image))
    return (maps[:, target] * (maps.argmax(1) == target)).sum()


def shares(net: Net, images: Tensor) -> Tensor:
    found = net.pixels(net.maps(images)).argmax(1)
    return F.one_hot(found, CLASSES).float().mean((1, 2))


def bce_of_one(net: Net, images: Tensor, target: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(one(net, images)[:, 0], target.float())


def over_positions(net: Net, images: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(net.pixels(net.maps(images)), target, ignore_index=255)


CLASS_SCORES = Told(
    lambda net, images: net.scores(images).softmax(1),
    lambda net, images, target: F.cross_entropy(net.scores(images), target),
    of_class,
    "matrix",
)
ONE_LOGIT = Told(both, bce_of_one, of_one, "matrix")
LABELS = Told(
    lambda net, images: net.scores(images).sigmoid(),
    lambda net, images, target: F.binary_cross_entropy_with_logits(net.scores(images), target),
    of_class,
    "each image has several labels",
)
MASKS = Told(shares, over_positions, of_positions, "IoU")
PICTURES = Told(
    loss=lambda net, images, target: F.mse_loss(net(images), target),
    shown="chroma",
)

LABEL = torch.arange(COUNT) % CLASSES
ZERO_OR_ONE = torch.arange(COUNT) % 2
ROWS = torch.tensor(
    [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 1, 1], [0] * 4, [1] * 4]
).float()
MASK = torch.arange(SIDE * SIDE).reshape(1, SIDE, SIDE).repeat(COUNT, 1, 1) % CLASSES
MASK[:, 0] = 255
COLOURS = torch.rand(COUNT, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


class Kind(NamedTuple):
    wrap: Callable[[Net, Tensor], Any]
    told: Told
    targets: Tensor
    output: Any = None
    """As a user has to give it, for what cannot be known."""


KINDS = {
    "class scores": Kind(lambda net, x: net.scores(x), CLASS_SCORES, LABEL),
    "softmax": Kind(
        lambda net, x: net.scores(x).softmax(1),
        CLASS_SCORES._replace(score=lambda net, x, k: net.scores(x).softmax(1)[0, k]),
        LABEL,
    ),
    "log-softmax": Kind(
        lambda net, x: net.scores(x).log_softmax(1),
        CLASS_SCORES._replace(score=lambda net, x, k: net.scores(x).log_softmax(1)[0, k]),
        LABEL,
    ),
    "scores (N, K, 1, 1)": Kind(lambda net, x: net.scores(x)[..., None, None], CLASS_SCORES, LABEL),
    "one logit (N, 1)": Kind(one, ONE_LOGIT, ZERO_OR_ONE),
    "one logit (N,)": Kind(lambda net, x: one(net, x)[:, 0], ONE_LOGIT, ZERO_OR_ONE),
    "one logit, squeezed": Kind(lambda net, x: one(net, x).squeeze(), ONE_LOGIT, ZERO_OR_ONE),
    "one probability": Kind(
        lambda net, x: one(net, x).sigmoid(),
        ONE_LOGIT._replace(score=lambda net, x, k: both(net, x)[0, k]),
        ZERO_OR_ONE,
    ),
    "labels, logits": Kind(lambda net, x: net.scores(x), LABELS, ROWS),
    "labels, sigmoid": Kind(
        lambda net, x: net.scores(x).sigmoid(),
        LABELS._replace(score=lambda net, x, k: net.scores(x).sigmoid()[0, k]),
        ROWS,
    ),
    "dict of logits": Kind(
        lambda net, x: {"hidden": x, "logits": net.scores(x)}, CLASS_SCORES, LABEL
    ),
    "features and logits": Kind(features_and_scores, CLASS_SCORES, LABEL),
    "logits and features": Kind(
        lambda net, x: features_and_scores(net, x)[::-1], CLASS_SCORES, LABEL
    ),
    "dataclass": Kind(lambda net, x: Answer(logits=net.scores(x)), CLASS_SCORES, LABEL),
    "named tuple with None": Kind(lambda net, x: Heads(None, net.scores(x)), CLASS_SCORES, LABEL),
    "key and kind chosen": Kind(
        lambda net, x: {"a": net.scores(x), "b": net.side(net.maps(x).mean((2, 3)))},
        LABELS,
        ROWS,
        ("a", "multilabel"),
    ),
    "function chosen": Kind(
        lambda net, x: (net.side(net.maps(x).mean((2, 3))), [net.scores(x)]),
        CLASS_SCORES,
        LABEL,
        lambda result: result[1][0],
    ),
    "map of scores": Kind(lambda net, x: net.pixels(net.maps(x)), MASKS, MASK),
    "map of scores (N, 1, H, W)": Kind(
        lambda net, x: net.pixels(net.maps(x)),
        MASKS._replace(loss=lambda net, x, y: over_positions(net, x, y[:, 0])),
        MASK[:, None],
    ),
    "dict of maps": Kind(two_maps, MASKS, MASK),
    "maps of two sizes": Kind(small_and_large, MASKS._replace(score=None), MASK),
    "maps of two sizes, chosen": Kind(small_and_large, MASKS, MASK, -1),
    "softmax of maps": Kind(
        lambda net, x: net.pixels(net.maps(x)).softmax(1),
        MASKS._replace(
            score=lambda net, x, k: (
                net.pixels(net.maps(x)).softmax(1)[:, k] * (net.pixels(net.maps(x)).argmax(1) == k)
            ).sum()
        ),
        MASK,
    ),
    "picture": Kind(lambda net, x: net.colours(net.maps(x)), PICTURES, COLOURS),
    "picture and code": Kind(
        variational,
        PICTURES._replace(loss=lambda net, x, y: F.mse_loss(net(x)[0], y)),
        COLOURS,
    ),
    "two heads": Kind(
        lambda net, x: (net.scores(x), net.side(net.maps(x).mean((2, 3)))), Told(), LABEL
    ),
    "embedding": Kind(lambda net, x: F.normalize(net.scores(x)), Told(), LABEL),
    "boxes": Kind(boxes, Told(), LABEL),
}


@dataclass
class Case:
    name: str
    net: Net
    told: Told
    images: Tensor
    targets: Tensor
    output: Any
    state: cvw.ModelState

    def refused(self, ask: Callable[[], Any]) -> None:
        with pytest.raises(cvw.ConvVizError, match=r"output=|unit=|loss=|OutputGallery") as caught:
            ask()
        assert "\n" not in str(caught.value)


@pytest.fixture(params=KINDS, scope="module")
def case(request):
    kind = KINDS[request.param]
    net = Net(kind.wrap).eval()
    images = torch.rand(COUNT, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    belongs = {"labels" if kind.targets.ndim == 1 else "targets": kind.targets}
    state = cvw.ModelState(net, cvw.ImageSet(images, **belongs), output=kind.output)
    yield Case(request.param, net, kind.told, images, kind.targets, kind.output, state)
    state.close()


def noticed(net: Net) -> str:
    """Return one hash over weights, their versions, and the random generators."""
    sha = hashlib.sha256(torch.get_rng_state().numpy().tobytes())
    for name, tensor in net.state_dict().items():
        sha.update(repr((name, tensor.tolist(), tensor._version, tensor.requires_grad)).encode())
    sha.update(repr((random.getstate(), np.random.get_state(), net.training)).encode())  # noqa: NPY002
    return sha.hexdigest()


def test_deciding_and_looking_change_nothing(case):
    before = noticed(case.net)
    with contextlib.suppress(cvw.ConvVizError):
        cvw.attribute(case.net, case.images[0], output=case.output)
    state = cvw.ModelState(case.net, case.state.image_set, output=case.output)
    for ask in (state.logits, state.probabilities, state.gradient, state.output):
        with contextlib.suppress(cvw.ConvVizError):
            ask()
    assert noticed(case.net) == before
    assert all(tensor.grad is None for tensor in case.net.parameters())
    state.close()


def test_predictions_are_the_probabilities(case):
    view = cvw.Predictions(case.state)
    ask = lambda: view.compute(case.state.selection)  # noqa: E731
    if case.told.probabilities is None:
        case.refused(ask)
        return
    for image in range(2):
        case.state.select(image=image)
        with torch.no_grad():
            expected = case.told.probabilities(case.net, case.images[image : image + 1])[0]
        found = ask()
        torch.testing.assert_close(
            torch.tensor(found.probabilities), expected.sort(descending=True).values
        )
        assert expected[list(found.indices)].tolist() == pytest.approx(found.probabilities)


def test_the_gradient_is_that_of_the_usual_loss(case):
    ask = lambda: case.state.gradient("conv", of="weight", batch=True)  # noqa: E731
    if case.told.loss is None:
        case.refused(ask)
        return
    loss = case.told.loss(case.net, case.images, case.targets)
    (expected,) = torch.autograd.grad(loss, case.net.conv.weight)
    assert expected.abs().max() > 0
    torch.testing.assert_close(ask(), expected)


@pytest.mark.parametrize("target", [0, 1])
def test_an_attribution_explains_the_score_of_its_class(case, target):
    image = case.images[:1].clone().requires_grad_()
    ask = lambda: cvw.attribute(  # noqa: E731
        case.net, case.images[0], target=target, output=case.output
    )
    if case.told.score is None:
        case.refused(ask)
        return
    score = case.told.score(case.net, image, target)
    if not score.requires_grad or score.item() == 0:  # predicted nowhere
        case.refused(ask)
        return
    (expected,) = torch.autograd.grad(score, image)
    torch.testing.assert_close(ask(), expected[0])


def test_the_matrix_counts_or_the_gallery_shows_what_comes_out(case):
    with torch.no_grad():
        if case.told.shown == "matrix":
            view = cvw.ConfusionMatrix(case.state)
            assert case.state.output_history.wait(PATIENCE)
            answers = case.told.probabilities(case.net, case.images).argmax(1)
            size = len(view.painted.found.counts)
            expected = np.zeros((size, size), int)
            np.add.at(expected, (case.targets.numpy(), answers.numpy()), 1)
            assert view.painted.found.counts.tolist() == expected.tolist()
            return
        view = cvw.OutputGallery(case.state)
        assert case.state.output_history.wait(PATIENCE)
        if not case.told.shown:
            assert "output=" in view.problem
        elif case.told.shown == "IoU":
            found = case.net.pixels(case.net.maps(case.images)).argmax(1)
            mask = case.targets.reshape(found.shape)
            iou = [
                ((found == k) & (mask == k)).sum()
                / ((found == k) & (mask != 255) | (mask == k)).sum()
                for k in range(CLASSES)
            ]
            assert f"mean IoU {torch.stack(iou).mean():.3f} (class 0 {iou[0]:.2f}" in view.caption
            assert f"n = {COUNT} images, {(mask != 255).sum():,} positions" in view.caption
            assert f"ignored: {(mask == 255).sum()} positions" in view.caption
        elif case.told is LABELS or "labels" in case.told.shown:
            assert case.told.shown in cvw.ConfusionMatrix(case.state).problem
            assert "the most probable label" in view.caption
        else:
            assert "by the targets'" in view.caption
