import math

import numpy as np
import pytest
import torch
from torch import nn

from convviz_widgets.checkpoints import CheckpointSeries
from convviz_widgets.errors import InputError
from convviz_widgets.images import ImageSet
from convviz_widgets.measure.drift import Drift
from convviz_widgets.record import Recorder, Run
from convviz_widgets.state import ModelState
from convviz_widgets.views import OutputGallery
from convviz_widgets.views.outputs.picture_pages import limit_of, picture_row, tiles_of_rows

PATIENCE = 60


def scaling(share):
    """Return a model that multiplies a colour picture by ``share``."""
    net = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(share * torch.eye(3)[:, :, None, None])
    return net


@pytest.fixture
def pictures():
    return torch.rand(11, 3, 4, 4, generator=torch.Generator().manual_seed(1)) * 0.9 + 0.05


@pytest.fixture
def fading(pictures):
    """A state whose three checkpoints put out 0.25, 0.6 and all of the picture, its own target."""
    weights = [scaling(share).state_dict() for share in (0.25, 0.6, 1.0)]
    series = CheckpointSeries.from_state_dicts(list(zip((0, 100, 200), weights, strict=True)))
    images = ImageSet(pictures, targets=pictures)
    state = ModelState(scaling(1.0), images, checkpoints=series)
    yield state
    state.close()


def shown(state, **options):
    view = OutputGallery(state, **options)
    assert state.output_history.wait(PATIENCE)
    return view


def test_chroma_and_contrast_over_the_checkpoints_are_the_scale_of_the_outputs(fading):
    page = shown(fading).pages.shown.drift
    assert page.steps == (0, 100, 200)
    assert [each.chroma for each in page.drifts] == pytest.approx([0.25, 0.6, 1.0], abs=1e-5)
    assert [each.contrast for each in page.drifts] == pytest.approx([0.25, 0.6, 1.0], abs=1e-5)


def test_the_caption_has_step_scale_and_n(fading):
    fading.select(checkpoint=0)
    caption = shown(fading).caption
    assert "step 0 · image 0" in caption
    assert "chroma 0.25 (n = 11), contrast 0.25 (n = 11)" in caption


def test_targets_that_are_grey_or_flat_say_nothing():
    table = np.array([[0.5, 1.0, 0.1, 0.01], [9.0, 0.01, 0.3, 0.5], [np.nan, 1.0, 0.1, 0.5]])
    found = Drift.of(table)
    assert found == Drift(0.5, pytest.approx(0.4), 1, 2)
    assert math.isnan(Drift.of(np.zeros((0, 4))).chroma)


def test_the_difference_is_output_minus_target_and_signed(pictures):
    images = ImageSet(pictures, targets=pictures)
    row = picture_row(images, 2, pictures[2] * 0.5)
    np.testing.assert_allclose(row.difference, -0.5 * pictures[2].mean(0), rtol=1e-5)
    assert limit_of([row]) == pytest.approx(0.5 * pictures[2].mean(0).max().item())
    np.testing.assert_array_equal(row.input, images.display(2))
    np.testing.assert_array_equal(
        row.output, (pictures[2] * 127.5).round().permute(1, 2, 0).numpy()
    )


def test_what_is_not_known_yet_is_transparent(pictures):
    images = ImageSet(pictures, targets=pictures)
    tiles = tiles_of_rows([picture_row(images, 0, None)], 8, 1.0)
    assert tiles.shape == (4, 8, 8, 4)
    assert tiles[..., 3].reshape(4, -1).max(axis=1).tolist() == [255, 255, 0, 0]


def test_outputs_with_nan_are_magenta_and_counted(pictures):
    images = ImageSet(pictures, targets=pictures)
    output = pictures[0].clone()
    output[1, 2, 3] = torch.nan
    row = picture_row(images, 0, output)
    assert row.not_finite == 1
    assert row.output[2, 3].tolist() == [255, 0, 255]
    assert math.isfinite(limit_of([row]))
    tiles_of_rows([row], 8, limit_of([row]))


def test_a_click_on_a_picture_selects_its_image(fading):
    view = shown(fading)
    mosaic = view.pages.shown.mosaic
    box = mosaic.box(2 * 8 + 5)  # output of the sixth
    view.pages.raster.click(box.x + 1, box.y + 1)
    assert fading.selection.image == 5
    for _ in range(3):
        view.control("next image").click()
    assert fading.selection.image == 8
    assert view.pages.shown.images == (8, 9, 10)


