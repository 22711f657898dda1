"""File names of checkpoints: which are looked for, which step they carry, which are temporary."""

from __future__ import annotations

import re

SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt")

_NAMED_STEP = re.compile(r"(?i)step[^0-9a-z]{0,2}([0-9]+)")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def step_of(name: str) -> int | None:
    """Return the training step that a file name carries, or None.

    The last whole number of the name counts, the suffix apart. A number that stands behind the word
    "step" goes before, and decimals are passed over while there is a whole number: both occur behind
    the step in names with a loss or a version in them.

    >>> [step_of(name) for name in ("step-00000100.pt", "epoch=3-step=1200-v1.ckpt", "best.pt")]
    [100, 1200, None]
    >>> step_of("07-val_loss=0.25.ckpt")
    7
    """
    stem = _without_suffix(name)
    named = _NAMED_STEP.findall(stem)
    if named:
        return int(named[-1])
    numbers = _NUMBER.findall(stem)
    whole = [number for number in numbers if "." not in number]
    if whole:
        return int(whole[-1])
    return int(numbers[-1].rpartition(".")[2]) if numbers else None


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """Return a sort key under which "part-9" comes before "part-10".

    >>> sorted(["part-10", "part-9", "final"], key=natural)
    ['final', 'part-9', 'part-10']
    """
    parts = re.split(r"([0-9]+)", name)
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in parts)


def is_temporary(name: str) -> bool:
    """Tell whether a name is one that writers give to files which are not complete yet."""
    base = name.rpartition("/")[2]
    return base.startswith((".", "~")) or base.endswith("~") or ".tmp" in base or ".part" in base


def _without_suffix(name: str) -> str:
    suffix = next((suffix for suffix in SUFFIXES if name.lower().endswith(suffix)), "")
    return name[: len(name) - len(suffix)]
