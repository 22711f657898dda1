"""The gallery shows every sample once, as it was, and says which ones are there more than once."""

import re

import pytest
import torch
from ipywidgets import HTML
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from convviz_widgets.errors import InputError
from convviz_widgets.images import ImageSet
from convviz_widgets.images.duplicates import comparing
from convviz_widgets.state import ModelState, diagnose, duplicate_search
from convviz_widgets.state.recordings import CLOSED
from convviz_widgets.views import InputGallery
from convviz_widgets.widgets import widget_tree
from convviz_widgets.widgets.thumbnails import PAGE, SIDE

PATIENCE = 60

LIVELY = (217, 72, 15, 255)
"""The accent."""


def colours(count, channels=3):
    """Return images (N, C, 4, 4) of one colour each, all different: whole levels over 255."""
    levels = torch.arange(count * channels).reshape(count, channels, 1, 1) % 251
    return (levels / 255).expand(-1, -1, 4, 4).clone()


def state_of(inputs, labels=None, **facts):
    channels = inputs.shape[1] if isinstance(inputs, torch.Tensor) else 3
    net = nn.Sequential(nn.Conv2d(channels, 2, 3), nn.Flatten(), nn.LazyLinear(3))
    net(torch.zeros(1, channels, 4, 4))
    return ModelState(net, ImageSet(inputs, labels, **({"mean": 0.0, "std": 1.0} | facts)))


def shown(view):
    return view.raster.pixels


def thumbnail(view, tile):
    box = view.painted.mosaic.box(tile)
    return shown(view)[box.y : box.y + SIDE, box.x : box.x + SIDE]


def searched(view):
    """Wait until the search is over."""
    view.search.want(True)
    assert view.search.wait(PATIENCE)
    assert view.search.is_over
    return view


def framed(view):
    tiles = view.painted.tiles
    return [n for t, n in enumerate(tiles.numbers) if tuple(thumbnail(view, t)[0, 0]) == LIVELY]


