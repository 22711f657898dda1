"""Models that take more than the images, and models whose output hides their weights."""

import copy
from collections import OrderedDict

import pytest
import torch
from torch import nn

import convviz_widgets as cvw

IMAGES = torch.rand(4, 3, 12, 12, generator=torch.Generator().manual_seed(0))


class Odd(nn.Module):
    """A small classifier whose forward a test gives."""

    def __init__(self, forward=None):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fc, self.words = nn.Conv2d(3, 8, 3), nn.Linear(8, 5), nn.Embedding(9, 8)
        self.run = forward

    def logits(self, x):
        return self.fc(torch.relu(self.conv(x)).mean((2, 3)))

    def forward(self, x):
        return self.run(self, x)


class Timed(Odd):
    def forward(self, x, t):
        return self.logits(x) + t


class ByName(Odd):
    def forward(self, *, pixel_values, mask):
        return self.logits(pixel_values * mask)


class Optional(Odd):
    def forward(self, x, targets=None):
        return targets.sum() if self.training else self.logits(x)


class Tokens(Odd):
    def forward(self, input_ids, attention_mask=None):
        return self.fc(self.words(input_ids).mean(1))


class TextAndImages(Odd):
    def forward(self, input_ids=None, pixel_values=None):
        return self.logits(pixel_values)


class TextOrImages(Odd):
    def forward(self, text, images, scale=1.0):
        return self.logits(images) * scale + self.words(text).mean()


def refusal(model):
    with pytest.raises(cvw.ModelError) as caught:
        cvw.ModelState(model, IMAGES)
    line = str(caught.value)
    assert "\n" not in line
    return line


def code_of(line):
    """Return the class that a refusal says to wrap the model in."""
    return line[line.index("class ImagesAlone") : line.index("; model = ImagesAlone(model)")]


def test_a_model_with_two_inputs_is_refused_with_the_lines_that_wrap_it():
    line = refusal(Timed())
    assert line.startswith("the model takes (x, t), expected one that takes the images alone")
    with pytest.raises(cvw.ModelError) as raised:
        cvw.ModelState(Timed(), torch.rand(2, 3, 8, 8))
    assert raised.value.__cause__.__context__ is None  # told once
    assert line.endswith("with a value for t")
    assert "self[0](pixel_values=x, mask=...)" in refusal(ByName())


def test_the_lines_run_once_the_value_is_there_and_the_checkpoints_fit_as_they_are():
    model = Timed()
    names: dict = {"torch": torch}
    exec(code_of(refusal(model)).replace("t=...", "t=torch.ones(5)"), names)
    checkpoints = cvw.CheckpointSeries.from_state_dicts([(7, model.state_dict())])
    state = cvw.ModelState(names["ImagesAlone"](model), IMAGES, checkpoints=checkpoints)
    with torch.no_grad():
        assert torch.equal(state.output(), model.logits(IMAGES[:1]) + 1)
    assert state.layers[0].name == "0.conv"


@pytest.mark.parametrize(
    ("forward", "said"),
    [
        (lambda self, x: self.logits(x["image"]), "does not take a batch of images"),
        (lambda self, x: self.logits(torch.stack(x)), "does not take a batch of images"),
        (lambda self, x: self.logits(x.tensors), "does not take a batch of images"),
    ],
)
def test_a_model_that_takes_something_else_is_refused_with_the_remedy(forward, said):
    line = refusal(Odd(forward))
    assert said in line
    assert "wrap it" in line


def test_a_model_of_tokens_is_refused_with_the_remedy():
    assert "wrap it" in refusal(Tokens())


def test_a_model_that_takes_its_images_after_the_words_is_refused_with_the_lines_that_wrap_it():
    line = refusal(TextAndImages())
    assert line.startswith("the model takes images as pixel_values=, not first: wrap it")
    names: dict = {"torch": torch}
    exec(code_of(line), names)
    assert cvw.ModelState(names["ImagesAlone"](TextAndImages()), IMAGES).output().shape == (1, 5)
    assert "self[0](images=x, text=...)" in refusal(TextOrImages())


def test_inputs_that_may_be_left_out_are_left_out():
    assert cvw.ModelState(Optional().train(), IMAGES).output().shape == (1, 5)


