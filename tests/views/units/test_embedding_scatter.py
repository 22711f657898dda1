"""EmbeddingScatter on codes that are written down: two numbers an image, after a ReLU."""

import threading
from io import BytesIO
from time import monotonic, sleep

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import convviz_widgets as cvw
from convviz_widgets.errors import InputError
from convviz_widgets.views.units.embedding_plot import marker_of, rows_by_marker

PATIENCE = 60

CODES = torch.tensor([[0.0, 1.0], [1.0, 1.0], [9.0, 1.0], [10.0, 2.0], [9.5, 1.5], [5.0, 9.0]])
"""Two images on the left, three on the right, one above."""


def state_of(labels=(0, 0, 1, 1, 1, None), *, first=nn.Conv2d, broken=False, **options):
    """Return a state on the codes; ``first`` is the kind of layer, the last step may be broken."""
    net = nn.Sequential(first(2, 2, 1, bias=False), nn.ReLU())
    turns = [torch.eye(2), torch.tensor([[0.0, 2.0], [2.0, 0.0]])]
    weights = [{"0.weight": turn.reshape(2, 2, 1, 1)} for turn in turns]
    if broken:
        weights[-1] = {"0.weight": torch.zeros(1)}
    series = cvw.CheckpointSeries.from_state_dicts([(100 * i, w) for i, w in enumerate(weights)])
    maps = CODES[:, :, None, None].repeat(1, 1, 2, 2)
    images = cvw.ImageSet(maps, labels, mean=0.0, std=1.0, **options)
    return cvw.ModelState(net, images, checkpoints=series)


@pytest.fixture
def state():
    made = state_of(class_names=["left", "<b>right</b>"])
    yield made
    made.close()


def shown(state, **options):
    view = cvw.EmbeddingScatter(state, **options)
    assert state.embeddings.wait(PATIENCE)
    return view


def picture(view):
    return view.compute(view.state.selection).picture


def pixel_of(view, image):
    return view.plot.places[picture(view).found.images.index(image)]


def test_the_codes_come_from_the_activation_behind_the_selected_layer(state):
    view = shown(state, layout=None)
    assert picture(view).layer == "1"
    assert "codes of 1 (the activation after 0): 2 channels" in view.caption
    assert "each the mean over its 2×2 positions" in view.caption
    found = picture(view).found.layout.positions
    distances = np.linalg.norm(found[:, None] - found[None], axis=2)
    expected = 2 * torch.cdist(CODES, CODES).numpy()  # step 100 doubles them
    np.testing.assert_allclose(distances, expected, atol=1e-5)


def test_a_mirrored_checkpoint_does_not_move_the_points_while_the_clock_does(state):
    view = shown(state)
    pixels = view.plot.places.copy()
    state.select(checkpoint=0)
    np.testing.assert_allclose(view.plot.places, pixels, atol=1e-2)
    assert "scaled onto step 100: agreement 1.00 of 1, spread 0.5×" in view.caption
    assert "PCA: 100% of the variance" in view.caption
    assert "n = 6 images" in view.caption


def test_points_of_a_class_look_alike_and_those_without_are_grey(state):
    view = shown(state)
    rows = rows_by_marker(picture(view).found.labels)
    assert rows[marker_of(0)].tolist() == [0, 1]
    assert rows[marker_of(1)].tolist() == [2, 3, 4]
    assert rows[marker_of(-1)].tolist() == [5]
    assert len({marker_of(label) for label in range(28)}) == 28
    assert "&lt;b&gt;right&lt;/b&gt; (3)" in view.legend.value
    assert "no label (1)" in view.legend.value


def test_a_click_selects_the_nearest_image_and_an_arrow_the_next_one(state):
    view = shown(state)
    x, y = pixel_of(view, 5)
    view.plot.overlay.drag((int(x) + 3, int(y)))
    assert state.selection.image == 5
    view.plot.overlay.drag((3, 3))  # far from every point
    assert state.selection.image == 5
    here, there = pixel_of(view, 0), pixel_of(view, 1)
    state.select(image=0)
    dx, dy = there - here
    across = abs(dx) > abs(dy)
    key = ("ArrowRight" if dx > 0 else "ArrowLeft") if across else None
    view.plot.overlay.press(key or ("ArrowDown" if dy > 0 else "ArrowUp"))
    assert state.selection.image == 1


def test_a_line_around_points_chooses_their_images(state):
    view = shown(state)
    right = np.array([pixel_of(view, image) for image in (2, 3, 4)])
    (left, top), (end, bottom) = right.min(0).astype(int) - 5, right.max(0).astype(int) + 5
    view.plot.overlay.drag((left, top), (end, top), (end, bottom), (left, bottom))
    assert view.chosen == [2, 3, 4]
    assert "3 chosen: &lt;b&gt;right&lt;/b&gt; 3" in view.strip.words
    view.strip.raster.click(60, 10)
    assert state.selection.image == 3
    view.step_image(1)
    assert state.selection.image == 4
    view.control("Clear").click()
    assert view.chosen == []


