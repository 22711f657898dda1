"""Results merge, travel through files, go on where they stopped, and know what they are about."""

import itertools
import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from convviz_widgets.checkpoints import CheckpointSeries
from convviz_widgets.errors import CheckpointError, InputError, SelectionError, UnknownLayerError
from convviz_widgets.images import ImageSet
from convviz_widgets.sweeps import SweepInterrupted, SweepResult, sweep
from convviz_widgets.sweeps.storage import tensors_digest

from .nets import build, found, pictures

LAYERS = ("conv1", "relu", "norm", "relu_1", "head")


@pytest.fixture
def net():
    return build("residual")


@pytest.fixture
def images():
    return pictures(120)


@pytest.fixture
def series():
    weights = [
        (step, build("residual", seed).state_dict()) for seed, step in enumerate((0, 10, 20))
    ]
    return CheckpointSeries.from_state_dicts(weights)


def swept(net, images, **settings):
    return sweep(net, images, **{"batch_size": 8, "progress": False} | settings)


def assert_same(one, other, tolerance=1e-12):
    """Counts, places and bins are equal, moments to rounding."""
    assert (one.count, one.layers, one.steps) == (other.count, other.layers, other.steps)
    for layer in one.layers:
        assert torch.equal(one.fired(layer), other.fired(layer))
        assert torch.equal(one.nan(layer), other.nan(layer))
        assert torch.equal(one.max(layer), other.max(layer))
        torch.testing.assert_close(one.mean(layer), other.mean(layer), rtol=tolerance, atol=1e-12)
        torch.testing.assert_close(one.std(layer), other.std(layer), rtol=tolerance, atol=1e-12)
        for channel in range(layer.shape[0]):
            assert one.top(layer, channel) == other.top(layer, channel)
    for mine, theirs in zip(one.parts, other.parts, strict=True):
        assert torch.equal(mine.statistics.counts, theirs.statistics.counts)
        assert mine.failures == theirs.failures


def test_parts_merge_to_the_whole_in_any_order_and_nesting(net, images):
    whole = swept(net, images)
    ranges = (range(40), range(40, 48), range(48, 120))
    parts = [swept(net, images, indices=wanted) for wanted in ranges]
    assert [part.complete for part in parts] == [False] * 3
    for a, b, c in itertools.permutations(parts):
        assert_same(a.merge(b).merge(c), whole)
        assert_same(a.merge(b.merge(c)), whole)


def test_parts_of_groups_merge_to_the_whole(net, images):
    groups = [index % 11 for index in range(120)]
    whole = swept(net, images, groups=groups)
    first, second = (
        swept(net, images, groups=groups, indices=wanted) for wanted in (range(64), range(64, 120))
    )
    assert_same(second.merge(first), whole)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"net": build("residual", 5)}, "the model's weights differ"),
        ({"images": pictures(119)}, "the data sets differ, 120 and 119 images"),
        ({"images": pictures(120, seed=9)}, "the data sets differ, 120 and 120 images"),
        ({"groups": [0] * 120}, "the data sets differ"),
        ({"k": 5}, "they keep the top 9 and 5"),
        (
            {"layers": ["conv1"]},
            r"the layers differ, conv1, relu, conv2, ... \(7 in all\) and conv1",
        ),
        ({"net": build("plain")}, "the layers differ"),
        ({}, "have images in common"),
    ],
)
def test_what_does_not_belong_together_is_refused_in_one_line(net, images, change, words):
    result = swept(net, images, indices=range(64))
    other = {"net": net, "images": images, "indices": range(32, 100)} | change
    with pytest.raises(InputError, match=words) as caught:
        result.merge(swept(**other))
    assert "\n" not in str(caught.value)


