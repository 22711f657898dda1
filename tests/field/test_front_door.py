"""The front door: from a folder, an array or a list of pictures to an explorer, in one line."""

import os
import random

import ipywidgets
import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import convviz_widgets as cvw


def pixels(height, width, seed=0):
    made = np.random.default_rng(seed).integers(0, 256, (height, width, 3))
    return made.astype(np.uint8)


def save(path, height=6, width=8, mode="RGB", seed=0, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(height, width, seed)).convert(mode).save(path, **options)


def net(channels=3):
    return nn.Sequential(
        nn.Conv2d(channels, 2, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )


@pytest.fixture
def zoo(tmp_path):
    """Return a folder with two classes and all that is found in such folders."""
    turned = Image.Exif()
    turned[0x0112] = 6
    save(tmp_path / "cat" / "2.png", seed=2)
    save(tmp_path / "cat" / "10.png")
    save(tmp_path / "cat" / "deep" / "a.JPG", mode="CMYK", format="JPEG")
    save(tmp_path / "dog" / "alpha.png", mode="RGBA")
    save(tmp_path / "dog" / "bmp.bmp")
    deep = np.linspace(0, 65_535, 48).astype(np.uint16).reshape(6, 8)
    Image.fromarray(deep).save(tmp_path / "dog" / "deep.png")
    frames = [Image.fromarray(pixels(6, 8, seed)) for seed in range(3)]
    frames[0].save(tmp_path / "dog" / "moving.gif", save_all=True, append_images=frames[1:])
    save(tmp_path / "dog" / "palette.png", mode="P")
    save(tmp_path / "dog" / "tiff.tif")
    save(tmp_path / "dog" / "turned.jpg", 8, 6, exif=turned)
    save(tmp_path / "dog" / "web.webp", lossless=True)
    os.symlink(tmp_path / "cat" / "2.png", tmp_path / "dog" / "z.png")
    os.symlink(tmp_path, tmp_path / "dog" / "round")
    return tmp_path


@pytest.fixture
def explored():
    made = []

    def explore(*args, **options):
        made.append(cvw.explore(*args, **options))
        return made[-1].state

    yield explore
    for explorer in made:
        explorer.close()
        explorer.state.close()


def test_a_folder_gives_pictures_classes_and_names(zoo):
    images = cvw.ImageSet.from_folder(zoo)
    assert images.class_names == ("cat", "dog")
    assert [images.name(i) for i in range(4)] == [
        "cat/2.png",
        "cat/10.png",
        "cat/deep/a.JPG",
        "dog/alpha.png",
    ]
    assert [images.label(index) for index in range(len(images))] == [0] * 3 + [1] * 9
    assert images.problems == {}
    assert np.array_equal(images.display(0), pixels(6, 8, 2))
    assert np.array_equal(images.display(11), pixels(6, 8, 2))  # by its link
    by_name = {images.name(index): images.input(index)[0] for index in range(len(images))}
    assert torch.allclose(by_name["dog/deep.png"][0].flatten(), torch.linspace(0, 1, 48), atol=2e-5)
    assert np.array_equal(images.display(10), pixels(6, 8))  # lossless WebP
    for said in ("RGB in 0 to 1", "16 bits divided by 65,535 in 1", "turned upright in 1"):
        assert said in images.preparation
    for said in ("first frame alone in 1", "on white where transparent in 1", "CMYK made RGB in 1"):
        assert said in images.preparation


def test_what_is_left_out_is_told(zoo):
    whole = (zoo / "cat" / "2.png").read_bytes()
    (zoo / "cat" / "0.png").write_bytes(whole[:60] + b"?" * 20 + whole[80:])  # a good head
    (zoo / "dog" / "broken.jpg").write_bytes(b"no picture")
    (zoo / "dog" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (zoo / "dog" / "notes.txt").write_text("no picture")
    save(zoo / ".ipynb_checkpoints" / "a.png")
    (zoo / "dog" / ".DS_Store").write_text("hidden")
    save(zoo / "loose.png")
    (zoo / "empty").mkdir()
    os.mkfifo(zoo / "dog" / "pipe.png")
    os.symlink("nowhere", zoo / "dog" / "gone.png")
    images = cvw.ImageSet.from_folder(zoo)
    assert len(images) == 12
    assert images.class_names == ("cat", "dog", "empty")
    assert set(images.problems) == {
        *("cat/0.png", "dog/broken.jpg", "dog/cut.png", "dog/notes.txt", ".ipynb_checkpoints"),
        *("dog/.DS_Store", "loose.png", "empty", "dog/pipe.png", "dog/gone.png"),
    }
    assert all("\n" not in line for line in images.problems.values())
    assert "10 files left out" in repr(images)
    state = cvw.ModelState(net(), images)
    assert "10 files left out" in cvw.InputGallery(state).caption


def test_names_of_files_can_be_sent_and_stand_in_one_line(tmp_path):
    folder = os.fsencode(tmp_path)
    save(tmp_path / "a.png")
    os.makedirs(folder + b"/gr\xfcn")  # as an archive of 1995 has it
    os.rename(tmp_path / "a.png", folder + b"/gr\xfcn/a\nb.png")
    (tmp_path / "not\nes.txt").write_text("")
    images = cvw.ImageSet.from_folder(tmp_path)
    assert images.name(0) == "gr\ufffdn/a\ufffdb.png"
    assert images.class_names == ("gr\ufffdn",)
    assert list(images.problems) == ["not\ufffdes.txt"]
    assert np.array_equal(images.display(0), pixels(6, 8))
    alone = cvw.ImageSet.from_images([os.fsdecode(folder + b"/gr\xfcn/a\nb.png")])
    assert alone.name(0) == "a\ufffdb.png"


def test_names_that_look_like_a_page_stay_names(tmp_path, explored):
    save(tmp_path / "<script>1" / "<b>&.png")
    state = explored(net(), tmp_path)
    assert state.image_set.class_names == ("<script>1",)
    shown = [str(getattr(w, "value", "")) for w in ipywidgets.widgets.widget._instances.values()]
    assert any("&lt;b&gt;&amp;.png" in text for text in shown)
    assert not any("<script>1" in text or "<b>&" in text for text in shown)


def test_a_strip_is_scaled_without_all_that_is_cut_off(tmp_path):
    Image.new("L", (60_001, 1), 200).save(tmp_path / "strip.png")
    images = cvw.ImageSet.from_folder(tmp_path, size=224)  # else 3 billion pixels
    assert images.display(0).shape == (224, 224, 3)
    assert (images.display(0) == 200).all()


def test_a_picture_that_breaks_later_is_told_and_the_others_are_shown(zoo):
    images = cvw.ImageSet.from_folder(zoo)
    (zoo / "cat" / "10.png").write_bytes(b"gone")
    with pytest.raises(cvw.InputError, match=r"cat/10.png cannot be read as a picture"):
        images.input(1)
    assert "cat/10.png" in images.problems
    assert images.input(0).shape == (1, 3, 6, 8)


def test_the_middle_is_cut_out_at_the_size_asked_for(tmp_path):
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 255  # the middle third is white
    Image.fromarray(wide).save(tmp_path / "wide.png")
    Image.fromarray(wide.swapaxes(0, 1)).save(tmp_path / "2.png")
    with pytest.raises(cvw.InputError, match=r"2 sizes \(.*\).*size=10: the shorter side"):
        cvw.ImageSet.from_folder(tmp_path)
    images = cvw.ImageSet.from_folder(tmp_path, size=10)
    assert images.batch([0, 1]).eq(1).all()
    assert [images.label(0), images.class_names, images.name(0)] == [None, None, "2.png"]
    assert "scaled to cover 10×10 pixels, the middle cut out" in images.preparation
    assert cvw.ImageSet.from_folder(tmp_path, size=(5, 7), channels=1).shape == (1, 5, 7)


def test_mean_and_std_are_done_and_undone(zoo):
    images = cvw.ImageSet.from_folder(zoo, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    assert np.array_equal(images.display(0), pixels(6, 8, 2))
    by_hand = (pixels(6, 8, 2)[0, 0, 0] / 255 - 0.485) / 0.229
    assert images.input(0)[0, 0, 0, 0].item() == pytest.approx(by_hand, abs=1e-6)
    assert "mean (0.485, 0.456, 0.406), std (0.229, 0.224, 0.225)" in images.preparation


class Compose:
    def __init__(self, *steps):
        self.transforms = steps

    def __call__(self, picture):
        for step in self.transforms:
            picture = step(picture)
        return picture


class Normalize:
    def __init__(self, mean, std):
        self.mean, self.std = mean, std

    def __call__(self, image):
        return (image - self.mean) / self.std


def to_tensor(picture):
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 255


def test_a_transform_is_run_and_its_normalize_undone(zoo):
    images = cvw.ImageSet.from_folder(zoo, transform=Compose(to_tensor, Normalize(0.5, 0.25)))
    assert np.array_equal(images.display(0), pixels(6, 8, 2))
    assert "mean 0.5, std 0.25, found in the transform" in images.preparation
    assert images.states_preprocessing
    plain = cvw.ImageSet.from_folder(zoo, transform=to_tensor)
    assert not plain.states_preprocessing
    later = Compose(to_tensor, Normalize(0.5, 0.25), lambda image: -image)
    assert not cvw.ImageSet.from_folder(zoo, transform=later).states_preprocessing


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"transform": lambda p: p}, "transform returns PIL image RGB 6×8; expected a floating"),
        ({"transform": lambda p: 1 / 0}, "transform raised on cat/2.png: ZeroDivisionError"),
        ({"transform": lambda p: to_tensor(p) * random.random()}, "comes out different each time"),
        ({"transform": 3}, "transform: expected a function"),
        ({"size": 0}, "size must be a whole number of at least 1, got 0"),
        ({"size": 2_240_000}, "size: 2,240,000×2,240,000 are .* pixels; at most 67,108,864"),
        ({"mean": "imagenet"}, "mean: expected one number or one per channel, got 'imagenet'"),
        ({"std": float("nan")}, "std: expected one number or one per channel, got nan"),
        ({"size": (1, 2, 3)}, r"size: expected one number .*\(1, 2, 3\)"),
        ({"channels": 4}, "channels: expected 1"),
        ({"mean": [0.5, 0.5]}, "mean has 2 numbers; the images have 3 channels"),
        ({"mean": 123.675, "std": 58.395}, "divide by 255: mean=0.485, std=0.229"),
    ],
)
def test_options_that_do_not_fit_are_told(zoo, options, line):
    with pytest.raises(cvw.InputError, match=line) as caught:
        cvw.ImageSet.from_folder(zoo, **options)
    assert "\n" not in str(caught.value)