def test_a_thumbnail_has_the_colour_of_the_source():
    view = InputGallery(state_of(colours(10)))
    assert view.problem == ""
    for index in range(10):
        expected = [3 * index, 3 * index + 1, 3 * index + 2, 255]
        assert thumbnail(view, index)[SIDE // 2, SIDE // 2].tolist() == expected


def test_duplicates_and_leaks_are_framed_and_named():
    inputs, validation = colours(80), colours(20) + 20 / 255
    inputs[7], inputs[60], validation[2] = inputs[3], inputs[3], inputs[5]
    view = searched(InputGallery(state_of(inputs), validation=validation))
    assert framed(view) == [3, 5, 7]
    assert view.describe(3, view.painted) == "image 3 · no label · equals image 7, 60"
    assert view.describe(5, view.painted).endswith("equals validation image 2")
    line = view.search_line.words
    assert "duplicates in 80 images: 2 surplus" in line
    assert "leak: 1 validation images" in line
    view.source = "validation"
    assert framed(view) == [2]
    assert view.describe(2, view.painted).endswith("equals image 5")


def test_only_those_that_are_there_more_than_once():
    inputs = colours(80)
    inputs[7] = inputs[60] = inputs[3]
    view = searched(InputGallery(state_of(inputs), only=True))
    assert view.painted.tiles.numbers == (3, 7, 60)
    view.step(1)
    view.step(1)
    assert view.state.selection.image == 7
    assert searched(InputGallery(state_of(colours(9)), only=True)).place == "none"


def test_the_slider_turns_pages_and_a_selection_elsewhere_too():
    view = InputGallery(state_of(colours(80)))
    assert (view.control("Page").max, view.place) == (1, "1–55 of 80")
    view.control("Page").value = 1
    assert view.painted.tiles.numbers == tuple(range(PAGE, 80))
    assert view.highlighted is None
    view.state.select(image=3)
    assert (view.control("Page").value, view.highlighted) == (0, 3)


def test_a_click_the_arrows_and_the_buttons_select_the_image():
    view = InputGallery(state_of(colours(80)))
    box = view.painted.mosaic.box(13)
    view.raster.click(box.x + 5, box.y + 5)
    assert view.state.selection.image == 13
    view.raster.press("ArrowRight")
    assert view.state.selection.image == 14
    view.control("previous image").click()
    assert view.state.selection.image == 13
    view.state.select(image=PAGE - 1)
    view.control("next image").click()
    assert (view.state.selection.image, view.control("Page").value) == (PAGE, 1)


def test_a_sample_that_is_not_the_states_is_only_looked_at():
    view = InputGallery(state_of(colours(20)), validation=colours(20), source="validation")
    view.pick(4)
    assert view.state.selection.image == 0
    assert view.highlighted == 4


def test_a_repeated_batch_of_the_loader_is_said_and_framed():
    inputs = colours(12)
    order = [[0, 1, 2, 3], [4, 5, 6, 7], [3, 2, 1, 0], [8, 9, 10, 11]]
    loader = DataLoader(TensorDataset(inputs, torch.arange(12) % 3), batch_sampler=order)
    view = InputGallery(state_of(inputs, class_names=["a", "b", "c"]), loader=loader)
    view.source = "loader"
    assert view.problem == ""
    assert framed(view) == [0, 1, 2, 3, 8, 9, 10, 11]
    assert "REPEATED: batch 0 = batch 2" in view.caption
    assert view.describe(8, view.painted) == "batch 2, sample 0 · a · equals sample 3"


@pytest.mark.parametrize("source", ["validation", "loader"])
def test_what_was_not_given_is_said_in_place(source):
    view = InputGallery(state_of(colours(5)), source=source)
    assert f"there is no {source}" in view.problem
    view.source = "images"
    assert view.problem == ""


def test_a_hidden_gallery_reads_nothing():
    class Counting(TensorDataset):
        read = 0

        def __getitem__(self, index):
            Counting.read += 1
            return super().__getitem__(index)

    loader = DataLoader(Counting(colours(5)), batch_size=2)
    view = InputGallery(state_of(colours(5)), loader=loader, visible=False)
    assert view.search.wait(PATIENCE)
    assert (view.search.progress.done, Counting.read) == (0, 0)
    view.visible = True
    assert view.search.wait(PATIENCE)
    assert (view.search.progress.done, Counting.read) == (5, 0)


class Odd:
    """Four images; one raises, one has a label without a name, one has none."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        if index == 1:
            raise OSError("truncated file")
        return torch.full((3, 4, 4), index / 10), {0: 0, 2: 9, 3: None}[index]


def test_bad_samples_leave_the_others_and_say_why():
    net = nn.Sequential(nn.Conv2d(3, 2, 3))
    images = ImageSet(Odd(), class_names=["hen"], mean=0.0, std=1.0)
    view = searched(InputGallery(ModelState(net, images)))
    assert view.problem == ""
    lines = view.painted.tiles.labels
    assert lines[0] == "image 0 · hen"
    assert lines[1] == "image 1 · cannot be read: truncated file"
    assert "label 9 of image 2 has no name" in lines[2]
    assert lines[3] == "image 3 · no label"
    assert "1 cannot be read" in view.caption
    assert "1 unreadable" in view.search_line.words


@pytest.mark.parametrize(
    ("channels", "said"),
    [(1, "grey"), (3, "RGB"), (4, "4 channels, the first 3"), (17, "17 channels, the first 3")],
)
def test_any_number_of_channels_is_shown_and_said(channels, said):
    view = InputGallery(state_of(colours(5, channels)))
    assert view.problem == ""
    assert f"4×4, {said}" in view.caption


def test_clipped_values_are_counted():
    inputs = colours(4)
    inputs[0] += 2
    view = InputGallery(state_of(inputs))
    assert "clipped 25.00% of the n = 192 values" in view.caption


def test_names_of_classes_are_text_whatever_they_hold():
    view = InputGallery(state_of(colours(3), [0, 1, 2], class_names=["<b>x</b>", "鶏", "ß" * 99]))
    assert view.problem == ""
    written = [part.value for part in widget_tree(view) if isinstance(part, HTML)]
    assert any("&lt;b&gt;x&lt;/b&gt;" in each for each in written)
    assert not any("<b>" in each for each in written)


def test_a_hundred_thousand_images_are_opened_at_once_and_searched_on(monkeypatch):
    monkeypatch.setattr(duplicate_search, "SHORT", float("inf"))  # on a machine however busy
    monkeypatch.setattr(duplicate_search, "SLICE", 0.0)
    values = torch.arange(100_000, dtype=torch.int32).view(torch.uint8).reshape(-1, 1, 2, 2)
    inputs = values.float() / 255
    inputs[99_999] = inputs[4]
    state = ModelState(nn.Sequential(nn.Conv2d(1, 2, 2)), ImageSet(inputs, mean=0.0, std=1.0))
    with state.lock:  # as long as it is held, no image is read in the background
        view = InputGallery(state)
        assert view.search_line.words == "looking for duplicates: 0 of 100,000 compared"
        view.control("Page").value = view.control("Page").max
        assert view.painted.tiles.numbers[-1] == 99_999
        said = []
        view.search.observe(lambda: said.append(view.search_line.words))
    searched(view)
    assert re.fullmatch(r"looking for duplicates: [1-9][\d,]* of 100,000 compared", said[0])
    assert "duplicates in 100,000 images: 1 surplus" in view.search_line.words


def half_searched(monkeypatch):
    """Return a gallery whose search is stopped after its first slice."""
    monkeypatch.setattr(duplicate_search, "SLICE", 0.0)
    inputs = torch.rand(100_000, 1, 2, 2)
    view = InputGallery(
        ModelState(nn.Sequential(nn.Conv2d(1, 2, 2)), ImageSet(inputs)), visible=False
    )
    view.search.observe(lambda: "Stop" in view.control_names and view.control("Stop").click())
    view.visible = True
    assert view.search.wait(PATIENCE)
    return view


def test_the_search_can_be_stopped_and_taken_up_again(monkeypatch):
    view = half_searched(monkeypatch)
    done = view.search.progress.done
    assert 0 < done < 100_000
    assert (view.search.wait(PATIENCE), view.search.progress.done) == (True, done)
    assert "the rest takes about" in view.search_line.words
    with view.state.lock:
        view.control("Search").click()
        assert "looking for duplicates" in view.search_line.words
    assert view.search.wait(PATIENCE)
    assert view.search.progress.done > done


def test_a_long_search_waits_to_be_asked_for(monkeypatch):
    monkeypatch.setattr(duplicate_search, "SHORT", -1.0)
    monkeypatch.setattr(duplicate_search, "SLICE", 0.0)
    view = InputGallery(state_of(torch.rand(9_000, 3, 4, 4)))
    assert view.search.wait(PATIENCE)
    assert 0 < view.search.progress.done < 9_000
    assert "the rest takes about" in view.search_line.words
    view.control("Search").click()
    assert view.search.wait(PATIENCE)
    assert "duplicates in 9,000 images: none" in view.search_line.words


def test_a_search_rests_while_nobody_looks_and_ends_with_the_view(monkeypatch):
    monkeypatch.setattr(duplicate_search, "SHORT", float("inf"))
    monkeypatch.setattr(duplicate_search, "SLICE", 0.0)
    view = InputGallery(state_of(torch.rand(9_000, 3, 4, 4)), visible=False)

    def hide():
        view.visible = False

    view.search.observe(hide)
    view.visible = True
    assert view.search.wait(PATIENCE)
    done = view.search.progress.done
    assert 0 < done < 9_000
    view.search.unobserve(hide)
    view.search.observe(view.close)
    view.visible = True
    assert view.search.wait(PATIENCE)
    assert done < view.search.progress.done < 9_000


@pytest.mark.parametrize("is_diagnosed_first", [False, True])
def test_galleries_and_a_diagnosis_share_one_search(monkeypatch, is_diagnosed_first):
    begun = []

    def counted(*sets, **options):
        begun.append(sets)
        return comparing(*sets, **options)

    monkeypatch.setattr(duplicate_search, "comparing", counted)
    inputs = colours(9)
    inputs[7] = inputs[3]
    state = state_of(inputs)
    kept = InputGallery(state, visible=False)
    if is_diagnosed_first:
        (finding,) = [each for each in diagnose(state) if each.rule == "duplicate-sample"]
    assert framed(searched(InputGallery(state))) == [3, 7]
    (finding,) = [each for each in diagnose(state) if each.rule == "duplicate-sample"]
    assert finding.select["image"] == 3
    kept.visible = True
    assert framed(kept) == [3, 7]
    assert begun == [(state.image_set,)]


def test_a_gallery_is_told_what_a_diagnosis_finds(monkeypatch):
    monkeypatch.setattr(duplicate_search, "SHORT", -1.0)
    monkeypatch.setattr(duplicate_search, "SLICE", 0.0)
    view = InputGallery(state_of(torch.rand(2_000, 3, 4, 4)))
    assert view.search.wait(PATIENCE)
    assert "the rest takes about" in view.search_line.words
    diagnose(view.state)
    assert "duplicates in 2,000 images: none" in view.search_line.words


def test_a_gallery_of_a_closed_state_says_so_and_shows_its_images():
    early, late = state_of(colours(5)), state_of(colours(5))
    with early.lock:
        views = [InputGallery(early)]
        early.close()
    late.close()
    views += [InputGallery(early), InputGallery(late)]
    for view in views[1:]:
        assert view.search.wait(PATIENCE)
        assert view.search_line.words == CLOSED
        assert view.painted.tiles.numbers == (0, 1, 2, 3, 4)
    assert views[0].search.problem == CLOSED


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="shows a ModelState, got int"):
        InputGallery(3)
    with pytest.raises(InputError, match="expected a DataLoader, got list"):
        InputGallery(state_of(colours(3)), loader=[1])
    with pytest.raises(InputError, match="unknown option 'sourc'"):
        InputGallery(state_of(colours(3)), sourc="loader")