def test_a_result_is_the_same_after_saving_and_loading(net, images, tmp_path):
    images[5, 0, 0, 0] = torch.nan
    for name, groups in (("plain", None), ("grouped.safetensors", [i // 2 for i in range(120)])):
        result = swept(net, images, groups=groups)
        result.save(tmp_path / name)
        loaded = SweepResult.load(tmp_path / name)
        assert_same(loaded, result, tolerance=0)
        assert loaded.subject == result.subject
        assert loaded.remarks == result.remarks
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "grouped.safetensors",
        "plain.safetensors",
    ]


def test_failures_and_what_is_missing_are_saved_too(net, images, tmp_path):
    data = [image if index != 7 else None for index, image in enumerate(images)]
    result = swept(net, data, on_error="skip", indices=range(64))
    result.save(tmp_path / "part")
    loaded = SweepResult.load(tmp_path / "part")
    assert loaded.failures == result.failures
    assert (loaded.count, loaded.complete) == (63, False)


def tampered(path, change):
    tensors = load_file(path)
    about = json.loads(bytes(tensors.pop("about").numpy()))
    change(about, tensors)
    text = torch.frombuffer(bytearray(json.dumps(about).encode()), dtype=torch.uint8)
    save_file({"about": text, **tensors}, path)


def misplaced(about, tensors):
    """A position outside its map, in a file that is otherwise as it should be."""
    tensors["top_positions"] += 10**6
    about.update(sha256=tensors_digest(tensors))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda about, tensors: tensors["fired"].add_(1), "is not what was written: its sha256"),
        (misplaced, "is no result of a sweep"),
        (lambda about, tensors: about.update(format="other"), "is of another format, 'other'"),
        (lambda about, tensors: about.pop("subject"), "is no result of a sweep"),
        (lambda about, tensors: about["subject"].update(k="nine"), "is no result of a sweep"),
        (lambda about, tensors: about["subject"].update(k=3), "is no result of a sweep"),
        (lambda about, tensors: about["parts"].clear(), "is no result of a sweep"),
        (lambda about, tensors: about["subject"]["layers"].pop(), "is no result of a sweep"),
        (lambda about, tensors: about.update(fields={"conv1": [1, 2]}), "is no result of a sweep"),
    ],
)
def test_a_file_that_was_changed_is_refused_in_one_line(net, images, tmp_path, change, words):
    path = tmp_path / "result.safetensors"
    swept(net, images).save(path)
    tampered(path, change)
    with pytest.raises(CheckpointError, match=f"^result.safetensors: {words}"):
        SweepResult.load(path)


def test_a_file_of_something_else_is_refused_in_one_line(net, tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / "net.safetensors")
    with pytest.raises(CheckpointError, match=r"net.safetensors: is no result of a sweep"):
        SweepResult.load(tmp_path / "net.safetensors")
    with pytest.raises(CheckpointError, match="cannot be read"):
        SweepResult.load(tmp_path / "missing")


def test_checkpoints_give_a_leading_axis(net, images, series):
    result = swept(net, images, checkpoints=series)
    assert result.steps == (0, 10, 20)
    assert result.fired("relu").shape == (3, 4)
    assert len(result.histogram("relu")) == len(result.top("relu", 1)) == 3
    for index in range(3):
        alone = swept(build("residual", index), images)
        one = result.at(index)
        assert one.steps == (index * 10,)
        for layer in LAYERS:
            assert torch.equal(one.fired(layer), alone.fired(layer))
            assert torch.equal(result.mean(layer)[index], alone.mean(layer))
            assert one.top(layer, 2) == alone.top(layer, 2) == result.top(layer, 2)[index]
    assert_same(result.at(-1), result.at(2))


def test_a_result_of_checkpoints_travels_through_a_file(net, images, series, tmp_path):
    result = swept(net, images, checkpoints=series)
    result.save(tmp_path / "run")
    assert_same(SweepResult.load(tmp_path / "run").at(1), result.at(1), tolerance=0)


class Stopping:
    """A data set that is interrupted, once, when an item is asked for the second time."""

    def __init__(self, images, at, error=KeyboardInterrupt):
        self.images, self.at, self.error, self.asked = images, at, error, 0

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        self.asked += 1
        if self.asked == self.at:
            raise self.error
        return self.images[index]


def test_an_interrupted_sweep_goes_on_from_its_file(net, images, tmp_path):
    data, path = Stopping(images, at=100), tmp_path / "part"
    whole = swept(net, images, batch_size=2)
    with pytest.raises(KeyboardInterrupt, match=r"stopped: .* 64 of 120 images"):
        swept(net, data, batch_size=2, resume=path)
    assert SweepResult.load(path).count == 64
    data.asked = 200
    result = swept(net, data, batch_size=2, resume=path)
    assert data.asked == 200 + 1 + 16 + 120 - 64  # the example, the fingerprint, what was missing
    assert_same(result, whole)
    assert_same(SweepResult.load(path), whole, tolerance=0)
    data.asked = 200
    assert_same(swept(net, data, batch_size=2, resume=path), whole, tolerance=0)
    assert data.asked == 200 + 1 + 16