def test_a_click_on_the_drift_moves_the_clock(fading):
    view = shown(fading)
    plot = view.pages.drift.plot
    plot.click(int(plot.plot.to_pixel(0)), 20)
    assert fading.selection.checkpoint == 0


def test_pictures_without_targets_are_compared_with_the_input(pictures):
    state = ModelState(scaling(0.5), ImageSet(pictures))
    view = shown(state)
    assert "difference: output − input" in view.caption
    assert "no target pictures: no drift" in view.caption
    assert state.output_history.forward_count == 1  # the page
    state.close()


def test_a_run_that_keeps_few_checkpoints_has_its_outputs_shown(tmp_path, pictures):
    model, images = scaling(0.2), ImageSet(pictures, targets=pictures)
    with Recorder(model, tmp_path, every=10, keep=2) as recorder:
        recorder.watch(images)
        for _ in range(30):
            with torch.no_grad():
                model[0].weight += 0.8 / 30 * torch.eye(3)[:, :, None, None]
            recorder.step()
    run = Run(tmp_path)
    state = ModelState(model, images, checkpoints=run.checkpoints)
    page = shown(state, run=run).pages.shown
    assert len(page.drift.steps) > len(state.steps)
    expected = [0.2 + 0.8 * step / 30 for step in page.drift.steps]
    assert [each.chroma for each in page.drift.drifts] == pytest.approx(expected, abs=1e-4)
    assert page.strip_steps == page.drift.steps
    assert page.drift.place == len(page.drift.steps) - 1
    state.close()


def test_outputs_of_other_images_are_not_taken_for_the_states(tmp_path, pictures):
    model = scaling(0.5)
    with Recorder(model, tmp_path, every=1) as recorder:
        recorder.watch(pictures.flip(0))
        recorder.step()
    run = Run(tmp_path)
    state = ModelState(model, ImageSet(pictures), checkpoints=run.checkpoints)
    view = shown(state, run=run)
    assert "THE RUN WATCHED OTHER IMAGES" in view.caption
    assert view.pages.shown.strip_steps == ()
    state.close()


def test_what_was_drawn_over_the_image_is_what_goes_in(fading):
    drawn = torch.full((3, 4, 4), 0.2)
    fading.select(drawing=drawn)
    view = shown(fading)
    view_of_input = view.pages.shown.selected[0]
    middle = view_of_input[len(view_of_input) // 2, len(view_of_input) // 2]
    assert middle.tolist() == [51, 51, 51, 255]
    assert "image 0, painted over" in view.caption


def test_something_else_than_a_run_is_refused(fading):
    with pytest.raises(InputError, match="run: expected a Run, got str"):
        OutputGallery(fading, run="runs/7")


def classifying(labels):
    """Return a state whose answers are 1, 0, 2, 1 with falling certainty."""
    inputs = torch.zeros(4, 1, 1, 3)
    for image, (answer, score) in enumerate([(1, 9.0), (0, 7.0), (2, 5.0), (1, 3.0)]):
        inputs[image, 0, 0, answer] = score
    net = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Flatten())
    nn.init.ones_(net[0].weight)
    return ModelState(net, ImageSet(inputs, labels))


def test_wrong_answers_come_first_and_of_each_kind_the_most_certain():
    state = classifying([1, 1, 2, None])
    view = shown(state)
    assert view.pages.thumbnails.images == (1, 3, 0, 2)
    assert "1 of 3 labelled images answered wrong" in view.caption
    box = view.pages.thumbnails.mosaic.box(0)
    view.pages.thumbnails.point_at(box.x + 1, box.y + 1)
    assert "image 1 · is class 1 · answered class 0, 99.8%" in view.pointed
    view.control("next image").click()
    assert state.selection.image == 2  # after image 0, which was selected
    state.close()


def test_without_labels_no_answer_is_called_wrong():
    state = classifying(None)
    view = shown(state)
    assert "no image has a label" in view.caption
    assert view.pages.thumbnails.images == (0, 1, 2, 3)
    state.close()


def test_the_answers_are_those_that_a_confusion_matrix_asked_for(state):
    from convviz_widgets.views import ConfusionMatrix

    ConfusionMatrix(state)
    assert state.output_history.wait(PATIENCE)
    passes = state.output_history.forward_count
    shown(state)
    assert state.output_history.forward_count == passes


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, images):
        return self.conv(images), self.conv(images)


def test_a_model_that_puts_out_a_tuple_says_so_in_one_line(pictures):
    state = ModelState(Nested(), ImageSet(pictures))
    view = OutputGallery(state)
    assert "the model puts out a tuple of 2; expected class scores" in view.problem
    state.close()
