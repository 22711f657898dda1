import builtins
import os
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from convviz_widgets.checkpoints import read_checkpoint
from convviz_widgets.errors import CheckpointError

HUGE = 10**11


class Call:
    """Pickles as a call, and as setting the state of what the call returns."""

    def __init__(self, function: Callable, *arguments: object, state: object = None) -> None:
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> tuple:
        return self.reduced


class StorageId:
    """Pickles as a reference to tensor data."""

    def __init__(self, elements: int, key: object = "0", kind: str = "torch\nFloatStorage") -> None:
        self.elements, self.key, self.kind = elements, key, kind


def pickled(content: object) -> bytes:
    """Pickle by hand what pickle itself refuses to write: references to storages."""
    if isinstance(content, dict):
        items = b"".join(pickled(key) + pickled(value) + b"s" for key, value in content.items())
        return b"}" + items
    if isinstance(content, tuple):
        return b"(" + b"".join(map(pickled, content)) + b"t"
    if isinstance(content, StorageId):
        kind = b"c" + content.kind.encode() + b"\n"
        parts = map(pickled, (content.key, "cpu", content.elements))
        return b"(" + pickled("storage") + kind + b"".join(parts) + b"tQ"
    if isinstance(content, Call) and len(content.reduced) == 2:
        function, arguments = content.reduced
        name = f"c{function.__module__}\n{function.__qualname__}\n".encode()
        return name + pickled(arguments) + b"R"
    return pickle.dumps(content, protocol=2)[2:-1]


def rebuilt(size: tuple, stride: tuple, *, stored: int = 4, offset: int = 0) -> bytes:
    """A pickle of one tensor on a storage of ``stored`` floats."""
    arguments = (StorageId(stored), offset, size, stride, False, OrderedDict())
    tensor = Call(torch._utils._rebuild_tensor_v2, *arguments)
    return b"\x80\x02" + pickled({"a": tensor}) + b"."


def refused(path: Path) -> str:
    """The one line with which a file is refused."""
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    line = str(caught.value)
    assert line.startswith(path.name)
    assert len(line.splitlines()) == 1
    assert caught.value.__cause__ is not None
    return line


def test_a_tensor_written_by_hand_is_read(tmp_path: Path, write_zip: Callable) -> None:
    data = {"data/0": struct.pack("<4f", 1, 2, 3, 4)}
    path = write_zip(tmp_path / "a.pt", rebuilt((2, 2), (2, 1)), data)
    assert read_checkpoint(path)["a"].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("layout", ["write_zip", "write_legacy"])
@pytest.mark.parametrize("run", [os.mkdir, builtins.exec, builtins.eval, torch.hub.load])
def test_code_in_a_file_is_not_run(
    tmp_path: Path, request: pytest.FixtureRequest, layout: str, run: Callable
) -> None:
    marker = tmp_path / "it ran"
    argument = str(marker) if run is os.mkdir else f"__import__('os').mkdir({str(marker)!r})"
    content = {"a": torch.Size([1]), "b": Call(run, argument)}
    path = request.getfixturevalue(layout)(tmp_path / "a.pt", content)
    assert "needs the Python object" in refused(path)
    assert not marker.exists()


def test_a_plain_pickle_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(pickle.dumps(Call(os.mkdir, str(tmp_path / "it ran"))))
    assert "no safetensors or PyTorch file" in refused(path)
    assert not (tmp_path / "it ran").exists()


def test_a_whole_model_is_refused_with_what_to_save_instead(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(1, 1), tmp_path / "a.pt")
    line = refused(tmp_path / "a.pt")
    assert "'torch.nn.modules.linear.Linear'" in line
    assert "torch.save(model.state_dict(), path) writes such a file" in line


