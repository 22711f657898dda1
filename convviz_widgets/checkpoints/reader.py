"""Read a checkpoint file that a stranger may have written."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from convviz_widgets.checkpoints.state_dicts import find_state_dict
from convviz_widgets.errors import CheckpointError


def read_checkpoint(
    path: str | os.PathLike[str], *, state_dict_key: str | None = None
) -> dict[str, Tensor]:
    """Return the tensors of a safetensors or PyTorch file, by name."""
    path = Path(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise CheckpointError(f"{path.name}: not a regular file")
        data = path.read_bytes()
        if path.suffix == ".safetensors":
            content = safetensors.torch.load(data)
        else:
            content = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    except CheckpointError:
        raise
    except Exception as error:
        raise CheckpointError(f"{path.name}: cannot be read as a checkpoint") from error
    return find_state_dict(content, state_dict_key)
