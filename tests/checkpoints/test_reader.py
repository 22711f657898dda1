import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from convviz_widgets.checkpoints import ReadLimits, read_checkpoint
from convviz_widgets.errors import CheckpointError

Save = Callable[[Path, object], None]


def small_network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


def assert_equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=0, equal_nan=True)


def test_every_format_gives_back_what_was_saved(tmp_path: Path, save: Save) -> None:
    expected = small_network().state_dict()
    save(tmp_path / "a.bin", expected)
    assert_equal(read_checkpoint(tmp_path / "a.bin"), expected)


def test_every_format_keeps_views_ties_and_types(tmp_path: Path, save: Save) -> None:
    weight = torch.arange(6.0).view(2, 3)
    tensors = {
        "tied": weight,
        "again": weight,
        "transposed": weight.t(),
        "expanded": torch.ones(1).expand(4),
        "scalar": torch.tensor(7),
        "empty": torch.empty(0, 3),
        "not finite": torch.tensor([torch.nan, torch.inf]),
        "bfloat16": torch.ones(3, dtype=torch.bfloat16),
        "bool": torch.tensor([True, False]),
    }
    save(tmp_path / "a.bin", tensors)
    assert_equal(read_checkpoint(tmp_path / "a.bin"), tensors)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_training_checkpoint_is_read(tmp_path: Path, legacy: bool) -> None:
    model = small_network()
    optimizer = torch.optim.Adam(model.parameters())
    model[0](torch.ones(1, 3, 3, 3)).sum().backward()
    optimizer.step()
    content = {
        "state_dict": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "rng": torch.get_rng_state(),
        "history": [(1, 0.5), None, True, -3, 2**40, {"a": 1 + 2j, "seen": {1, 2}}],
        "where": torch.device("cpu"),
        "dtype": torch.float16,
        "size": torch.Size([1, 2]),
        "bytes": b"\x00\xff",
        "mask": torch.eye(2).to_sparse(),
    }
    torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=not legacy)
    assert_equal(read_checkpoint(tmp_path / "a.pt"), model.state_dict())


def test_parameters_with_attributes_and_new_types_are_read(tmp_path: Path) -> None:
    parameter = nn.Parameter(torch.ones(2))
    parameter.tag = "mine"
    tensors = {"a": parameter, "b": torch.ones(2, dtype=torch.uint16), "c": torch.ones(2) * 1j}
    tensors["d"] = tensors["c"].conj()
    torch.save(tensors, tmp_path / "a.pt")
    assert_equal(read_checkpoint(tmp_path / "a.pt"), {k: v.detach() for k, v in tensors.items()})


def test_what_the_user_trusts_is_read(tmp_path: Path) -> None:
    content = {"model": {"a": torch.ones(1)}, "settings": Path("x")}
    torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match="needs the Python object 'pathlib"):
        read_checkpoint(tmp_path / "a.pt")
    with torch.serialization.safe_globals([type(Path())]):
        assert list(read_checkpoint(tmp_path / "a.pt")) == ["a"]


def test_reading_leaves_the_file_closed_and_the_tensors_our_own(tmp_path: Path, save: Save) -> None:
    save(tmp_path / "a.bin", {"a": torch.zeros(4)})
    before = (tmp_path / "a.bin").read_bytes()
    read_checkpoint(tmp_path / "a.bin")["a"].fill_(1)
    assert (tmp_path / "a.bin").read_bytes() == before


def test_a_flipped_bit_is_noticed_with_a_hash(tmp_path: Path, save: Save) -> None:
    path = tmp_path / "a.bin"
    save(path, {"a": torch.zeros(100)})
    data = bytearray(path.read_bytes())
    digest = hashlib.sha256(data).hexdigest()
    assert read_checkpoint(path, sha256=digest.upper())["a"].sum() == 0
    data[data.index(bytes(200)) + 100] ^= 64
    path.write_bytes(data)
    assert read_checkpoint(path)["a"].sum() != 0
    with pytest.raises(CheckpointError, match="is not what was written: its sha256 differs"):
        read_checkpoint(path, sha256=digest)


@pytest.mark.parametrize("limits", [ReadLimits(file_bytes=100), ReadLimits(tensors=4)])
def test_limits_hold_in_every_format(tmp_path: Path, save: Save, limits: ReadLimits) -> None:
    save(tmp_path / "a.bin", {str(i): torch.zeros(1) for i in range(20)})
    with pytest.raises(CheckpointError, match=r"a.bin: has .*at most|a.bin: has over"):
        read_checkpoint(tmp_path / "a.bin", limits=limits)
