import pytest

from convviz_widgets.checkpoints import step_of
from convviz_widgets.checkpoints.names import is_temporary, natural
from convviz_widgets.errors import printable


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("step-00000100.safetensors", 100),
        ("model_9.pt", 9),
        ("resnet18-epoch3.pth", 3),
        ("epoch=3-step=1200.ckpt", 1200),
        ("epoch=3-step=1200-v1.ckpt", 1200),
        ("weights.03-0.52.ckpt", 3),
        ("v1.2.pt", 2),
        ("checkpoint-500/model.safetensors", 500),
        ("model_10k.pt", 10_000),
        ("model-0.5K.pt", 500),
        ("step=2M-v3.ckpt", 2_000_000),
        ("epoch-3-step1.5k.ckpt", 1_500),
        ("model_10kimages.pt", 10),
        ("in1k-epoch7.pt", 7),
        ("best.pt", None),
        ("pt", None),
        ("model-1234567890123456789.pt", None),
    ],
)
def test_the_step_is_the_last_whole_number(name: str, step: int | None) -> None:
    assert step_of(name) == step


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
