"""Which nine images, where in them, and what comes back: on nets that can be followed by hand."""

import io

import numpy as np
import pytest
import torch
from ipywidgets import HTML
from PIL import Image
from torch import nn

from convviz_widgets.checkpoints import CheckpointSeries
from convviz_widgets.errors import InputError
from convviz_widgets.images import ImageSet
from convviz_widgets.probe import FieldBox
from convviz_widgets.state import Direction, ModelState
from convviz_widgets.sweeps import sweep
from convviz_widgets.tensors import Limits
from convviz_widgets.views import TopImages
from convviz_widgets.views.units.top_patches import Change, Patch
from convviz_widgets.views.units.top_picture import TILE, Crop, labels_of, paint_tiles, place
from convviz_widgets.widgets import widget_tree

PATIENCE = 60


def swept(state, *indices, **options):
    state.sweeps.ask(*(indices or range(len(state.steps))))
    assert state.sweeps.wait(PATIENCE)
    return TopImages(state, **options)


def shown(view):
    assert view.problem == ""
    return view.compute(view.state.selection).picture


def dots(values=(1.0, 3.0, 2.0), side=9):
    """Return an image for each value, dark but for one pixel of that value at row 2, column 6."""
    images = torch.zeros(len(values), 1, side, side)
    images[:, 0, 2, 6] = torch.tensor(values)
    return images


def follower(*filters, activation=nn.ReLU):
    """Return a net that has one 3×3 filter a channel, and its activation."""
    net = nn.Sequential(nn.Conv2d(1, len(filters), 3, padding=1, bias=False), activation())
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor(filters, dtype=torch.float32).reshape(-1, 1, 3, 3))
    return net


CENTRE = [0, 0, 0, 0, 2, 0, 0, 0, 0]
CORNER = [2, 0, 0, 0, 0, 0, 0, 0, 0]
NEVER = [-1] * 9


def state_of(*nets, images=None, **options):
    weights = [(10 * step, net.state_dict()) for step, net in enumerate(nets)]
    series = CheckpointSeries.from_state_dicts(weights)
    given = ImageSet(dots() if images is None else images, mean=0.0, std=0.5)
    return ModelState(nets[0], given, checkpoints=series, layer="1", checkpoint=0, **options)


def test_without_a_sweep_it_says_so_and_offers_one():
    state = state_of(follower(CENTRE), follower(CORNER))
    view = TopImages(state)
    assert "step 0: not swept yet" in view.progress.words
    assert view.progress.offers == ("Sweep this step", "Sweep all 2 steps")
    assert shown(view).patches == ()
    view.control("Sweep this step").click()
    assert state.sweeps.wait(PATIENCE)
    assert len(shown(view).patches) == 3
    assert "3 of 3 images swept" in view.progress.words
    assert [state.sweeps.at(index) is not None for index in (0, 1)] == [True, False]
    state.close()


def test_the_strongest_come_first_with_place_and_value():
    view = swept(state_of(follower(CENTRE)))
    patches = shown(view).patches
    assert [patch.image for patch in patches] == [1, 2, 0]
    assert [patch.value for patch in patches] == [6, 4, 2]
    assert {patch.position for patch in patches} == {(2, 6)}
    box = patches[0].box
    assert (box.top, box.left, box.bottom, box.right) == (1, 5, 4, 8)


def test_the_reconstruction_is_the_filter_times_the_inputs_std():
    view = swept(state_of(follower(CENTRE)))
    expected = np.zeros((1, 9, 9), np.float32)
    expected[0, 2, 6] = 2 * 0.5
    for patch in shown(view).patches:
        np.testing.assert_array_equal(patch.map, expected)


def test_zero_is_mid_grey_and_the_pixel_is_white():
    view = swept(state_of(follower(CENTRE)))
    picture = np.asarray(Image.open(io.BytesIO(shown(view).png)))
    x, y = place(0, True)
    middle = x + TILE // 2, y + TILE // 2
    assert picture[middle[1], middle[0]].tolist() == [255, 255, 255, 255]
    assert picture[y + 10, x + 10].tolist() == [128, 128, 128, 255]