def test_an_interrupted_sweep_without_a_file_hands_over_its_result(net, images):
    data = Stopping(images, at=100)
    with pytest.raises(SweepInterrupted) as caught:
        swept(net, data, batch_size=2)
    assert caught.value.result.count == 64
    assert_same(
        swept(net, data, batch_size=2, resume=caught.value.result), swept(net, images, batch_size=2)
    )


def test_an_error_leaves_a_part_to_go_on_from(net, images, tmp_path):
    data = Stopping(images, at=100, error=OSError)
    with pytest.raises(InputError, match="image 82: OSError"):
        swept(net, data, batch_size=2, resume=tmp_path / "part")
    result = swept(net, data, batch_size=2, resume=tmp_path / "part")
    assert_same(result, swept(net, images, batch_size=2))


def test_a_series_goes_on_at_the_checkpoint_where_it_stopped(net, images, series, tmp_path):
    data = Stopping(images, at=17 + 120 + 70)
    with pytest.raises(SweepInterrupted) as caught:
        swept(net, data, batch_size=2, checkpoints=series, resume=tmp_path / "part")
    assert [part.count for part in caught.value.result.parts] == [120, 64, 0]
    result = swept(net, data, batch_size=2, checkpoints=series, resume=tmp_path / "part")
    assert_same(result, swept(net, images, batch_size=2, checkpoints=series))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"net": build("residual", 5)}, "the model's weights are not those of the earlier result"),
        ({"images": pictures(90)}, "the data sets differ, 90 and 120 images"),
        ({"k": 3}, "they keep the top 3 and 9"),
    ],
)
def test_going_on_with_something_else_is_refused(net, images, tmp_path, change, words):
    swept(net, images, indices=range(64), resume=tmp_path / "part")
    with pytest.raises(InputError, match=f"^cannot resume.*{words}"):
        swept(**{"net": net, "images": images, "resume": tmp_path / "part"} | change)


def test_a_gap_is_filled_whatever_came_before(net, images):
    """The images missing come before those known, and win their ties."""
    images[20:100] = images[0]
    last = swept(net, images, indices=range(64, 120))
    assert_same(swept(net, images, resume=last), swept(net, images))


def test_an_image_set_a_tensor_and_a_list_give_the_same(net, images):
    whole = swept(net, images)
    for data in (ImageSet(images), list(images), [(image, 0) for image in images]):
        assert_same(swept(net, data), whole, tolerance=0)


def test_layers_may_be_given_as_they_are_listed(net, images):
    result = swept(net, images, layers=["norm", "conv1"])
    assert [layer.name for layer in result.layers] == ["conv1", "norm"]
    assert found(result, result.layers[1], 0) == found(result, "norm", 0)


@pytest.mark.parametrize(
    ("ask", "error", "words"),
    [
        (lambda result: result.mean("conv9"), UnknownLayerError, "unknown layer 'conv9'"),
        (lambda result: result.top("conv1", 4), SelectionError, "no channel 4 in conv1"),
        (lambda result: result.histogram("conv1", -1), SelectionError, "no channel -1 in conv1"),
        (lambda result: result.at(0), SelectionError, "it has no checkpoints"),
        (
            lambda result: result.merge(3),
            InputError,
            "expected a SweepResult to merge with, got int",
        ),
    ],
)
def test_what_a_result_does_not_have_is_refused(net, images, ask, error, words):
    with pytest.raises(error, match=words):
        ask(swept(net, images))


def test_returned_tensors_are_the_callers_to_change(net, images):
    result = swept(net, images)
    result.fired("relu").zero_()
    assert result.fired("relu").any()


def test_a_result_takes_the_same_memory_for_any_number_of_images(net, tmp_path):
    for count in (50, 900):
        swept(net, pictures(count), batch_size=64).save(tmp_path / str(count))
    sizes = {path.stat().st_size // 1000 for path in tmp_path.iterdir()}
    assert len(sizes) == 1


def test_a_bar_counts_the_images(net, images, series, capsys):
    swept(net, images, progress=True)
    assert "120/120" in capsys.readouterr().err
    swept(net, images, progress=True, checkpoints=series)
    assert "360/360" in capsys.readouterr().err
    swept(net, images)
    assert capsys.readouterr().err == ""
