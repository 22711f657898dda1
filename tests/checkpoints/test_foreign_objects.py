import argparse
import enum
import os
import pathlib
import random
import sys
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from convviz_widgets.checkpoints import read_checkpoint
from convviz_widgets.errors import CheckpointError

from .test_hostile_pickles import HUGE, Call, StorageId, pickled, refused
from .test_mutated_files import mutated, refusal


class Mode(enum.Enum):
    """A choice among settings."""

    FAST = "fast"


class Settings(dict):
    """A dictionary of a class of its own that points at itself, as nested settings do."""

    def __init__(self) -> None:
        super().__init__(rate=0.1, mode=Mode.FAST, modes={Mode.FAST})
        self.parent = self
        self.children = [self]


FOREIGN = {
    "args": argparse.Namespace(rate=0.1, out=pathlib.PurePosixPath("a/b")),
    "accuracy": np.float64(0.9),
    "confusion": np.eye(3),
    "out": pathlib.PurePosixPath("runs"),
    "settings": Settings(),
    "counts": [Counter("aab"), defaultdict(list, a=[1]), {Mode.FAST: 1}],
    "optimizer": OrderedDict([(Mode.FAST, torch.ones(2)), (1, torch.ones(2))]),
}


def tensors() -> dict[str, torch.Tensor]:
    """Tensors of every plain kind: parameters, views, shared, without dimensions or elements."""
    base = torch.arange(24.0)
    plain = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
    other = (torch.float16, torch.bfloat16, torch.float64, torch.complex64, torch.complex128)
    return {
        "weight": nn.Parameter(base.reshape(4, 6)),
        "turned": base.reshape(4, 6).T[1:, ::2],
        "scalar": torch.tensor(3),
        "none": torch.empty(0, 2),
        "expanded": torch.ones(1).expand(3),
        **{str(dtype): torch.tensor([0, 1]).to(dtype) for dtype in (*plain, *other)},
    }


@pytest.mark.parametrize("name", FOREIGN)
def test_weights_are_read_beside_what_is_foreign(tmp_path: Path, name: str) -> None:
    expected = tensors()
    torch.save({name: FOREIGN[name], "state_dict": expected, "epoch": 3}, tmp_path / "1.pt")
    found = read_checkpoint(tmp_path / "1.pt")
    assert list(found) == list(expected)
    for key, value in expected.items():
        assert found[key].dtype == value.dtype
        assert torch.equal(found[key], value)
        assert not isinstance(found[key], nn.Parameter)


def test_a_models_own_state_dict_is_read_beside_settings(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    content = {"net": net.state_dict(), "args": FOREIGN["args"]}  # with its _metadata
    torch.save(content, tmp_path / "1.pt")
    found = read_checkpoint(tmp_path / "1.pt")
    assert all(torch.equal(found[name], value) for name, value in net.state_dict().items())
    assert found["0.weight"].untyped_storage().nbytes() == 2 * 9 * 4


def test_what_is_foreign_is_neither_imported_nor_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trap.py").write_text(
        "class Trap:\n    def __setstate__(self, state):\n        1/0"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import trap  # type: ignore[import-not-found]

    content = {
        "state_dict": {"a": torch.ones(1)},
        "run": Call(os.mkdir, str(tmp_path / "it ran")),
        "state": Call(trap.Trap, state={"a": 1}),
        "memory": Call(bytearray, HUGE),
    }
    torch.save(content, tmp_path / "1.pt")
    del sys.modules["trap"]
    (tmp_path / "trap.py").write_text("raise SystemExit")
    assert read_checkpoint(tmp_path / "1.pt")["a"].item() == 1
    assert "trap" not in sys.modules
    assert not (tmp_path / "it ran").exists()


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({"model": FOREIGN["args"], "epoch": 1}, "'argparse.Namespace' for its entry 'model'"),
        ({"x": Mode.FAST, "state_dict": nn.Linear(1, 1)}, r"linear.Linear' for its entry 'state_d"),
        (FOREIGN["args"], "'argparse.Namespace'; only tensors and plain data are read"),
    ],
)
def test_where_the_weights_are_foreign_the_entry_is_named(
    tmp_path: Path, content: object, line: str
) -> None:
    torch.save(content, tmp_path / "1.pt")
    message = refused(tmp_path / "1.pt")
    assert line in message
    assert "torch.save(model.state_dict(), path) writes such a file" in message


@pytest.mark.parametrize(
    ("size", "stride", "stored"),
    [((5,), (1,), 4), ((HUGE,), (1,), 4), ((1,), (1,), HUGE), ((HUGE,), (0,), 4)],
)
def test_a_foreign_object_does_not_loosen_the_bounds(
    tmp_path: Path, write_zip: Callable, size: tuple, stride: tuple, stored: int
) -> None:
    tensor = Call(
        torch._utils._rebuild_tensor_v2,
        StorageId(stored),
        0,
        size,
        stride,
        False,
        OrderedDict(),
    )
    text = b"\x80\x02" + pickled({"a": tensor, "b": Call(os.mkdir, "x")}) + b"."
    refused(write_zip(tmp_path / "a.pt", text, {"data/0": bytes(16)}))


def test_another_byte_order_is_not_guessed_at(tmp_path: Path, write_zip: Callable) -> None:
    text = b"\x80\x02" + pickled({"a": Call(os.mkdir, "x")}) + b"."
    line = refused(write_zip(tmp_path / "a.pt", text, {"byteorder": b"big"}))
    assert "needs the Python object" in line


def test_mutated_files_with_foreign_objects_load_or_are_refused(tmp_path: Path) -> None:
    rng = random.Random(0)
    path = tmp_path / "a.pt"
    torch.save({"args": FOREIGN["args"], "net": nn.Conv2d(1, 2, 3).state_dict()}, path)
    whole = path.read_bytes()
    refusals = []
    for _ in range(170):
        path.write_bytes(mutated(whole, rng))
        refusals.append(refusal(path))
    assert sum(error is not None for error in refusals) > 50
    assert all(len(str(error).splitlines()) == 1 for error in refusals if error)
    assert all(isinstance(error, CheckpointError) for error in refusals if error)