def test_patches_that_the_border_cuts_align():
    box = FieldBox(top=0, left=3, bottom=2, right=6, offset=(1, 0), size=(3, 3))
    picture = np.zeros((9, 9, 3), np.uint8)
    picture[0, 4] = 255  # the middle of the full field
    crop = Crop.of(box)
    canvas = paint_tiles([picture], [None], [crop], [Limits(-1, 1, signed=True)])
    assert crop.enlarge == 29
    assert canvas[TILE // 2, TILE // 2].tolist() == [255, 255, 255, 255]
    assert canvas[10, TILE // 2, 3] == 0  # beyond the border


def test_a_dead_channel_says_so_with_n_and_bound():
    state = state_of(follower(CENTRE, NEVER), channel=1)
    view = swept(state)
    picture = shown(view)
    assert picture.patches == ()
    assert "dead at step 0: zero everywhere on all 3 images" in picture.labels[0].text
    assert "n = 3" in picture.caption
    assert "100.00%" in picture.caption
    state.select(channel=0)
    assert len(shown(view).patches) == 3
    state.close()


def test_images_in_which_the_channel_is_zero_are_no_ties_for_a_place():
    view = swept(state_of(follower(CENTRE), images=dots((0.0, 1.0, 0.0))))
    picture = shown(view)
    assert [patch.image for patch in picture.patches] == [1]
    assert "fires on 1 only" in picture.caption


def test_the_same_image_with_another_filter_is_a_new_pattern():
    state = state_of(follower(CENTRE), follower([2 * value for value in CENTRE]))
    view = swept(state)
    assert [patch.change for patch in shown(view).patches] == [None] * 3
    state.select(checkpoint=1)
    assert [patch.change.similarity for patch in shown(view).patches] == [1] * 3
    assert not any(patch.change.pattern for patch in shown(view).patches)
    corner = [1, 1, 0, 0, 1, 0, 0, 0, 0]
    other = state_of(follower(CENTRE), follower(corner))
    view = swept(other)
    other.select(checkpoint=1)
    for patch in shown(view).patches:  # of three equal weights one is in common
        assert patch.change.similarity == pytest.approx(3**-0.5)
        assert patch.change.pattern
    assert sum(label.text == "new pattern 0.58" for label in shown(view).labels) == 3
    for each in (state, other):
        each.close()


@pytest.mark.parametrize("dot", [0.0, 1.0])
def test_an_image_that_was_not_among_the_top_is_a_new_picture_at_whatever_rank(dot):
    images = dots((3.0, dot))  # without its dot the second excites nothing at first
    images[1, 0, 5, 5] = -4
    flipped = [-1 * value for value in CENTRE]
    state = state_of(follower(CENTRE), follower(flipped), images=images)
    view = swept(state)
    state.select(checkpoint=1)
    (patch,) = shown(view).patches
    assert (patch.image, patch.value) == (1, 8)
    assert patch.change.picture == (dot == 0.0)
    state.close()


def test_at_a_step_that_is_not_swept_it_says_whose_images_these_are():
    state = state_of(follower(CENTRE), follower([-2 * value for value in CENTRE]))
    view = swept(state, 0)
    state.select(checkpoint=1)
    picture = shown(view)
    assert [patch.image for patch in picture.patches] == [1, 2, 0]
    assert [patch.value for patch in picture.patches] == [0, 0, 0]
    assert [patch.map for patch in picture.patches] == [None] * 3
    assert "STEP 10 IS NOT SWEPT" in picture.caption
    assert any("nothing to" in label.text for label in picture.labels)
    assert "Sweep this step" in view.control_names
    state.close()


def test_nothing_is_new_or_the_same_since_a_step_that_is_not_swept():
    state = state_of(*[follower(CENTRE)] * 3)
    view = swept(state, 2)
    state.select(checkpoint=2)
    picture = shown(view)
    assert [patch.change for patch in picture.patches] == [None] * 3
    assert not {"same", "new picture"} & {label.text for label in picture.labels}
    assert "step 10 not swept" in picture.caption
    assert "new: since" not in picture.caption
    view.control("Sweep all 3 steps").click()
    assert state.sweeps.wait(PATIENCE)
    assert [patch.change.similarity for patch in shown(view).patches] == [1] * 3
    assert "new: since step 10" in shown(view).caption
    state.close()


def test_a_pattern_that_has_nothing_in_common_is_new_by_zero():
    patch = Patch(0, 1.0, (0, 0), None, np.zeros((1, 2, 2)), Change(False, -1e-4))
    assert [label.text for label in labels_of([patch])] == ["1", "new pattern 0.00"]


def test_images_of_another_step_are_not_called_new():
    state = state_of(*[follower(CENTRE)] * 3)
    view = swept(state, 0)
    for checkpoint in (1, 2):
        state.select(checkpoint=checkpoint)
        assert [patch.change for patch in shown(view).patches] == [None] * 3
    state.close()


def test_a_large_field_shows_the_whole_image_and_outlines_the_signal():
    assert shown(swept(state_of(follower(CENTRE)))).outlines == ()
    small = torch.zeros(2, 1, 3, 3)
    small[:, 0, 1, 1] = torch.tensor([1.0, 2.0])
    view = swept(state_of(follower(CENTRE), images=small))
    (box, *_) = shown(view).outlines
    assert "90 %" in shown(view).caption
    assert (box.x, box.y, box.width, box.height) == (29, 29, 29, 29)


def test_the_deconvnet_is_not_defined_for_smooth_activations():
    state = state_of(follower(CENTRE, activation=nn.GELU))
    assert "THE DECONVNET IS NOT DEFINED for GELU" in shown(swept(state)).caption
    assert "NOT DEFINED" not in shown(swept(state, method="gradient")).caption
    state.close()


def test_going_back_runs_nothing():
    state = state_of(follower(CENTRE, CORNER), follower(CORNER, CENTRE))
    view = swept(state)
    for checkpoint in (1, 0):
        for channel in (1, 0):
            state.select(checkpoint=checkpoint, channel=channel)
    assert (state.backward_count, state.forward_count) == (4, 0)
    state.select(checkpoint=1, channel=1, image=2)
    assert state.backward_count == 4
    assert shown(view).selected == 1
    state.close()


def test_a_click_and_the_list_select_the_image():
    state = state_of(follower(CENTRE))
    view = swept(state)
    x, y = place(1, True)
    view.overlay.click(x + 5, y + 5)
    assert state.image == 2
    view.control("Select").value = 0
    assert state.image == 1
    assert view.painted.selected == 0
    view.overlay.press("ArrowRight")
    assert state.image == 2
    view.overlay.click(283, 5)  # between the two sides
    assert state.image == 2


def test_a_direction_takes_the_channels_place():
    state = state_of(follower(CENTRE, CORNER))
    view = swept(state)
    view.control("Seed of the direction").value = 1
    assert state.direction is None
    view.control("a random direction, seed").value = True
    assert state.direction == 1
    assert "not swept yet" in view.progress.words
    view.control("Rank this step").click()
    assert state.sweeps.wait(PATIENCE)
    picture = shown(view)
    assert "RANDOM DIRECTION 1, not a channel" in picture.caption
    hits = state.sweeps.at(0, Direction("1", 1)).top("1", 0)
    assert [(patch.image, patch.position) for patch in picture.patches] == [
        (hit.image, hit.position) for hit in hits
    ]
    assert [patch.value for patch in picture.patches] == pytest.approx([hit.value for hit in hits])
    view.control("a random direction, seed").value = False
    assert state.direction is None
    assert [patch.value for patch in shown(view).patches] == [6, 4, 2]
    state.close()


def test_a_sweep_of_another_model_is_refused():
    state = state_of(follower(CENTRE))
    with pytest.raises(InputError, match="does not belong to this state"):
        TopImages(state, sweep=sweep(follower(CORNER), dots(), progress=False))
    given = sweep(follower(CENTRE), dots(), progress=False)
    assert len(shown(TopImages(state, sweep=given)).patches) == 3
    state.close()


def test_a_file_with_a_hostile_name_is_text():
    images = ImageSet(dots(), names=["<b>1", "<b>2", "<b>3"])
    state = ModelState(follower(CENTRE), images, layer="1", image=1)
    view = swept(state)
    assert "<b>2" in view.pointed
    lines = [each.value for each in widget_tree(view) if isinstance(each, HTML)]
    assert any("&lt;b&gt;2" in line for line in lines)
    assert not any("<b>" in line for line in lines)
    state.close()


def test_tab_leads_from_the_tiles_to_the_control_beside_them(beside):
    view = swept(state_of(follower(CENTRE)))
    assert beside(view, view.overlay) == tuple(map(view.control, ("Select", "previous top image")))


def test_buttons_step_through_the_top_images():
    view = swept(state_of(follower(CENTRE)))  # strongest first: images 1, 2, 0
    previous, following = map(view.control, ("previous top image", "next top image"))
    view.state.select(image=1)
    selected = []
    for button in (following, following, following, previous):
        button.click()
        selected.append(view.state.image)
    assert selected == [2, 0, 0, 2]
