import math

import pytest
import torch
from torch import nn

from convviz_widgets.checkpoints import CheckpointSeries
from convviz_widgets.images import ImageSet
from convviz_widgets.state import ModelState

PATIENCE = 60


def answered(state, *questions):
    history = state.output_history
    history.ask("test", *questions)
    assert history.wait(PATIENCE)
    return [history.get(each) for each in questions]


def every(state, images, whole=False):
    return [state.output_history.question(i, images, whole) for i in range(len(state.steps))]


def test_an_image_at_every_checkpoint_costs_one_pass_each_and_none_of_the_users(state):
    before = state.forward_count
    found = answered(state, *every(state, (2,)))
    assert state.output_history.forward_count == 3
    assert state.forward_count == before
    for index, answer in enumerate(found):
        state.select(checkpoint=index, image=2)
        torch.testing.assert_close(answer.output(2), state.logits())


def test_an_image_that_is_part_of_an_answer_is_not_asked_again(state):
    answered(state, *every(state, (0, 1, 2, 3, 4)))
    passes = state.output_history.forward_count
    (found, *_) = answered(state, *every(state, (3,)))
    assert state.output_history.forward_count == passes == 3  # one batch each
    assert found.output(3).shape == (3,)


def test_the_numbers_are_those_of_the_softmax(state, images):
    (found,) = answered(state, state.output_history.question(1, (0, 1, 2, 3, 4)))
    assert found.labels.tolist() == [0, 1, 2, 0, 1]
    for image in range(5):
        state.select(checkpoint=1, image=image)
        shares = state.logits().softmax(0)
        assert found.predicted[image] == shares.argmax()
        assert found.probability[image] == pytest.approx(shares.max().item(), abs=1e-6)


class Broken:
    """A data set whose second item raises, and whose last has no label."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        if index == 1:
            raise OSError("damaged")
        return torch.full((1, 6, 6), index / 4), None if index == 3 else 0


def test_images_that_cannot_be_read_are_left_out_and_noted(make_net):
    state = ModelState(make_net(), ImageSet(Broken()))
    (found,) = answered(state, state.output_history.question(0, (0, 1, 2, 3)))
    assert found.indices.tolist() == [0, 2, 3]
    assert found.labels.tolist() == [0, 0, -1]
    assert found.failures == ("image 1: damaged",)
    state.close()


class Twice(nn.Module):
    def __init__(self, wrap):
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1)
        self.wrap = wrap

    def forward(self, images):
        return self.wrap(self.conv(images))


@pytest.mark.parametrize(
    ("wrap", "words"),
    [
        (lambda maps: {"maps": maps, "more": maps}, "a dict of 'maps', 'more'"),
        (lambda maps: (maps, maps), "a tuple of 2"),
        (lambda maps: maps[:, 0], "a tensor (1, 6, 6)"),
    ],
)
def test_outputs_of_another_kind_are_named_in_one_line(wrap, words):
    state = ModelState(Twice(wrap), torch.rand(2, 1, 6, 6))
    question = state.output_history.question(0, (0,), whole=True)
    answered(state, question)
    (line,) = state.output_history.progress(question).failures
    assert f"the model puts out {words}; expected class scores (N, K)" in line
    state.close()


def test_a_broken_checkpoint_leaves_the_others(images, make_net):
    weights = make_net(1).state_dict()
    series = CheckpointSeries.from_state_dicts([(0, {"other": torch.zeros(1)}), (1, weights)])
    state = ModelState(make_net(), images, checkpoints=series)
    questions = every(state, (0,))
    first, second = answered(state, *questions)
    assert first is None
    assert second is not None
    progress = state.output_history.progress(*questions)
    assert progress.complete
    assert "step 0" in progress.failures[0]
    state.close()


def test_chroma_and_contrast_of_pictures_are_those_worked_out_by_hand():
    """The model halves its input: red 1, 0, 0 → 1/2, 0, 0 beside black."""
    picture = torch.zeros(1, 3, 1, 2)
    picture[0, 0, 0, 0] = 1.0
    net = nn.Conv2d(3, 3, 1, bias=False)
    with torch.no_grad():
        net.weight.copy_(0.5 * torch.eye(3)[:, :, None, None])
    state = ModelState(nn.Sequential(net), ImageSet(picture, targets=picture))
    (found,) = answered(state, state.output_history.question(0, (0,)))
    chroma = math.sqrt(4 / 9 + 1 / 9 + 1 / 9) / 2  # of the target: one of two positions
    contrast = 1 / 6  # luminance 1/3 and 0
    assert found.drift[0] == pytest.approx([chroma / 2, chroma, contrast / 2, contrast])
    assert found.outputs is None
    state.close()


def test_nobody_being_left_the_rest_is_not_answered(state):
    questions = every(state, (0,))
    history = state.output_history
    history.observe(lambda: history.leave("test"))
    answered(state, *questions)
    assert 0 < history.progress(*questions).done < 3
