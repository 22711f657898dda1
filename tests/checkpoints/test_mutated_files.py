import random
from collections.abc import Callable
from pathlib import Path

import torch

from convviz_widgets.checkpoints import read_checkpoint
from convviz_widgets.errors import CheckpointError

MUTATIONS = 170  # of each format


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Return data with a few bits flipped, bytes put in, taken out or copied, or the end cut off.

    Half of the places are among the first or last 600 bytes, where the structure is.
    """
    changed = bytearray(data)
    kind = rng.randrange(5)
    for _ in range(rng.choice((1, 1, 3, 12))):
        size = len(changed)
        near = min(size, 600)
        where = rng.choice(
            (rng.randrange(size), rng.randrange(near), size - 1 - rng.randrange(near))
        )
        if kind == 0:
            changed[where] ^= 1 << rng.randrange(8)
        elif kind == 1:
            changed[where] = rng.choice((0, 46, 127, 128, 255))
        elif kind == 2:
            changed[where:where] = rng.randbytes(rng.randrange(1, 9))
        elif kind == 3:
            start = rng.randrange(size)
            changed[where : where + 20] = changed[start : start + 20]
        else:
            return bytes(changed[:where])
    return bytes(changed)


def refusal(path: Path) -> CheckpointError | None:
    try:
        read_checkpoint(path)
    except CheckpointError as error:
        return error
    return None


def test_mutated_files_load_or_are_refused_in_one_line(tmp_path: Path, save: Callable) -> None:
    rng = random.Random(0)
    path = tmp_path / "a.bin"
    save(path, torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2)).state_dict())
    whole = path.read_bytes()
    refusals = []
    for _ in range(MUTATIONS):
        path.write_bytes(mutated(whole, rng))
        refusals.append(refusal(path))
    refused = [error for error in refusals if error]
    assert len(refused) > MUTATIONS / 3
    assert all(len(str(error).splitlines()) == 1 and error.__cause__ for error in refused)
