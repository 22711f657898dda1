import io
import math

import numpy as np
import pytest
import torch
from ipywidgets import HTML
from PIL import Image
from torch import nn

from convviz_widgets.images import ImageSet
from convviz_widgets.measure.confusion import Confusion
from convviz_widgets.measure.responses import Responses
from convviz_widgets.state import ModelState
from convviz_widgets.views import ConfusionMatrix
from convviz_widgets.views.outputs.confusion_picture import CellGrid
from convviz_widgets.widgets import widget_tree

PATIENCE = 60


class Echo(nn.Module):
    """Answers what stands in the first pixels: the scores of an image are its first row."""

    def __init__(self, classes):
        super().__init__()
        self.scores = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.ones_(self.scores.weight)
        self.classes = classes

    def forward(self, images):
        return self.scores(images)[:, 0, 0, : self.classes]


def answering(answers, labels, classes=3, **options):
    """Return a state whose model gives these answers; NaN scores for None."""
    inputs = torch.zeros(len(answers), 1, 1, classes)
    for image, answer in enumerate(answers):
        inputs[image, 0, 0, 0 if answer is None else answer] = torch.nan if answer is None else 9
    inputs[0] += 0.0
    return ModelState(Echo(classes), ImageSet(inputs, labels, **options))


def shown(state, **options):
    view = ConfusionMatrix(state, **options)
    assert state.output_history.wait(PATIENCE)
    return view


ANSWERS, LABELS = [0, 0, 1, 2, 2, 2, 0, 1], [0, 0, 1, 2, 0, 0, 1, 1]
COUNTS = [[2, 0, 2], [1, 2, 0], [0, 0, 1]]


def test_rows_are_true_classes_and_columns_answers():
    state = answering(ANSWERS, LABELS)
    found = shown(state).painted.found
    assert found.counts.tolist() == COUNTS
    np.testing.assert_allclose(found.shares[0], [0.5, 0, 0.5])
    state.close()


def test_the_caption_has_n_step_and_accuracy_with_its_standard_error():
    state = answering(ANSWERS, LABELS)
    caption = shown(state).caption
    error = math.sqrt(5 / 8 * 3 / 8 / 8)
    assert "step 0 · n = 8 images" in caption
    assert f"accuracy 62.5% ± {error:.1%}" in caption
    state.close()


def test_a_click_on_a_cell_lists_its_images_and_one_on_an_image_selects_it():
    state = answering(ANSWERS, LABELS)
    view = shown(state)
    assert view.thumbnails.images == (4, 5)  # the most errors
    view.raster.click(50, 150)  # row 1, column 0 of cells of 100 pixels
    assert view.thumbnails.images == (6,)
    assert "class 1, answered class 0: 1 image" in view.heading
    box = view.thumbnails.mosaic.box(0)
    view.thumbnails.click(box.x + 1, box.y + 1)
    assert state.selection.image == 6
    view.raster.press("ArrowRight")
    assert view.thumbnails.images == (2, 7)
    view.control("next image").click()
    assert state.selection.image == 2
    state.close()


def test_the_drop_down_offers_errors_first():
    state = answering(ANSWERS, LABELS, class_names=["cat", "dog", "owl"])
    view = shown(state)
    labels = [label for label, _ in view.control("Cell").options]
    assert labels == [
        "cat → owl: 2",
        "dog → cat: 1",
        "cat is cat: 2",
        "dog is dog: 2",
        "owl is owl: 1",
    ]
    view.control("Cell").index = 1
    assert view.thumbnails.images == (6,)
    state.close()


def test_what_does_not_count_is_said():
    state = answering([0, None, 2, 1], [0, 0, None, 7])
    caption = shown(state).caption
    assert "n = 1 images" in caption
    assert "1 without a label" in caption
    assert "1 with a label that has none of the 3 scores" in caption
    assert "1 with scores that are NaN or infinite" in caption
    state.close()


