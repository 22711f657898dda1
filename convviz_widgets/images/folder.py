"""Folders of pictures: which files are pictures, what class each is of, what was left out."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convviz_widgets.errors import InputError, number_of
from convviz_widgets.images.pixels import (
    ENDINGS,
    opened,
    orientation_of,
    pixels_of,
    upright_size,
)

PARTS = frozenset(
    ["train", "training", "val", "valid", "validation", "test", "testing", "eval", "dev", "holdout"]
)
"""Names of folders that hold parts of a data set, and are no classes."""


@dataclass(frozen=True)
class Head:
    """What the head of a picture file tells.

    Attributes
    ----------
    size : height and width, upright.
    remarks : what is done to it that is not done to all.
    """

    size: tuple[int, int]
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class PictureFolder:
    """What a folder of pictures holds.

    Attributes
    ----------
    files : the pictures, by class and then in natural order.
    names : path of each below the folder.
    labels : class index of each, None in a folder without classes.
    class_names : names of the folders in it, sorted; None without.
    heads : of each.
    problems : name → one line, for what was left out.
    """

    files: tuple[Path, ...]
    names: tuple[str, ...]
    labels: tuple[int, ...] | None
    class_names: tuple[str, ...] | None
    heads: tuple[Head, ...]
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is done to some of them, and to how many."""
        counts = Counter(remark for head in self.heads for remark in head.remarks)
        return tuple(f"{remark} in {count:,}" for remark, count in counts.items())


def look_into(path: Any) -> PictureFolder:
    """Return what a folder of pictures holds; of each file the head alone is read.

    Raises
    ------
    InputError
        There is no such folder, no picture in it, or its folders are parts of a data set.
    """
    root = _checked_folder(path)
    problems: dict[str, str] = {}
    found = {
        name: head
        for name in _picture_files(root, problems)
        if (head := _head(root / name, name, problems)) is not None
    }
    classes = sorted(folder.name for folder in root.iterdir() if _is_class(folder))
    in_classes = [name for name in found if os.sep in name]
    if not found:
        raise InputError(f"no picture in {str(root)!r}: {_what_else(problems)}")
    if not in_classes:
        names = sorted(found, key=_natural)
        return _listed(root, names, None, None, found, problems)
    parts = [name for name in classes if name.lower() in PARTS]
    if len(parts) == len(classes) or len(parts) > 1:
        raise InputError(
            f"the folders in {str(root)!r} are parts of a data set, no classes: "
            f"{', '.join(parts)}; give one of them: {str(root / parts[0])!r}"
        )
    for name in set(found) - set(in_classes):
        problems[name] = "lies beside the class folders, so it is of no class: left out"
    for empty in set(classes) - {name.split(os.sep)[0] for name in in_classes}:
        problems[empty] = "holds no picture; the class keeps its index"
    names = sorted(in_classes, key=lambda name: (name.split(os.sep)[0], _natural(name)))
    labels = tuple(classes.index(name.split(os.sep)[0]) for name in names)
    return _listed(root, names, labels, tuple(classes), found, problems)


def refuse_many_sizes(sizes: Counter[tuple[int, int]]) -> None:
    """Raise `InputError` for pictures of more than one size, and offer ``size=``."""
    if len(sizes) > 1:
        most = ", ".join(f"{h}×{w} in {n:,}" for (h, w), n in sizes.most_common(3))
        more = f" and {len(sizes) - 3:,} more" if len(sizes) > 3 else ""
        side = min(min(size) for size in sizes)
        raise InputError(
            f"the pictures are of {len(sizes):,} sizes ({most}{more}), a model takes one: give "
            f"size=, such as size={side}: the shorter side is scaled to it, the middle cut out"
        )


