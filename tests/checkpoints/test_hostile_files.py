import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from convviz_widgets.checkpoints import read_checkpoint
from convviz_widgets.errors import CheckpointError


def refused(path: Path) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert len(str(caught.value).splitlines()) == 1
    assert caught.value.__cause__ is not None
    return str(caught.value)


def saved(path: Path) -> bytes:
    """The bytes of a small zip checkpoint."""
    torch.save({"a": torch.arange(100.0)}, path)
    return path.read_bytes()


def test_a_directory_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "x.pt").mkdir()
    assert refused(tmp_path / "x.pt") == "x.pt: is a directory, not a regular file"


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.pt")
    assert refused(tmp_path / "x.pt") == "x.pt: is a pipe, not a regular file"


def test_a_device_behind_a_link_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "x.pt").symlink_to("/dev/zero")
    assert refused(tmp_path / "x.pt") == "x.pt: is a device, not a regular file"


def test_a_link_to_a_checkpoint_is_followed(tmp_path: Path) -> None:
    saved(tmp_path / "a.pt")
    (tmp_path / "latest.pt").symlink_to("a.pt")
    assert read_checkpoint(tmp_path / "latest.pt")["a"].shape == (100,)


def test_links_that_lead_nowhere_are_refused(tmp_path: Path) -> None:
    (tmp_path / "gone.pt").symlink_to("nothing.pt")
    (tmp_path / "round.pt").symlink_to("round.pt")
    assert refused(tmp_path / "gone.pt") == "gone.pt: cannot be read: No such file or directory"
    assert "round.pt: cannot be read" in refused(tmp_path / "round.pt")


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x03\x04", b"hello\n" * 100, bytes(1000)])
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    assert refused(tmp_path / "x.safetensors").startswith("x.safetensors: is ")


def test_a_name_cannot_break_the_line(tmp_path: Path) -> None:
    path = tmp_path / "a\n\x1b[31m.pt"
    path.write_bytes(b"")
    assert refused(path) == r"a\n\x1b[31m.pt: is empty"


def test_deflated_records_are_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
        archive.writestr("archive/data/0", bytes(50_000_000))
    assert path.stat().st_size < 100_000
    assert "has compressed records" in refused(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("second", ["archive/data/a", "archive/DATA/A"])
def test_records_of_one_name_are_refused(tmp_path: Path, second: str) -> None:
    path = tmp_path / "twice.pt"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("archive/data.pkl", "archive/data/a", second):
            archive.writestr(name, b"\x80\x02}.")
    assert "two records of the same name" in refused(path)


def test_records_inside_each_other_are_refused(tmp_path: Path, write_zip: Callable) -> None:
    payload = bytes(100_000)
    inner = b"PK\x03\x04" + struct.pack("<5H3L2H", *8 * [0], 14, 0) + b"archive/data/1" + payload
    path = write_zip(tmp_path / "a.pt", {}, {"data/0": inner, "data/1": b""})
    data = bytearray(path.read_bytes())
    listed = data.rindex(b"archive/data/1") - 46  # its entry in the directory
    struct.pack_into("<2L", data, listed + 20, len(payload), len(payload))
    struct.pack_into("<L", data, listed + 42, data.index(inner))
    path.write_bytes(data)
    assert "has records that overlap" in refused(path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"#!/bin/sh\n" + data,
        lambda data: data + b"\0",
        lambda data: data[:-2] + b"\x05\x00extra",
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: data.replace(b"a/data.pkl", b"b/data.pkl", 1),
        lambda data: data.replace(b"a/version", b"b/version"),
        lambda data: data.replace(b"a/data.pkl", b"a/dato.pkl"),
    ],
)
def test_only_the_layout_that_pytorch_writes_is_read(
    tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(spoil(saved(path)))
    assert refused(path).startswith("a.pt: is ")


def test_a_program_is_not_loaded(tmp_path: Path, write_zip: Callable) -> None:
    path = write_zip(tmp_path / "a.pt", {}, {"constants.pkl": b"\x80\x02)."})
    assert "is a TorchScript program" in refused(path)


def test_a_giant_header_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    header = b"{" + b" " * 5_000_000 + b"}"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    assert "has a header of 5,000,002 bytes; at most 4,194,304 are read" in refused(path)


def safetensors_file(path: Path, header: object, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [2**63, 2**63], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1], "data_offsets": [0, 4 * 10**12]},
        {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]},
        {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]},
        {"dtype": "PICKLE", "shape": [1], "data_offsets": [0, 4]},
        {"dtype": "F32", "shape": [1]},
        ["F32"],
    ],
)
def test_headers_that_lie_are_refused(tmp_path: Path, entry: object) -> None:
    path = safetensors_file(tmp_path / "a.safetensors", {"a": entry}, bytes(4))
    assert refused(path).startswith("a.safetensors: is damaged")


@pytest.mark.parametrize("header", [b"{" * 100_000, b'{"a":' * 50_000, b'{"a":\xff}', b"{}", b"{"])
def test_headers_that_are_no_json_objects_of_tensors_are_refused(
    tmp_path: Path, header: bytes
) -> None:
    refused(safetensors_file(tmp_path / "a.safetensors", header))


def test_a_header_that_says_it_is_longer_than_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", 1000) + b"{}")
    assert "is truncated" in refused(tmp_path / "a.safetensors")