def test_images_without_labels_are_said_to_have_none():
    state = answering(ANSWERS, None)
    view = shown(state)
    assert "None of n = 8 images has a label" in view.message
    assert view.matrix.layout.visibility == "hidden"
    state.close()


def test_the_answers_of_a_checkpoint_are_asked_once(state):
    shown(state)
    for checkpoint in (0, 1, 2, 0, 1):
        state.select(checkpoint=checkpoint)
        assert state.output_history.wait(PATIENCE)
    state.select(image=3)
    assert state.output_history.forward_count == 3


def test_a_large_set_is_asked_in_part_and_in_whole_on_demand():
    state = answering([0, 1, 2] * 4, [0, 1, 2] * 4)
    view = shown(state, most=4)
    assert "n = 4 images (4 asked of 12, evenly spread)" in view.caption
    view.most = 12
    assert state.output_history.wait(PATIENCE)
    assert "n = 12 images ·" in view.caption
    state.close()


def picture_of(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


def test_a_thousand_classes_draw_and_no_confusion_is_lost():
    """Every class right once, but for one image of class 17 that is taken for 905."""
    labels = np.append(np.arange(1000), 17)
    predicted = np.append(np.arange(1000), 905)
    found = Confusion.of(
        Responses(np.arange(1001), labels, predicted, np.ones(1001, np.float32), classes=1000)
    )
    grid = CellGrid(1000)
    shares = found.shares
    picture = picture_of(grid.paint(shares, found.counts, 1.0))
    assert picture.shape == (250, 250, 4)
    empty = picture[100, 0]
    different = np.argwhere((picture != empty).any(axis=2))
    assert [4, 226] in different.tolist()
    assert len(different) == 251
    rows, columns = grid.cell_at(226, 4)
    assert (rows, columns) == (range(16, 20), range(904, 908))
    assert found.images_in((rows, columns)).tolist() == [1000]


def test_a_view_of_a_thousand_classes_draws():
    state = answering([0, 999, 5], [0, 1, 5], classes=1000)
    view = shown(state)
    assert view.problem == ""
    assert "each pixel the largest of 4×4 cells" in view.caption
    assert view.thumbnails.images == (1,)
    state.close()


def test_a_class_without_images_is_left_transparent():
    grid = CellGrid(30)
    values = np.zeros((30, 30))
    values[3] = np.nan
    alpha = picture_of(grid.paint(values, np.zeros((30, 30), int), 1.0))[..., 3]
    side = grid.enlarge
    assert (alpha[3 * side : 4 * side] == 0).all()
    assert alpha[2 * side, 0] == 255


@pytest.mark.parametrize("classes", [2, 12, 300, 301, 1000])
def test_every_cell_is_found_in_the_middle_of_its_box(classes):
    grid = CellGrid(classes)
    assert grid.size <= 300
    for row, column in ((0, 0), (grid.count - 1, grid.count // 2)):
        x, y = column * grid.enlarge, row * grid.enlarge
        cell = grid.cell_at(x, y)
        assert cell == grid.cell(row, column)
        box = grid.box(cell)
        assert box.x <= x < box.x + box.width
        assert box.y <= y < box.y + box.height
        assert box.x + box.width <= grid.size
    assert grid.cell_at(grid.size, 0) is None


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (nn.Sequential(nn.Conv2d(1, 1, 1)), "puts out pictures, and no classes"),
        (nn.Sequential(nn.Flatten(), nn.Linear(36, 1)), "puts out one number"),
    ],
)
def test_a_model_without_classes_says_so(net, words, images):
    state = ModelState(net, images)
    assert words in ConfusionMatrix(state).problem
    state.close()


def test_names_of_classes_are_escaped():
    state = answering(ANSWERS, LABELS, class_names=["<i>cat", "dog", "owl"])
    view = shown(state)
    assert view.heading.startswith("<i>cat, answered owl")
    written = [part.value for part in widget_tree(view) if isinstance(part, HTML)]
    assert sum("&lt;i&gt;cat" in each for each in written) == 3  # beside, above, and the cell
    assert "<i>" not in "".join(written)
    state.close()
