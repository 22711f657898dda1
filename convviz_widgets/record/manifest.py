"""The manifest: what a recorder wrote, line by line, each line with its own checksum.

A line is a JSON object. Its last member, "check", holds the first 16 hexadecimal digits of the
sha256 of the bytes before it, so that a changed bit shows; "line" counts up, so that a missing line
does. A checkpoint is announced ("begin") before it is written, and listed ("written") with its
sha256 after: what was begun and never written is what a killed recorder left behind.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE_NAME = "manifest.jsonl"
FOLDER = "checkpoints"
"""Where in a run's directory the manifest and the checkpoints are."""

_CHECK = b', "check": "'
_LONGEST = 4096
_NAME = re.compile(r"step-[0-9]{8,15}\.safetensors")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def checkpoint_name(step: int) -> str:
    """Return the file name of a step's checkpoint.

    >>> checkpoint_name(100)
    'step-00000100.safetensors'
    """
    return f"step-{step:08d}.safetensors"


@dataclass(frozen=True)
class Written:
    """A checkpoint that is complete, as the manifest has it."""

    name: str
    step: int
    sha256: str


class Manifest:
    """What the lines say, taken in one after another."""

    def __init__(self) -> None:
        self.written: dict[str, Written] = {}
        """File name to checkpoint, for those that should be there."""
        self.left: set[str] = set()
        """Files that may be there but should not: begun and not written, or removed."""
        self.problems: list[str] = []
        """One line each."""
        self.count = 0
        """Lines so far, damaged and missing ones included."""

    def add(self, line: bytes) -> None:
        """Take in a line, without its newline; a damaged one becomes a problem."""
        try:
            fields = _checked(line)
            number = fields["line"]
            if number > self.count:
                missing = number - self.count
                self.problems.append(f"{missing} lines are missing before line {number + 1}")
            self.count = max(number, self.count) + 1
            self._apply(fields)
        except (ValueError, KeyError, TypeError, RecursionError):
            self.count += 1
            self.problems.append(f"line {self.count} is damaged")

    def _apply(self, fields: Mapping[str, Any]) -> None:
        name = fields["file"]
        if not _NAME.fullmatch(name):
            raise ValueError(name)
        what = fields["what"]
        if what == "written":
            if not _DIGEST.fullmatch(fields["sha256"]):
                raise ValueError(fields["sha256"])
            self.written[name] = Written(name, int(fields["step"]), fields["sha256"])
            self.left.discard(name)
        elif what in ("begin", "removed"):
            self.written.pop(name, None)
            self.left.add(name)
        else:
            raise ValueError(what)


def manifest_line(fields: Mapping[str, object]) -> bytes:
    """Return a line of the manifest with its checksum and newline."""
    body = json.dumps(dict(fields)).encode()[:-1]
    return body + _CHECK + _digest(body) + b'"}\n'


def _checked(line: bytes) -> dict[str, Any]:
    """Return a line's members; raise ValueError unless it is what was written."""
    body, _, end = line.rpartition(_CHECK)
    if len(line) > _LONGEST or end != _digest(body) + b'"}':
        raise ValueError("damaged")
    fields: dict[str, Any] = json.loads(body + b"}")
    return fields


def _digest(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:16].encode()


def has_manifest(directory: Path) -> bool:
    """Tell whether a directory of checkpoints has a manifest."""
    return (directory / FILE_NAME).is_file()
