"""How much a checkpoint file may ask for before it is refused."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReadLimits:
    """Upper bounds that hold before anything of that size is read or made.

    Parameters
    ----------
    file_bytes
        Size of the file; of all its tensors together too, counted by their shapes.
    header_bytes
        Header of a safetensors file. One of 93 MB was seen to cost 1.3 GB.
    pickle_bytes
        Each pickle of a PyTorch file, tensors' values apart.
    tensors
        Tensors, or storages, in one file.
    """

    file_bytes: int = 8 * 2**30
    header_bytes: int = 4 * 2**20
    pickle_bytes: int = 16 * 2**20
    tensors: int = 100_000
