"""Files and folders of weights as trainers leave them: what opens, and what is passed over."""

import json
import os
from pathlib import Path

import pytest
import torch
from torch import nn

import convviz_widgets as cvw
from convviz_widgets.checkpoints import write_checkpoint


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.bn = nn.BatchNorm2d(2)

    def forward(self, images):
        return self.bn(self.conv(images)).mean((2, 3))


def net(seed):
    torch.manual_seed(seed)
    return Net().eval()


def saved(path, content, *, legacy=False):
    """Save something long ago: then nobody waits for it to settle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return old(path)


def old(path):
    os.utime(path, (10**9, 10**9))
    return path


def as_safetensors(path, tensors):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_checkpoint(path, tensors)
    return old(path)


def in_parts(folder, weights, *, suffix="safetensors", stem="model"):
    """Save weights in two parts with an index, as Hugging Face does."""
    folder.mkdir(parents=True, exist_ok=True)
    names = list(weights)
    places = {}
    for part in (0, 1):
        name = f"{stem}-0000{part + 1}-of-00002.{suffix}"
        some = {key: weights[key].contiguous() for key in names[part::2]}
        places |= dict.fromkeys(some, name)
        if suffix == "safetensors":
            as_safetensors(folder / name, some)
        else:
            saved(folder / name, some)
    index = folder / f"{stem}.{suffix}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    return old(index)


def opened(folder, **options):
    return cvw.CheckpointSeries.from_directory(folder, **options)


def shown(series, index):
    """Return the kernel that a state shows at a checkpoint."""
    images = torch.rand(2, 1, 6, 6)
    state = cvw.ModelState(net(0), images, checkpoints=series, checkpoint=index, layer="conv")
    kernel = state.weight("conv")
    state.close()
    return kernel


@pytest.mark.parametrize(
    "name", ["a.pth.tar", "a.tar", "a.bin", "a.pkl", "a.chkpt", "a.PTH.TAR", "a.ckpt"]
)
@pytest.mark.parametrize("legacy", [False, True])
def test_weights_open_whatever_their_ending(tmp_path: Path, name: str, legacy: bool) -> None:
    saved(tmp_path / name, {"epoch": 3, "state_dict": {"a": torch.ones(1)}}, legacy=legacy)
    series = opened(tmp_path)
    assert (series.names, series.load(0)["a"].item()) == ((name,), 1)


def test_what_only_ends_like_weights_is_passed_over(tmp_path: Path) -> None:
    saved(tmp_path / "epoch_1.bin", {"a": torch.ones(1)})
    for name in ("data.bin", "images.tar", "log.pkl", "empty.tar"):
        old_junk = tmp_path / name
        old_junk.write_bytes(b"" if name == "empty.tar" else b"junk" * 20)
        old(old_junk)
    os.mkfifo(tmp_path / "pipe.bin")
    series = opened(tmp_path)
    assert series.labels == ("epoch 1",)
    assert series.problems == {"pipe.bin": "pipe.bin: is a pipe, not a regular file"}


def test_optimizers_and_generators_are_no_checkpoints(tmp_path: Path) -> None:
    saved(tmp_path / "step_5.pt", {"a": torch.ones(1)})
    for name in (
        "optimizer.pt",
        "scheduler.pt",
        "scaler.pt",
        "rng_state.pth",
        "rng_state_1.pth",
        "training_args.bin",
        "step_5_optim.pt",
        "optimizer_step_6.pt",
        "random_states_0.pkl",
    ):
        saved(tmp_path / name, {"state": torch.ones(1)})
    series = opened(tmp_path)
    assert (series.names, series.problems) == (("step_5.pt",), {})


def hugging_face(folder):
    """Make the output of a Trainer: three saves in three formats, and the last model."""
    as_safetensors(folder / "checkpoint-500" / "model.safetensors", net(500).state_dict())
    in_parts(folder / "checkpoint-1000", net(1000).state_dict())
    in_parts(folder / "checkpoint-1500", net(1500).state_dict(), suffix="bin", stem="pytorch_model")
    for step in (500, 1000, 1500):
        beside = folder / f"checkpoint-{step}"
        for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"):
            saved(beside / name, {"state": torch.ones(1)})
        state = {"global_step": step, "epoch": step / 500, "log_history": []}
        (beside / "trainer_state.json").write_text(json.dumps(state))
    as_safetensors(folder / "model.safetensors", net(7).state_dict())


def test_the_output_of_a_trainer_opens_as_it_is(tmp_path: Path) -> None:
    hugging_face(tmp_path)
    series = opened(tmp_path)
    assert (series.unit, series.steps) == ("step", (500, 1000, 1500, 1501))
    assert series.labels[-1] == "model.safetensors"
    assert series.problems == {}
    for index, seed in enumerate((500, 1000, 1500, 7)):
        assert torch.equal(shown(series, index), net(seed).conv.weight)
    assert [time.epoch for time in series.times] == [1, 2, 3, None]
    assert cvw.Run(tmp_path).checkpoints.steps == series.steps


@pytest.mark.parametrize("pattern", ["checkpoint-*", "checkpoint-*/*model*"])
def test_a_pattern_finds_folders_and_parts(tmp_path: Path, pattern: str) -> None:
    hugging_face(tmp_path)
    series = opened(tmp_path, pattern=pattern)
    assert (series.steps, series.problems) == ((500, 1000, 1500), {})
    assert torch.equal(shown(series, 1), net(1000).conv.weight)


def test_parts_in_the_directory_itself_are_one_checkpoint(tmp_path: Path) -> None:
    in_parts(tmp_path, net(1).state_dict())
    series = opened(tmp_path)
    assert series.names == ("model.safetensors.index.json",)
    assert torch.equal(shown(series, 0), net(1).conv.weight)
    key = series.key(0)
    part = tmp_path / "model-00001-of-00002.safetensors"
    os.utime(part, (10**9 + 5, 10**9 + 5))
    assert (series.refresh(), series.key(0) == key) == (1, False)


def test_parts_without_their_index_are_told_of(tmp_path: Path) -> None:
    in_parts(tmp_path, net(1).state_dict()).unlink()
    saved(tmp_path / "epoch_1.pt", net(2).state_dict())
    series = opened(tmp_path)
    assert series.names == ("epoch_1.pt",)
    assert list(series.problems.values()) == [
        "model-00001-of-00002.safetensors: one of 2 parts; "
        "their index 'model.safetensors.index.json' is missing"
    ]


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    in_parts(tmp_path, net(1).state_dict())
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(cvw.CheckpointError, match=r"lacks its part 'model-00002-of-00002\.safet"):
        opened(tmp_path).load(0)


def test_a_folder_of_deepspeed_is_one_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "global_step500"
    saved(folder / "mp_rank_00_model_states.pt", {"module": net(1).state_dict()})
    saved(folder / "zero_pp_rank_0_mp_rank_00_optim_states.pt", {"x": torch.ones(1)})
    series = opened(tmp_path)
    assert series.labels == ("step 500",)
    assert torch.equal(shown(series, 0), net(1).conv.weight)


def test_a_folder_with_a_choice_says_how_to_choose(tmp_path: Path) -> None:
    saved(tmp_path / "step_3" / "ema.pt", {"a": torch.ones(1)})
    saved(tmp_path / "step_3" / "raw.pt", {"a": torch.zeros(1)})
    saved(tmp_path / "step_2.pt", {"a": torch.zeros(1)})
    line = opened(tmp_path).problems["step_3/"]
    assert line == ("step_3/: holds 2 files of weights; pattern= picks one, such as '*/ema.pt'")
    assert opened(tmp_path, pattern="*/ema.pt").steps == (3,)


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (["version_0/checkpoints/epoch=0-step=9.ckpt"], "version_0/checkpoints/*.ckpt"),
        (["fold0/best.pt", "fold1/best.pt"], "*/best.pt"),
        (["epoch_1.th", "epoch_2.th"], "*.th"),
        (["weights/epoch_1.model"], "weights/*.model"),
    ],
)
def test_an_error_names_the_pattern_that_works(
    tmp_path: Path, names: list[str], pattern: str
) -> None:
    for name in names:
        saved(tmp_path / name, {"a": torch.ones(1)})
    with pytest.raises(cvw.CheckpointError) as caught:
        opened(tmp_path)
    assert str(caught.value).endswith(f"pattern={pattern!r} finds some")
    assert sorted(opened(tmp_path, pattern=pattern).names) == names


def test_weights_from_before_counts_of_batches_open(tmp_path: Path) -> None:
    weights = {k: v for k, v in net(3).state_dict().items() if "num_batches" not in k}
    wrapped = {f"model.{key}": value for key, value in weights.items()}
    saved(tmp_path / "epoch_1.pth", weights)
    saved(tmp_path / "epoch_2.pth", {"state_dict": {f"module.{k}": v for k, v in weights.items()}})
    saved(tmp_path / "epoch_3.pth", {"state_dict": wrapped})
    series = opened(tmp_path)
    for index in range(3):
        assert torch.equal(shown(series, index), net(3).conv.weight)
    broken = {key: value for key, value in weights.items() if key != "bn.running_var"}
    saved(tmp_path / "epoch_4.pth", broken)
    with pytest.raises(cvw.CheckpointError, match=r"^epoch 4: .* missing bn\.running_var$"):
        shown(opened(tmp_path), 3)


def test_two_parts_that_fit_are_both_named(tmp_path: Path) -> None:
    both = {f"{part}.{k}": v for part in ("model", "ema") for k, v in net(3).state_dict().items()}
    saved(tmp_path / "epoch_1.pth", both)
    with pytest.raises(cvw.CheckpointError, match="key='model' or state_dict_key='ema' takes one"):
        shown(opened(tmp_path), 0)
    assert torch.equal(shown(opened(tmp_path, state_dict_key="ema"), 0), net(3).conv.weight)


def test_steps_may_be_given(tmp_path: Path) -> None:
    for name in ("best.pt", "model_2.pt", "model_10.pt"):
        saved(tmp_path / name, {"state_dict": {"a": torch.ones(1)}, "global_step": 3})
    by_place = opened(tmp_path, steps=[500, 100, 700])
    by_name = opened(tmp_path, steps={"model_2.pt": 100, "model_10.pt": 700, "best.pt": 500})
    called = opened(tmp_path, steps=lambda path: len(path.read_bytes()) * 0 + len(path.stem))
    for series in (by_place, by_name):
        assert (series.steps, series.unit) == ((100, 500, 700), "step")
        assert series.names == ("model_2.pt", "best.pt", "model_10.pt")
        series.load(0)
        assert series.labels == ("step 100", "step 500", "step 700")
    assert (called.steps, called.names[0]) == ((4, 7, 8), "best.pt")
    assert opened(tmp_path, steps_per_epoch=90).steps_per_epoch == 90
    assert by_place.steps_per_epoch is None


class FrozenNorm(nn.Module):
    """A normalisation that never trains, as in torchvision's detectors; it counts no batches."""

    def __init__(self):
        super().__init__()
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, torch.ones(2))

    def forward(self, maps):
        scale = self.weight * (self.running_var + 1e-5).rsqrt()
        return maps * scale[:, None, None] + (self.bias - self.running_mean * scale)[:, None, None]


