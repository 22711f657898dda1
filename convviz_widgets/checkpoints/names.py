"""File names of checkpoints: which are looked for, which hold something else, natural order."""

from __future__ import annotations

import re
from functools import lru_cache

SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt", ".pth.tar", ".pt.tar", ".ckpt.tar")
"""Endings of checkpoints."""

DOUBTFUL_SUFFIXES = (".tar", ".bin", ".pkl", ".chkpt")
"""Endings that other files have too: their first bytes decide."""

_OTHER_SUFFIXES = (".h5", ".hdf5", ".keras", ".npz", ".zip", ".index.json")
_DIGITS = re.compile(r"([0-9]+)")
_STATES = "optimizer|optimizers|optim|lr_scheduler|scheduler|sched|scaler|grad_scaler|rng|rng_state"
_BESIDE = re.compile(
    rf"""(?ix) (?: ^|.*[-_.] ) (?: {_STATES} | random_states? | optim_states? )
        (?: [-_.]? (?:states?|dict|state_dict) )? (?: [-_.]?[0-9]+ )?
    | (?: {_STATES} | random_states | optim_states ) [-_.] .*[0-9]+
    | training_args | dl_state_dict | sampler(?:_[0-9]+)? | custom_checkpoint_[0-9]+
    """
)


@lru_cache(maxsize=2**15)  # a live run lists the same thousands of names every second
def natural(name: str) -> tuple[tuple[int, str], ...]:
    """Return a sort key under which "part-9" comes before "part-10".

    >>> sorted(["part-10", "part-9", "final"], key=natural)
    ['final', 'part-9', 'part-10']
    """
    parts = _DIGITS.split(name)
    return tuple((int(part), "") if i % 2 else (-1, part) for i, part in enumerate(parts))


def has_suffix(name: str) -> bool:
    """Tell whether a name ends like a checkpoint's."""
    return name.lower().endswith(SUFFIXES)


def has_doubtful_suffix(name: str) -> bool:
    """Tell whether a name ends like a checkpoint's and like other files', too."""
    return name.lower().endswith(DOUBTFUL_SUFFIXES) and not has_suffix(name)


def without_suffix(name: str) -> str:
    """Return a name without its ending, where that is one of a file of weights.

    >>> without_suffix("checkpoint-3.pth.tar"), without_suffix("model_v1.2")
    ('checkpoint-3', 'model_v1.2')
    """
    endings = (*SUFFIXES, *DOUBTFUL_SUFFIXES, *_OTHER_SUFFIXES)
    found = [ending for ending in endings if name.lower().endswith(ending)]
    stem = name[: -len(max(found, key=len))] if found else name
    return without_suffix(stem) if name.lower().endswith(".index.json") else stem


def is_temporary(name: str) -> bool:
    """Tell whether a name is one that writers give to files which are not complete yet."""
    base = name.rpartition("/")[2]
    return base.startswith((".", "~")) or base.endswith(("~", ".tmp", ".part")) or ".tmp." in base


@lru_cache(maxsize=2**15)
def is_beside_weights(name: str) -> bool:
    """Tell whether a name is one of what trainers save beside weights: "optimizer.pt".

    >>> [is_beside_weights(name) for name in ("rng_state_0.pth", "a_optim.pt", "optimal.pt")]
    [True, True, False]
    """
    return _BESIDE.fullmatch(without_suffix(name.rpartition("/")[2])) is not None
