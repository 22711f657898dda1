"""Checkpoint files that were changed at random: they load, or are refused in one line."""

import random
import sys

import pytest
import torch

from convviz_widgets.checkpoints import read_checkpoint, write_checkpoint
from convviz_widgets.errors import CheckpointError

from .mutation import mutated
from .training import build_net

MUTATIONS = 2000
RUNS_CODE = {"exec", "compile", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.remove"}
RUNS_CODE |= {"subprocess.Popen", "socket.connect", "ctypes.dlopen", "os.rename", "os.mkdir"}

FORMATS = {
    "safetensors": write_checkpoint,
    "zip": lambda path, state_dict: torch.save(state_dict, path),
    "legacy": lambda path, state_dict: torch.save(
        state_dict, path, _use_new_zipfile_serialization=False
    ),
}


class Auditor:
    """Notes what the interpreter is asked to do while it is listening; it cannot be taken off."""

    def __init__(self):
        self.listening = False
        self.heard = []
        sys.addaudithook(self)

    def __call__(self, event, arguments):
        if self.listening and event in RUNS_CODE:
            self.heard.append((event, str(arguments)[:80]))


@pytest.fixture(scope="module")
def auditor():
    auditor = Auditor()
    yield auditor
    auditor.listening = False


@pytest.mark.parametrize("kind", FORMATS)
def test_changed_files_load_or_are_refused_and_run_nothing(tmp_path, kind, auditor):
    path = tmp_path / "a.safetensors"
    FORMATS[kind](path, build_net().state_dict())
    read_checkpoint(path)  # whatever is imported on the way is imported now
    whole = path.read_bytes()
    rng = random.Random(0)
    refusals = []
    for _ in range(MUTATIONS):
        path.write_bytes(mutated(whole, rng))
        auditor.listening = True
        try:
            read_checkpoint(path)
        except CheckpointError as error:
            refusals.append(str(error))
        auditor.listening = False
    assert auditor.heard == []
    assert len(refusals) > MUTATIONS / 3
    assert all(len(line.splitlines()) == 1 for line in refusals)


def test_the_auditor_hears_code_that_is_run(auditor):
    auditor.listening = True
    exec("1")
    auditor.listening = False
    assert [event for event, _ in auditor.heard] == ["compile", "exec"]
    auditor.heard.clear()