@pytest.mark.parametrize(
    "content",
    [
        Call(bytearray, HUGE),
        Call(torch.Tensor, HUGE),
        Call(torch._tensor._rebuild_from_type_v2, bytearray, torch.Tensor, (HUGE,), {}),
        Call(torch._tensor._rebuild_from_type_v2, torch.Tensor, torch.Tensor, (HUGE,), {}),
    ],
)
def test_calls_that_only_take_memory_are_refused(
    tmp_path: Path, write_zip: Callable, content: Call
) -> None:
    line = refused(write_zip(tmp_path / "a.pt", content))
    assert "needs the Python object 'builtins.bytearray'" in line or "calls torch.Tensor" in line


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [((HUGE,), (1,), 0), ((5,), (1,), 0), ((2, 2), (3, 1), 0), ((4,), (1,), 1), ((1,), (1,), -1)],
)
def test_a_tensor_beyond_its_storage_is_refused(
    tmp_path: Path, write_zip: Callable, size: tuple, stride: tuple, offset: int
) -> None:
    text = rebuilt(size, stride, offset=offset)
    line = refused(write_zip(tmp_path / "a.pt", text, {"data/0": bytes(16)}))
    assert "larger than the data stored for it" in line or "odd shape" in line


def test_a_tensor_that_expands_beyond_all_memory_is_refused(
    tmp_path: Path, write_zip: Callable
) -> None:
    path = write_zip(tmp_path / "a.pt", rebuilt((HUGE,), (0,)), {"data/0": bytes(16)})
    assert "expand to 400,000,000,000 bytes" in refused(path)


def test_a_storage_larger_than_its_record_is_refused(tmp_path: Path, write_zip: Callable) -> None:
    path = write_zip(tmp_path / "a.pt", rebuilt((4,), (1,), stored=HUGE), {"data/0": bytes(16)})
    assert "storage '0' should have 400,000,000,000 bytes" in refused(path)


def test_a_legacy_storage_larger_than_the_file_is_refused(
    tmp_path: Path, write_legacy: Callable
) -> None:
    text = rebuilt((4,), (1,), stored=HUGE).replace(b"tQ", b"NtQ")
    path = write_legacy(tmp_path / "a.pt", text, keys=("0",), data=bytes(24))
    assert "truncated" in refused(path)


def test_a_legacy_storage_without_data_is_refused(tmp_path: Path, write_legacy: Callable) -> None:
    text = rebuilt((4,), (1,)).replace(b"tQ", b"NtQ")
    assert "does not list its storages" in refused(write_legacy(tmp_path / "a.pt", text))


def test_a_key_that_would_overflow_the_stack_is_refused(
    tmp_path: Path, write_zip: Callable
) -> None:
    deep = b"\x80\x02})" + 20_000 * b"\x85" + b"Ns."  # {((((...)))): None}
    assert "neither text nor numbers" in refused(write_zip(tmp_path / "a.pt", deep))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (pickle.dumps({"a": 1}, protocol=4), "pickle protocol 4"),
        (b"\x80\x02(cos\nsystem\nX\x01\x00\x00\x00xo.", "needs the Python object 'os.system'"),
        (b"\x80\x02(X\x01\x00\x00\x00xios\nsystem\n.", "instruction INST"),
        (b"\x80\x02\x82\x01.", "instruction EXT1"),
        (b"\x80\x02X\xff\xff\xff\xffx.", "damaged"),
        (b"\x80\x02}r\xff\xff\xff\xff", "damaged"),
        (b"\x80\x02ctorch\nTensor\n)\x81}b.", "calls torch.Tensor"),
        (b"\x80\x02" + 1000 * b"(", "damaged"),
        (b"", "damaged"),
    ],
)
def test_odd_instructions_are_refused(
    tmp_path: Path, write_zip: Callable, text: bytes, reason: str
) -> None:
    assert reason in refused(write_zip(tmp_path / "a.pt", text))


@pytest.mark.parametrize(
    "content",
    [
        Call(OrderedDict, state={"items": torch.Size}),
        Call(torch._utils._rebuild_parameter_with_state, None, False, None, {"detach": torch.Size}),
        Call(
            torch._tensor._rebuild_from_type_v2, torch.Size, torch.Size, (), {"numel": torch.Size}
        ),
    ],
)
def test_attributes_that_stand_in_for_methods_are_refused(
    tmp_path: Path, write_zip: Callable, content: Call
) -> None:
    assert "attributes which are methods" in refused(write_zip(tmp_path / "a.pt", content))