def test_an_error_of_the_model_itself_stays_its_own():
    def broken(self, x):
        return self.logits(x) + torch.zeros(3)

    assert "wrap it" not in refusal(Odd(broken))


def autocast(dtype, **settings):
    def forward(self, x):
        with torch.autocast("cpu", dtype=dtype, **settings):
            return self.logits(x)

    return forward


def partly_cast(self, x):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with torch.autocast("cpu", enabled=False):
            maps = self.conv(x)
        return self.fc(maps.relu().mean((2, 3)))


HIDING = OrderedDict(
    bfloat16=autocast(torch.bfloat16),
    float16=autocast(torch.float16),
    own_cache=autocast(torch.bfloat16, cache_enabled=True),
    nested=partly_cast,
    classes=lambda self, x: self.logits(x).argmax(1),
    classes_as_floats=lambda self, x: self.logits(x).argmax(1).float(),
    threshold=lambda self, x: (self.logits(x) > 100).float(),
    far_below=lambda self, x: torch.relu(self.logits(x) - 100),
    rounded=lambda self, x: (self.logits(x) * 1e-3).round(),
    detached=lambda self, x: self.logits(x).detach(),
    without_gradient=lambda self, x: torch.no_grad()(self.logits)(x),
    inference=lambda self, x: torch.inference_mode()(self.logits)(x),
    nothing_found=lambda self, x: self.logits(x)[self.logits(x).amax(1) > 1e9],
)


@pytest.mark.parametrize("name", HIDING)
def test_an_output_that_hides_its_weights_is_no_reason_to_refuse(name):
    model = Odd(HIDING[name])
    before = copy.deepcopy(model.state_dict())
    state = cvw.ModelState(model, IMAGES)
    with torch.no_grad():
        expected = model.eval()(IMAGES[:1])
    assert torch.equal(state.output(), expected)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_weights_that_are_not_numbers_are_no_reason_to_refuse():
    model = Odd(Odd.logits)
    nn.init.constant_(model.conv.weight, float("nan"))
    assert cvw.ModelState(model, IMAGES).output().isnan().all()


@pytest.mark.parametrize(
    "around",
    [
        lambda: torch.autocast("cpu", dtype=torch.bfloat16),
        torch.inference_mode,
        torch.no_grad,
        lambda: torch.device("meta"),
    ],
    ids=["autocast", "inference_mode", "no_grad", "device"],
)
def test_what_the_caller_has_on_changes_nothing(around):
    model = Odd(Odd.logits)
    expected = cvw.ModelState(model, IMAGES).output()
    with around():
        found = cvw.ModelState(model, IMAGES).output()
    assert torch.equal(found, expected)


@pytest.mark.parametrize("cached", [None, True])
def test_weights_that_autocast_keeps_do_not_outlive_their_checkpoint(cached):
    """Whoever has autocast on all the time would else be shown the first one's for all."""
    settings = {} if cached is None else {"cache_enabled": cached}
    model = Odd(autocast(torch.bfloat16, **settings))
    series = [(step, Odd().state_dict()) for step in (0, 1)]
    for value in series[1][1].values():
        value.mul_(2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        checkpoints = cvw.CheckpointSeries.from_state_dicts(series)
        state = cvw.ModelState(model, IMAGES, checkpoints=checkpoints, checkpoint=0)
        first = state.activation("conv")
        state.checkpoint = 1
        assert torch.allclose(state.activation("conv"), 2 * first)


def test_a_model_that_truly_ignores_its_weights_is_still_refused():
    frozen = Odd(Odd.logits).requires_grad_(False)

    def forward(self, x):
        self.conv(x)
        return frozen(x)

    assert "ignores its weights" in refusal(Odd(forward))


def test_a_layer_that_no_image_goes_into_is_refused_in_one_line():
    class Queries(Odd):
        def __init__(self):
            super().__init__(None)
            self.norm, self.rows = nn.LayerNorm(8), nn.Parameter(torch.rand(7, 8))

        def forward(self, x):
            asked = self.norm(self.rows[:, None].repeat(1, len(x), 1))
            return self.fc((asked + self.conv(x).mean((2, 3))).mean(0))

    state = cvw.ModelState(Queries(), IMAGES)
    with pytest.raises(cvw.InputError, match=r"puts out \(7, 1, 8\) .* look at another layer"):
        state.activation("norm")
