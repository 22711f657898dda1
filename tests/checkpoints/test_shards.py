import json
from pathlib import Path

import pytest
import torch

from convviz_widgets.checkpoints import ReadLimits, read_checkpoint, write_checkpoint
from convviz_widgets.errors import CheckpointError

INDEX = "model.safetensors.index.json"
PART = "model-00001-of-00001.safetensors"


def index_of(folder: Path, content: object) -> Path:
    write_checkpoint(folder / PART, {"a": torch.ones(4)})
    (folder / INDEX).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder / INDEX


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ({"weight_map": {"a": "../other.safetensors"}}, "which is no file beside it"),
        ({"weight_map": {"a": "/etc/passwd"}}, "which is no file beside it"),
        ({"weight_map": {"a": "x\\y.safetensors"}}, "which is no file beside it"),
        ({"weight_map": {"a": ".."}}, "which is no file beside it"),
        ({"weight_map": {"a": ""}}, "which is no file beside it"),
        ({"weight_map": {"a": INDEX}}, "which is no file beside it"),
        ({"weight_map": {"a": 3}}, "which is no file beside it"),
        ({"weight_map": {"a": "gone.safetensors"}}, "lacks its part 'gone.safetensors'"),
        ({"weight_map": {"b": PART}}, f"has no 'b' in its part '{PART}'"),
        ({"weight_map": {}}, "is no index of weights: it has no 'weight_map'"),
        ({"weight_map": ["a"]}, "is no index of weights"),
        ([], "is no index of weights"),
        ("[" * 100_000, "is damaged or no checkpoint"),
        ("", "is damaged or no checkpoint"),
    ],
)
def test_a_hostile_index_is_refused_in_one_line(tmp_path: Path, content: object, line: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(index_of(tmp_path, content))
    assert str(caught.value).startswith(INDEX)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "limits", [ReadLimits(header_bytes=10), ReadLimits(tensors=0), ReadLimits(file_bytes=64)]
)
def test_an_index_is_read_within_the_limits(tmp_path: Path, limits: ReadLimits) -> None:
    path = index_of(tmp_path, {"weight_map": {"a": PART}})
    assert read_checkpoint(path)["a"].tolist() == [1, 1, 1, 1]
    with pytest.raises(CheckpointError, match="at most"):
        read_checkpoint(path, limits=limits)


def test_the_limit_of_bytes_is_that_of_all_parts_together(tmp_path: Path) -> None:
    names = [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    for name, key in zip(names, "ab", strict=True):
        write_checkpoint(tmp_path / name, {key: torch.ones(100)})
    places = dict(zip("ab", names, strict=True))
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": places}))
    assert list(read_checkpoint(tmp_path / INDEX)) == ["a", "b"]
    one = (tmp_path / names[0]).stat().st_size
    with pytest.raises(CheckpointError, match=f"at most {one // 2:,} are read"):
        read_checkpoint(tmp_path / INDEX, limits=ReadLimits(file_bytes=one + one // 2))
