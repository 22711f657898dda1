"""An input that was drawn stands in for that of the selected image, everywhere and exactly."""

import pytest
import torch
from torch import nn

from convviz_widgets.errors import SelectionError
from convviz_widgets.images import ImageSet
from convviz_widgets.state import ModelState
from convviz_widgets.state.link import Link

IMAGES = torch.arange(3 * 4, dtype=torch.float32).reshape(3, 1, 2, 2)


@pytest.fixture
def make_state():
    """Return a function that makes a state on a net that puts out mean and sum of a picture."""
    made = []

    def make(images=IMAGES, **options):
        net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
        with torch.no_grad():
            net[1].weight.copy_(torch.tensor([[0.25] * 4, [1.0] * 4]))
        made.append(ModelState(net, images, **options))
        return made[-1]

    yield make
    for state in made:
        state.close()


def test_the_model_is_shown_what_was_drawn_until_another_image_is_selected(make_state):
    state = make_state(image=1)
    assert state.logits().tolist() == [5.5, 22]
    state.select(drawing=torch.ones(1, 2, 2))
    assert state.logits().tolist() == [1, 4]
    assert state.input().tolist() == [[[1, 1], [1, 1]]]
    assert (state.image, state.selection.image_name) == (1, "image 1, painted over")
    state.select(image=1)  # the same one
    assert state.logits().tolist() == [1, 4]
    state.select(image=2)
    assert (state.drawing, state.selection.image_name) == (None, "image 2")
    assert state.logits().tolist() == [9.5, 38]
    state.select(image=1)
    assert state.logits().tolist() == [5.5, 22]


def test_another_drawing_is_another_image_to_whoever_depends_on_the_image(make_state):
    state = make_state()
    seen = []
    state.observe(lambda change: seen.append(change.new.changed(change.old)), names="selection")
    state.drawing = torch.ones(1, 2, 2)
    state.drawing = torch.ones(1, 2, 2)
    state.select(drawing=state.drawing)
    state.drawing = None
    assert seen == [{"image", "drawing"}] * 3


def test_each_drawing_costs_one_pass_and_only_the_latest_is_remembered(make_state):
    state = make_state()
    state.logits()
    before, of_image, drawn = state.forward_count, state.selection, []
    for value in range(20):
        state.select(drawing=torch.full((1, 2, 2), float(value)))
        assert state.logits().tolist() == [value, 4 * value]
        state.activation("0")
        assert state.is_ready()
        drawn.append(state.selection)
    assert state.forward_count == before + 20
    assert [state.is_ready(each) for each in drawn] == [False] * 19 + [True]
    assert state.is_ready(of_image)
    state.select(drawing=None)
    state.logits()
    assert state.forward_count == before + 20


def test_the_gradient_of_a_drawing_is_of_what_was_drawn_with_the_label_of_its_image(make_state):
    state = make_state(ImageSet(IMAGES, labels=[0, 1, 1]), image=1)
    state.select(drawing=torch.zeros(1, 2, 2))
    # scores 0, 0: probabilities one half each, less one for the label
    assert state.gradient("1").tolist() == [0.5, -0.5]
    assert state.gradient("1", of="weight").tolist() == [[0] * 4, [0] * 4]


def test_what_was_drawn_is_the_callers_no_more(make_state):
    state, mine = make_state(), torch.ones(1, 2, 2)
    state.select(drawing=mine)
    mine.zero_()
    state.input().zero_()
    assert state.logits().tolist() == [1, 4]


def test_the_picture_of_a_drawing_has_its_preprocessing_undone(make_state):
    state = make_state(ImageSet(torch.zeros(2, 1, 2, 2), mean=0.5, std=0.25))
    state.select(drawing=torch.tensor([[[-2.0, 2.0], [0.0, 9.0]]]))
    assert state.display()[..., 0].tolist() == [[0, 255], [128, 255]]


@pytest.mark.parametrize(
    "given",
    [torch.ones(2, 2), torch.ones(1, 2, 3), torch.ones(1, 2, 2, dtype=torch.int64), "black", 7],
)
def test_what_is_no_input_of_the_model_is_refused_in_one_line(make_state, given):
    state = make_state()
    before = state.selection
    with pytest.raises(SelectionError, match=r"floating tensor \(1, 2, 2\)") as raised:
        state.select(drawing=given)
    assert "\n" not in str(raised.value)
    assert state.selection is before


def test_a_drawing_on_one_image_is_not_put_on_another(make_state):
    state = make_state(image=1)
    drawing = state.select(drawing=torch.ones(1, 2, 2)).drawing
    with pytest.raises(SelectionError, match="expected one of image 2, got image 1, painted over"):
        state.select(image=2, drawing=drawing)
    assert state.selection.image == 1


def test_a_linked_state_follows_a_drawing_on_the_same_images(make_state):
    same, others = ImageSet(IMAGES), ImageSet(IMAGES + 1)
    for images, expected in ((same, [1, 4]), (others, [6.5, 26])):
        left, right = make_state(same, image=1), make_state(images, image=1)
        link = Link(left, right)
        left.select(drawing=torch.ones(1, 2, 2))
        assert right.logits().tolist() == expected
        left.select(drawing=None)
        assert right.selection.drawing is None
        link.close()