def head_of(path: Path, called: str) -> Head:
    """Return what the head of a picture file tells; raise `InputError` if it is none, or cut off.

    Whether a file ends as it should is seen at its end; one that does not is decoded, to be sure.
    """
    with opened(path, called) as picture:
        remarks = ["turned upright"] if orientation_of(picture) > 1 else []
        if picture.has_transparency_data:
            remarks.append("on white where transparent")
        if getattr(picture, "is_animated", False):
            remarks.append("first frame alone")
        if picture.mode == "CMYK":
            remarks.append("CMYK made RGB")
        if picture.mode.startswith("I"):
            remarks.append("16 bits divided by 65,535")
        size = upright_size(picture)
        is_whole = _ends_well(path, picture.format or "")
    if not is_whole:
        pixels_of(path, called)
    return Head(size, tuple(remarks))


def _checked_folder(path: Any) -> Path:
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"path: expected that of a folder, got {type(path).__name__}")
    root = Path(path).expanduser()
    if root.is_file():
        raise InputError(f"{str(root)!r} is a file; ImageSet.from_images([path]) reads pictures")
    if not root.is_dir():
        raise InputError(f"no folder {str(root)!r}")
    return root


def _is_class(folder: Path) -> bool:
    return folder.is_dir() and not folder.name.startswith(".")


def _picture_files(root: Path, problems: dict[str, str]) -> Iterator[str]:
    """Yield the paths, below a folder, of the files that are named as pictures are."""
    seen: set[str] = set()
    for place, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        below = os.path.relpath(place, root)
        for name in [*folders, *files]:
            if name.startswith("."):
                problems[os.path.normpath(os.path.join(below, name))] = "hidden: left out"
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = os.path.normpath(os.path.join(below, name))
            if path in problems:
                continue
            if os.path.splitext(name)[1].lower() in ENDINGS:
                yield path
            else:
                problems[path] = "not named as a picture: left out"


def _head(path: Path, name: str, problems: dict[str, str]) -> Head | None:
    try:
        return head_of(path, name)
    except InputError as error:
        problems[name] = _left_out(name, error)
        return None


def _listed(
    root: Path,
    names: list[str],
    labels: tuple[int, ...] | None,
    class_names: tuple[str, ...] | None,
    found: dict[str, Head],
    problems: dict[str, str],
) -> PictureFolder:
    unreadable = _unreadable_ahead(root, names, problems)
    if unreadable == len(names):
        raise InputError(f"no picture in {str(root)!r}: {_what_else(problems)}")
    names, labels = names[unreadable:], None if labels is None else labels[unreadable:]
    files, heads = tuple(root / name for name in names), tuple(found[name] for name in names)
    shown = None if class_names is None else tuple(map(in_text, class_names))
    told = {in_text(name): line for name, line in problems.items()}
    return PictureFolder(files, tuple(map(in_text, names)), labels, shown, heads, told)


def _unreadable_ahead(root: Path, names: list[str], problems: dict[str, str]) -> int:
    """Return how many pictures before the first sound one have a good head and nothing behind.

    A set begins with a picture that can be read; whoever asks for another that cannot is told.
    """
    for count, name in enumerate(names):
        try:
            pixels_of(root / name, name)
        except InputError as error:
            problems[name] = _left_out(name, error)
        else:
            return count
    return len(names)


def _left_out(name: str, error: InputError) -> str:
    return f"{str(error).removeprefix(name).strip()}: left out"


def _what_else(problems: dict[str, str]) -> str:
    if not problems:
        return "it is empty"
    name, line = next(iter(problems.items()))
    return f"{number_of(len(problems), 'file')} left out, such as {name}: {line}"


def in_text(name: str) -> str:
    """Return the name of a file as text that can be sent and shown in one line.

    The bytes of a name need not be UTF-8, and may hold line breaks; what is neither becomes U+FFFD.
    """
    known = os.fsencode(name).decode("utf-8", "replace")
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", "\ufffd", known)


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts numbers in names by what they count: 2 before 10."""
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _ends_well(path: Path, kind: str) -> bool:
    """Tell whether a file shows, without being decoded, that all of it is there."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if kind == "WEBP":
            return int.from_bytes(file.read(8)[4:], "little") + 8 <= size
        file.seek(max(0, size - 64))
        end = file.read()
    return (b"IEND" if kind == "PNG" else b"\xff\xd9") in end and kind in ("PNG", "JPEG", "MPO")