def test_places_that_are_no_folder_of_pictures_are_told(tmp_path):
    save(tmp_path / "data" / "train" / "cat" / "1.png")
    save(tmp_path / "data" / "val" / "cat" / "1.png")
    for part in ("annotations", "train", "val"):
        save(tmp_path / "more" / part / "cat" / "1.png")
    (tmp_path / "none").mkdir()
    for place, line in {
        "data": "are parts of a data set, no classes: train, val; give one of them: .*train",
        "more": "are parts of a data set, no classes: train, val; give one of them: .*train",
        "none": "it is empty",
        "gone": "no folder",
        "data/val/cat/1.png": r"is a file; ImageSet.from_images\(\[path\]\)",
    }.items():
        with pytest.raises(cvw.InputError, match=line):
            cvw.ImageSet.from_folder(tmp_path / place)
    with pytest.raises(cvw.InputError, match="expected that of a folder, got int"):
        cvw.ImageSet.from_folder(3)


def test_pictures_that_claim_too_much_are_left_out(tmp_path, monkeypatch):
    save(tmp_path / "small.png")
    save(tmp_path / "large.png", 40, 40)
    for most in (1000, 100):  # twice the limit is another error of Pillow's
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
        images = cvw.ImageSet.from_folder(tmp_path)
        assert "claims to have more pixels than" in images.problems["large.png"]