def test_a_group_is_chosen_without_a_pointer(state):
    view = shown(state)
    view.control("Choose").value = 0
    assert view.chosen == [0, 1]
    assert view.control("Choose").value == -2
    state.select(image=3)
    view.control("Choose").value = -1
    assert view.chosen[0] == 3
    assert len(view.chosen) == 6


def test_the_image_under_the_pointer_is_shown_until_it_leaves(state):
    view = shown(state)
    view.plot.overlay.point_at(*pixel_of(view, 2).astype(int))
    assert "image 2, under the pointer: &lt;b&gt;right&lt;/b&gt;" in view.preview.words
    view.plot.overlay.leave()
    assert "image 0, selected: left" in view.preview.words


def test_t_sne_says_what_it_cannot_say(state):
    view = shown(state, method="t-sne", perplexity=2)
    said = view.caption
    assert "t-SNE, perplexity 1.67, KL divergence" in said
    assert "distances between far clusters and their sizes mean little" in said


def test_without_scikit_learn_t_sne_is_one_line_and_pca_goes_on(state, monkeypatch):
    monkeypatch.setattr("convviz_widgets.tensors.plane.find_spec", lambda name: None)
    view = shown(state, method="t-sne")
    assert view.problem == (
        "t-SNE needs scikit-learn, which is not installed: "
        "pip install 'convviz_widgets[embedding]', or take PCA"
    )
    view.method = "pca"
    assert state.embeddings.wait(PATIENCE)
    assert view.problem == ""


def test_while_a_step_is_computed_the_nearest_one_is_seen_and_said():
    gate = threading.Event()

    class Waiting(nn.Conv2d):
        def forward(self, maps):
            if self.weight[0, 0, 0, 0] == 1:  # those of step 0
                assert gate.wait(PATIENCE)
            return super().forward(maps)

    state = state_of(first=Waiting)
    view = cvw.EmbeddingScatter(state, images=3)
    deadline = monotonic() + PATIENCE
    while picture(view).found is None and monotonic() < deadline:
        sleep(0.01)  # step 100 comes first
    state.select(checkpoint=0)
    assert "computing step 0…; this is step 100" in view.waiting
    assert picture(view).checkpoint == 1
    view.stopped = True
    assert "step 0 not computed; this is step 100" in view.waiting
    gate.set()
    assert state.embeddings.wait(PATIENCE)
    view.stopped = False
    assert state.embeddings.wait(PATIENCE)
    assert view.waiting == ""
    state.close()


def test_an_image_that_is_not_drawn_is_said_not_to_be(state):
    state.select(image=1)
    view = shown(state, images=3)
    assert picture(view).found.images == (0, 2, 4)
    assert "n = 3 images of 6, evenly drawn" in view.caption
    assert "image 1 is not among the points" in view.preview.words


def test_a_last_checkpoint_that_is_broken_is_passed_over():
    state = state_of(broken=True)
    view = shown(state)
    assert picture(view).reference == picture(view).checkpoint == 0
    assert "step 100 cannot be shown; this is step 0" in view.waiting
    assert "1 cannot be: step 100: " in view.progress.words
    state.close()


def test_new_checkpoints_do_not_turn_the_plot():
    net = nn.Sequential(nn.Conv2d(2, 2, 1, bias=False), nn.ReLU())
    state = cvw.ModelState(net, cvw.ImageSet(CODES[:, :, None, None], mean=0.0, std=1.0))
    view = shown(state)
    before = view.plot.places.copy()
    state.capture(10)
    state.refresh()
    assert state.embeddings.wait(PATIENCE)
    assert picture(view).reference == 0
    state.select(checkpoint=1)
    np.testing.assert_allclose(view.plot.places, before, atol=1e-6)
    assert "2 of 2 measured" in view.progress.words
    state.close()


def test_a_set_without_labels_is_grey():
    state = state_of(labels=None)
    view = shown(state)
    assert set(rows_by_marker(picture(view).found.labels)) == {marker_of(-1)}
    state.close()


def test_bad_options_are_one_line(state):
    for options in ({"method": "umap"}, {"images": 1}, {"perplexity": 0}, {"colour": 1}):
        with pytest.raises(InputError):
            cvw.EmbeddingScatter(state, **options)
    assert "this state has checkpoints 0 to 1" in cvw.EmbeddingScatter(state, reference=7).problem


def test_points_are_painted_where_they_are_pointed_at_and_the_chosen_stand_out(state):
    view = shown(state)
    drawn = np.asarray(Image.open(BytesIO(view.plot.png)))
    for image, label in enumerate([0, 0, 1, 1, 1, -1]):
        x, y = pixel_of(view, image).astype(int)
        assert drawn[y, x, :3].tolist() == list(bytes.fromhex(marker_of(label)[0][1:]))
    view.chosen = [2]
    drawn = np.asarray(Image.open(BytesIO(view.plot.png)))
    opacities = [drawn[y, x, 3] for x, y in view.plot.places.astype(int)]
    assert opacities[2] > 200
    assert max(opacities[:2] + opacities[5:]) < 60