def test_counts_of_batches_that_the_model_lacks_are_passed_over(tmp_path: Path) -> None:
    saved(tmp_path / "epoch_1.pth", net(3).state_dict())
    model, images = net(0), torch.rand(2, 1, 6, 6)
    model.bn = FrozenNorm()
    state = cvw.ModelState(model, images, checkpoints=opened(tmp_path), layer="conv")
    assert torch.equal(state.weight("conv"), net(3).conv.weight)
    state.close()


def test_the_only_part_is_all_of_it(tmp_path: Path) -> None:
    as_safetensors(tmp_path / "model-00001-of-00001.safetensors", net(3).state_dict())
    series = opened(tmp_path)
    assert series.labels == ("model-00001-of-00001.safetensors",)
    assert torch.equal(shown(series, 0), net(3).conv.weight)


LAYOUTS = {
    "timm": (
        ["checkpoint-8.pth.tar", "checkpoint-9.pth.tar", "last.pth.tar", "recovery-9-50.pth.tar"],
        ["args.yaml", "summary.csv"],
        {"epoch": 8},
        ("epoch 8", "epoch 9", "last.pth.tar", "recovery-9-50.pth.tar"),
    ),
    "MMEngine": (
        ["epoch_1.pth", "epoch_2.pth", "best_mIoU_epoch_1.pth"],
        ["cfg.py", "last_checkpoint", "20240131_120000/vis_data/scalars.json"],
        {"meta": {"epoch": 1, "iter": 100}},
        ("epoch 1", "epoch 2"),
    ),
    "Detectron2": (
        ["model_0004999.pth", "model_0009999.pth", "model_final.pth"],
        ["config.yaml", "metrics.json", "last_checkpoint", "events.out.tfevents.1.host.1.0"],
        {"iteration": 4999},
        ("step 4,999", "step 9,999", "model_final.pth"),
    ),
    "nanoGPT": (
        ["ckpt_1000.pt", "ckpt_2000.pt"],
        ["config.json"],
        {"iter_num": 1000, "best_val_loss": 1.2},
        ("step 1,000", "step 2,000"),
    ),
    "Ultralytics": (
        ["epoch0.pt", "epoch10.pt", "best.pt", "last.pt"],
        ["args.yaml", "results.csv"],
        {"epoch": 0},
        ("epoch 0", "epoch 10", "best.pt", "last.pt"),
    ),
    "Diffusers": (
        ["checkpoint-500/unet/weights.pt", "checkpoint-1000/unet/weights.pt"],
        ["checkpoint-500/random_states_0.pkl", "logs/events.out.tfevents.1.host.1.0"],
        {},
        ("step 500", "step 1,000"),
    ),
}


@pytest.mark.parametrize("trainer", LAYOUTS)
def test_a_folder_as_a_trainer_leaves_it_says_what_it_counts(tmp_path, trainer):
    names, others, noted, labels = LAYOUTS[trainer]
    for name in others:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    for seed, name in enumerate(names):
        saved(
            tmp_path / name, {"state_dict": net(seed).state_dict(), **(noted if not seed else {})}
        )
    pattern = "*/unet/weights.pt" if trainer == "Diffusers" else None
    series = cvw.CheckpointSeries.from_directory(tmp_path, pattern=pattern)
    series.load(0)  # tells what bare numbers count
    assert series.labels == labels
    for key, name in zip(series.keys, series.names, strict=True):
        wanted = net(names.index(name)).state_dict()["conv.weight"]
        assert torch.equal(series.load_key(key)["conv.weight"], wanted)