def test_pictures_of_all_kinds_go_together(tmp_path):
    save(tmp_path / "a.png")
    bytes_ = pixels(6, 8)
    mixed = [
        Image.fromarray(bytes_),
        bytes_,
        torch.from_numpy(bytes_).permute(2, 0, 1),
        bytes_ / 255,
        (bytes_ / 255).astype(np.float32),
        bytes_.astype(np.int64),
        (bytes_.astype(np.uint16) * 257),
        str(tmp_path / "a.png"),
        tmp_path / "a.png",
    ]
    images = cvw.ImageSet.from_images(mixed, labels=[0, None] * 4 + [1], class_names=["x", "y"])
    for index in range(len(mixed)):
        assert np.array_equal(images.display(index), bytes_), index
    assert images.label(8) == 1


@pytest.mark.parametrize(
    ("pictures", "shape"),
    [
        (np.zeros((5, 6, 8, 3), np.uint8), (5, 3, 6, 8)),
        (np.zeros((5, 3, 6, 8), np.uint8), (5, 3, 6, 8)),
        (torch.zeros(5, 3, 6, 8, dtype=torch.uint8), (5, 3, 6, 8)),
        (torch.zeros(5, 6, 8, 3, dtype=torch.uint8), (5, 3, 6, 8)),
        (np.zeros((5, 6, 8), np.uint8), (5, 1, 6, 8)),
        (np.zeros((5, 6, 8, 1), np.float32), (5, 1, 6, 8)),
        (np.zeros((6, 8, 3), np.uint8), (1, 3, 6, 8)),
        (np.zeros((6, 8), bool), (1, 1, 6, 8)),
        (Image.new("L", (8, 6)), (1, 1, 6, 8)),
        ([Image.new("L", (8, 6)), Image.new("RGB", (8, 6))], (2, 3, 6, 8)),
        ([np.zeros((6, 8, 4), np.uint8)], (1, 3, 6, 8)),
        ([(Image.new("RGB", (8, 6)), 3)], (1, 3, 6, 8)),
        ([{"image": Image.new("RGB", (8, 6)), "label": 3}], (1, 3, 6, 8)),
    ],
)
def test_arrays_and_pictures_become_images(pictures, shape):
    images = cvw.ImageSet.from_images(pictures)
    assert (len(images), *images.shape) == shape


