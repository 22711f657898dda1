"""File names of checkpoints: which are looked for, which step they carry, which are temporary."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

SUFFIXES = (".safetensors", ".pt", ".pth", ".ckpt")
_UNITS = {"k": 1_000, "K": 1_000, "M": 1_000_000}
_UNIT = r"(?:[kKM](?![0-9A-Za-z]))"
_NAMED_STEP = re.compile(rf"(?i:step[^0-9a-z]{{0,2}})([0-9]+(?:\.[0-9]+(?={_UNIT}))?{_UNIT}?)")
_NUMBER = re.compile(rf"[0-9]+(?:\.[0-9]+)?{_UNIT}?")
_NO_STEP = 2**53  # a hash or a date: a browser cannot even hold it as a number
_DIGITS = re.compile(r"([0-9]+)")


@lru_cache(maxsize=2**15)  # a live run lists the same thousands of names every second
def step_of(name: str) -> int | None:
    """Return the training step that a file name carries, or None.

    The last whole number of the name counts, the suffix apart. A number behind the word "step"
    goes before, and decimals are passed over where there is a whole number: what stands behind the
    step in such names is a loss or a version. A "k" or an "M" that ends a number, and the word,
    makes thousands or millions of it, so that "model_1k" follows "model_900".

    >>> [step_of(name) for name in ("step-00000100.pt", "epoch=3-step=1200-v1.ckpt", "best.pt")]
    [100, 1200, None]
    >>> [step_of(name) for name in ("07-val_loss=0.25.ckpt", "model_10k.pt", "iter-1.5M.pth")]
    [7, 10000, 1500000]
    """
    stem = _without_suffix(name)
    numbers = _NUMBER.findall(stem)
    whole = [number for number in numbers if "." not in number or number[-1] in _UNITS]
    steps = _NAMED_STEP.findall(stem) or whole or [n.partition(".")[2] for n in numbers]
    step = _count(steps[-1]) if steps else None
    return step if step is None or step < _NO_STEP else None


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


def is_temporary(name: str) -> bool:
    """Tell whether a name is one that writers give to files which are not complete yet."""
    base = name.rpartition("/")[2]
    return base.startswith((".", "~")) or base.endswith(("~", ".tmp", ".part")) or ".tmp." in base


def _count(number: str) -> int:
    unit = _UNITS.get(number[-1], 1)
    return int(Decimal(number.rstrip("kKM")) * unit)


def _without_suffix(name: str) -> str:
    return name.rpartition(".")[0] if has_suffix(name) else name
