import pytest

from convviz_widgets.checkpoints.name_times import time_in_name
from convviz_widgets.checkpoints.names import is_beside_weights, is_temporary, natural
from convviz_widgets.checkpoints.training_time import TrainingTime
from convviz_widgets.errors import printable


@pytest.mark.parametrize(
    ("name", "step", "epoch", "number"),
    [
        ("step-00000100.safetensors", 100, None, None),
        ("model_9.pt", None, None, 9),
        ("resnet18-epoch3.pth", None, 3, None),
        ("epoch=3-step=1200.ckpt", 1200, 3, None),
        ("epoch=3-step=1200-v1.ckpt", 1200, 3, None),
        ("weights.03-0.52.ckpt", None, None, 3),
        ("v1.2.pt", None, None, None),
        ("checkpoint-500/model.safetensors", 500, None, None),
        ("checkpoint-500/unet/diffusion_pytorch_model.safetensors", 500, None, None),
        ("epoch_3/weights/best.pt", None, 3, None),
        ("run/model_3/weights/best.pt", None, None, None),
        ("recovery-5-100.pth.tar", None, None, None),
        ("model_10k.pt", None, None, 10000),
        ("model-0.5K.pt", None, None, 500),
        ("step=2M-v3.ckpt", 2000000, None, None),
        ("epoch-3-step1.5k.ckpt", 1500, 3, None),
        ("model_10kimages.pt", None, None, 10),
        ("in1k-epoch7.pt", None, 7, None),
        ("best.pt", None, None, None),
        ("pt", None, None, None),
        ("model-1234567890123456789.pt", None, None, None),
    ],
)
def test_a_name_says_a_step_an_epoch_or_a_bare_number(
    name: str, step: int | None, epoch: int | None, number: int | None
) -> None:
    assert time_in_name(name) == TrainingTime(step, epoch, number)


@pytest.mark.parametrize(
    "name",
    [
        "optimizer.pt",
        "scheduler.bin",
        "rng_state_0.pth",
        "scaler.pt",
        "training_args.bin",
        "model_optim.pt",
        "checkpoint-5/optimizer.pt",
        "optimizer-epoch-3.pt",
        "zero_pp_rank_0_mp_rank_00_optim_states.pt",
        "random_states_0.pkl",
    ],
)
def test_what_lies_beside_weights(name: str) -> None:
    assert is_beside_weights(name)


@pytest.mark.parametrize("name", ["optimal.pt", "model_ema.pt", "scaled.pt", "model.bin"])
def test_weights_are_told_from_what_lies_beside_them(name: str) -> None:
    assert not is_beside_weights(name)


@pytest.mark.parametrize("name", [".step-1.pt", "a/.hidden.pt", "a.pt~", "~a.pt", "a.tmp.pt"])
def test_temporary_names(name: str) -> None:
    assert is_temporary(name)


def test_a_word_in_a_name_does_not_make_it_temporary() -> None:
    assert not is_temporary("partial-run.tmpl/step-1.pt")


def test_natural_order_counts() -> None:
    assert sorted(["b", "a10", "a9", "1"], key=natural) == ["1", "a9", "a10", "b"]


def test_names_are_written_on_one_line() -> None:
    assert printable("ok-é.pt") == "ok-é.pt"
    assert printable("a\n\x1b[31m\udcff.pt") == r"a\n\x1b[31m\udcff.pt"