@pytest.mark.parametrize(
    ("pictures", "line"),
    [
        ([Image.new("RGB", (8, 6)), Image.new("RGB", (9, 6))], "2 sizes .*size=6"),
        ([np.full((4, 4), 200.0)], "floats from 200 to 200; expected 0 to 1: divide by 255"),
        (torch.randn(2, 3, 8, 8), r"floats from -.*normalised already goes into ImageSet\(tensor"),
        ([np.full((4, 4), np.nan)], "floats from nan"),
        ([np.full((4, 4), -1)], "int64 from -1 to -1; expected 0 to 255"),
        ([np.zeros((5, 4, 6), np.uint8)], r"shape \(5, 4, 6\); expected \(H, W, C\)"),
        (np.zeros((3, 28, 28), np.uint8), "one picture in colour, or three in grey: channels=3"),
        ([3], "image 0: expected a path, a PIL image"),
        (["nowhere.png"], "nowhere.png cannot be read: No such file"),
        ([], "at least one image"),
        ((x for x in ()), r"expected a list, got generator; list\(...\)"),
        ({"a": 1}, r"got a dict; list\(pictures.values\(\)\)"),
    ],
)
def test_pictures_that_cannot_be_meant_are_told(pictures, line):
    with pytest.raises(cvw.InputError, match=line) as caught:
        cvw.ImageSet.from_images(pictures)
    assert "\n" not in str(caught.value)


def test_a_data_set_of_pictures_is_taken():
    class Pictures:
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return Image.new("RGB", (8 + index, 6), (index, 0, 0)), index

    images = cvw.ImageSet.from_images(Pictures(), size=4)
    assert [images.label(index) for index in range(3)] == [0, 1, 2]
    assert images.display(2)[0, 0, 0] == 2


def test_one_line_opens_an_explorer_on_whatever_there_is(zoo, explored):
    tensor = torch.rand(4, 3, 6, 8)
    data = torch.utils.data.TensorDataset(tensor, torch.arange(4) % 2)
    for images, count in (
        (zoo, 12),
        (str(zoo), 12),
        (zoo / "cat" / "2.png", 1),
        ([zoo / "cat" / "2.png", zoo / "dog" / "z.png"], 2),
        (tensor, 4),
        (tensor[0], 1),
        (tensor.numpy(), 4),
        (tensor.permute(0, 2, 3, 1).numpy(), 4),
        ((tensor * 255).byte(), 4),
        (data, 4),
        (cvw.ImageSet(data), 4),
        ([Image.new("RGB", (8, 6))], 1),
    ):
        state = explored(net(), images)
        assert (len(state.image_set), *state.image_set.shape) == (count, 3, 6, 8)
        assert state.activation("0").shape == (2, 6, 8)
    grey = explored(net(channels=1), zoo, size=4)
    assert grey.image_set.shape == (1, 4, 4)
    assert len(explored(net(channels=1), np.zeros((3, 5, 5), np.uint8)).image_set) == 3


def test_run_and_checkpoints_may_be_paths(tmp_path, explored):
    with cvw.Recorder(net(), tmp_path, every=1) as recorder:
        recorder.step(**{"loss/train": 0.5})
    tensor, weights = torch.rand(2, 3, 6, 8), net().state_dict()
    for options in (
        {"run": tmp_path},
        {"run": str(tmp_path)},
        {"run": cvw.Run(tmp_path)},
        {"checkpoints": tmp_path / "checkpoints"},
        {"checkpoints": [(0, weights), (1, weights)]},
        {"checkpoints": cvw.CheckpointSeries.from_directory(tmp_path / "checkpoints")},
    ):
        assert explored(net(), tensor, **options).steps == (0, 1)
    state = cvw.ModelState(net(), tensor, checkpoints=str(tmp_path / "checkpoints"))
    assert state.steps == (0, 1)
    with pytest.raises(cvw.InputError, match="there is no folder 'nowhere' either"):
        cvw.ModelState(net(), tensor, checkpoints="nowhere")


@pytest.mark.parametrize(
    ("images", "options", "line"),
    [
        (cvw.ImageSet(torch.zeros(1, 3, 4, 4)), {"size": 3}, "size: set on the ImageSet"),
        (torch.zeros(1, 3, 4, 4), {"size": 3}, "size: for pictures; these are as the model takes"),
        (torch.utils.data.DataLoader([1]), {}, r"loader\.dataset"),
        ("nowhere", {}, "nowhere cannot be read: No such file"),
        (3, {}, "got int"),
        ((each for each in ["a.png"]), {"size": 3}, r"got a generator; list\(images\) makes"),
        (torch.zeros(1, 3, 4, 4).double(), {}, r"got torch.float64; images.to\(torch.float32\)"),
        (
            torch.zeros(1, 3, 4, 4),
            {"checkpoints": __file__},
            "is a file; give its folder: '.*field'",
        ),
    ],
)
def test_what_cannot_be_explored_is_told(images, options, line):
    with pytest.raises(cvw.InputError, match=line):
        cvw.explore(net(), images, **options)


@pytest.mark.parametrize(
    ("model", "line"),
    [
        (nn.Flatten, r"got type; Flatten\(...\) makes one"),
        (
            net().state_dict(),
            r"got OrderedDict; model.load_state_dict\(...\) puts weights",
        ),
        ("photos", "expected an nn.Module, got str"),
    ],
)
def test_what_is_no_model_is_told(model, line):
    with pytest.raises(cvw.InputError, match=line):
        cvw.explore(model, torch.zeros(1, 3, 4, 4))


def test_labels_of_a_folder_are_its_own(zoo):
    with pytest.raises(cvw.InputError, match="labels: a folder's own folders are its classes"):
        cvw.explore(net(), zoo, labels=[1])


def test_what_the_model_puts_out_its_loss_and_its_epochs_are_told_at_the_door():
    class TwoHeads(nn.Sequential):
        def forward(self, images):
            scores = super().forward(images)
            return scores, scores * 2

    images, checkpoints = torch.rand(2, 3, 8, 8), [(0, TwoHeads(*net()).state_dict())]
    options = {"output": 1, "loss": lambda found, _: found[1].sum(), "steps_per_epoch": 5}
    explorer = cvw.explore(TwoHeads(*net()), images, None, checkpoints, labels=[0, 1], **options)
    state = explorer.state
    try:
        assert torch.equal(state.logits(), state.output()[1][0])
        assert torch.allclose(state.gradient("2", of="output"), torch.tensor([2.0, 2.0]))
    finally:
        explorer.close()
    for wrong, line in (("output", "unknown output"), ("steps_per_epoch", "steps_per_epoch")):
        with pytest.raises(cvw.InputError, match=line):
            cvw.explore(TwoHeads(*net()), images, **{wrong: 0.5})
