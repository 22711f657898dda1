"""Decides once what a model puts out: class scores, probabilities, masks, pictures, or other.

Everything that reads outputs asks the `OutputKind` that `output_kind` returns.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from convviz_widgets.errors import InputError, unknown
from convviz_widgets.images import ImageSet
from convviz_widgets.probe.masks import (
    is_binary_mask,
    is_black_and_white,
    is_mask,
    is_one_hot,
)
from convviz_widgets.probe.output_choice import Choice, chosen_part, guessed_part
from convviz_widgets.probe.output_hints import OutputHints
from convviz_widgets.probe.output_kinds import (
    BINARY,
    KINDS,
    LOGITS,
    MULTILABEL,
    NUMBER,
    OTHER,
    PICTURE,
    PROBABILITIES,
    SEGMENTATION,
    OutputKind,
    unreadable,
)
from convviz_widgets.probe.output_parts import Place, named, part_at
from convviz_widgets.probe.probe import Probe
from convviz_widgets.probe.replica import middle_of, other_weights

SUM_TOLERANCE = 0.01
"""How far from 1 a row of probabilities may sum up, for the rounding of half precision."""

COLOURS = (1, 3)
"""Channels of a picture."""

LEAST_FLAT = 64
"""Values from which a row as long as the image has pixels is taken for a picture."""


def output_kind(
    probe: Probe, example: Tensor, images: ImageSet | None = None, choice: Choice = None
) -> OutputKind:
    """Return what the model in a probe puts out.

    What the values alone cannot tell is told by the labels and targets of the images. Whether they
    are probabilities is looked at on several images and with other weights: what holds for all of
    them is no chance.

    Parameters
    ----------
    example : (1, C, H, W), an image as the model takes it.
    images : what the model is shown; None: the example alone.
    choice : as ``ModelState(output=)``.

    Raises
    ------
    InputError
        The choice does not fit what the model puts out.
    """
    hints = OutputHints(example, images)
    result = probe.take_example_output(example)
    if choice is None:
        part = guessed_part(result, probe, example, hints)
    else:
        part = chosen_part(result, choice, KINDS)
    if part.why:
        return OutputKind(OTHER, why=part.why)
    seen = _Seen(probe, hints, part.place, part.choose)
    try:
        first = seen.first(result)
    except InputError as error:
        if choice is not None:
            raise
        return OutputKind(OTHER, why=str(error))
    kind = _Judge(first, hints, seen, part.word).kind()
    if kind.name == OTHER and choice is not None:
        raise InputError(f"output={choice!r}: {kind.why}")
    note = "; ".join(filter(None, (part.note, kind.note)))
    return replace(kind, place=part.place, choose=part.choose, note=note)


NUMBERS = (
    "the targets are rows of numbers, neither 0 and 1 nor shares that sum to 1, so the model puts "
    "out no class scores: give loss= for gradients; output='logits' if it does"
)

OVERLAPPING = (
    "the targets hold 0 and 1 for several classes at a position: masks that overlap are not "
    "compared; give loss= for gradients, and output= a function that picks one class"
)

OTHER_WEIGHTS = (0.1, -0.1, 3.0, -3.0)
"""Sizes of the other weights that are tried: of both signs, so that no logit stays in [0, 1]."""


class _Seen:
    """The values that come out for several images, and of other weights."""

    def __init__(
        self, probe: Probe, hints: OutputHints, place: Place, choose: Callable[[Any], Any] | None
    ) -> None:
        self._probe, self._hints, self._place, self._choose = probe, hints, place, choose
        self._more: list[Tensor] | None = None
        self._example: Tensor | None = None

    def first(self, result: Any) -> Tensor:
        """Return the values of the example as the model returns them."""
        self._example = self._picked(result)
        return self._example

    def always(self, holds: Callable[[Tensor], Tensor]) -> bool:
        """Tell whether something holds of every row (M, K) that comes out, NaN left aside.

        Parameters
        ----------
        holds : takes rows (M, K), returns bool (M,).
        """
        assert self._example is not None
        counted = 0
        for found in (self._example, *self._others(self._example, holds)):
            rows = _rows(found)
            finite = rows[torch.isfinite(rows).all(1)]
            if not bool(holds(finite).all()):
                return False
            counted += len(finite)
        return counted > 0

    def _others(self, example: Tensor, holds: Callable[[Tensor], Tensor]) -> list[Tensor]:
        """Return more values, unless the first ones say already that it does not hold."""
        rows = _rows(example)
        if not bool(holds(rows[torch.isfinite(rows).all(1)]).all()):
            return []
        if self._more is None:
            asked: list[tuple[Tensor, float | None]] = [(each, None) for each in self._hints.inputs]
            enough = self._enough_of_the_example()
            asked += [(enough, size) for size in OTHER_WEIGHTS]
            self._more = []
            for image, size in asked:
                try:
                    result = self._probe.call(partial(_with_weights, size), image)
                    self._more.append(self._picked(result))
                except Exception:  # other weights, or images, may break a model
                    continue
        return self._more

    def _enough_of_the_example(self) -> Tensor:
        """Return the middle of a large example where the model takes that, else the example."""
        middle = middle_of(self._hints.example)
        if middle is not None:
            with suppress(Exception):  # whatever a model of one size raises
                self._picked(self._probe.call(partial(_with_weights, None), middle))
                return middle
        return self._hints.example

    def _picked(self, result: Any) -> Tensor:
        if self._choose is None:
            found = part_at(result, self._place)
        else:
            try:
                found = self._choose(result)
            except Exception as error:
                raise InputError(
                    f"output= raised on {named(result)}: {type(error).__name__}: {error}"
                ) from error
        if not isinstance(found, Tensor):
            raise InputError(unreadable(found).why)
        return found.detach().to("cpu", torch.float64 if found.is_floating_point() else found.dtype)


def _with_weights(size: float | None, module: nn.Module, images: Tensor) -> Any:
    """Return what a model puts out with other weights of this size, or its own."""
    with nullcontext() if size is None else other_weights(module, size):
        return module(images)


def _rows(values: Tensor) -> Tensor:
    """Return the values of each position as a row (M, K); one value an image is a row of one."""
    values = values.double()
    if values.ndim < 2:
        return values.reshape(1, -1)
    return values.movedim(1, -1).reshape(-1, values.shape[1])


def _sums_to_one(rows: Tensor) -> Tensor:
    return (rows >= 0).all(1) & ((rows.sum(1) - 1).abs() < SUM_TOLERANCE)


def _sums_to_hundred(rows: Tensor) -> Tensor:
    return _sums_to_one(rows / 100)


def _is_within(rows: Tensor) -> Tensor:
    return ((rows >= 0) & (rows <= 1)).all(1)


def _has_length_one(rows: Tensor) -> Tensor:
    return (rows.norm(dim=1) - 1).abs() < SUM_TOLERANCE


def _has_several_labels(rows: Tensor) -> bool:
    return _hold_0_and_1([rows]) and not is_one_hot(rows)


def _hold_0_and_1(targets: list[Tensor]) -> bool:
    """Tell whether targets hold 0 and 1 alone."""
    return all(bool(((each == 0) | (each == 1)).all()) for each in targets)


class _Judge:
    """Judges the values (1, ...) of one image.

    Parameters
    ----------
    word : the user's, one of `KINDS`; None: none.
    """

    def __init__(self, values: Tensor, hints: OutputHints, seen: _Seen, word: str | None) -> None:
        self._values, self._hints, self._seen, self._word = values, hints, seen, word

    def kind(self) -> OutputKind:
        """Return what they are."""
        values, shape = self._values, tuple(self._values.shape)
        if not values.is_floating_point():
            what = "complex" if values.is_complex() else "whole"
            return unreadable(values, f"it is of {what} numbers: put out the scores behind them")
        is_map = values.ndim == 4 or (values.ndim == 3 and self._is_flat_map())
        if values.ndim < 3 or (shape[2:] == (1, 1) and self._hints.shape[1:] != (1, 1)):
            return self._of_row(values.numel())
        if not is_map or shape[0] != 1:
            return unreadable(values)
        return self._of_map(shape[1:] if values.ndim == 4 else (1, *shape[1:]))

    def _is_flat_map(self) -> bool:
        """Tell whether (1, H, W) is known to be a map of one value a position."""
        target = self._hints.target
        is_target = target is not None and target.shape[-2:] == self._values.shape[1:]
        return self._word in (SEGMENTATION, PICTURE) or is_target

    # -- one row an image ---------------------------------------------------------------------

    def _of_row(self, count: int) -> OutputKind:
        if self._word == SEGMENTATION:
            return unreadable(self._values, "segmentation is a map of scores (N, K, H, W)")
        if self._word == PICTURE or (self._word is None and self._is_flat_picture(count)):
            return self._flat_picture(count)
        return self._of_one() if count == 1 else self._of_many(count)

    def _is_as_long_as_the_image(self, count: int) -> bool:
        return count == prod(self._hints.shape) and count >= LEAST_FLAT

    def _is_flat_picture(self, count: int) -> bool:
        hints = self._hints
        return self._is_as_long_as_the_image(count) and not hints.has_label and not hints.names

    def _flat_picture(self, count: int) -> OutputKind:
        if count != prod(self._hints.shape):
            return unreadable(self._values, f"a picture has {prod(self._hints.shape)} values here")
        note = f"{count} values, as many as the image has: taken for a picture"
        guessed = "" if self._word else f"{note}; output='logits' if they are scores"
        return OutputKind(PICTURE, self._hints.shape, note=guessed, is_certain=bool(self._word))

    def _of_one(self) -> OutputKind:
        hints = self._hints
        squashed = self._word != LOGITS and self._seen.always(_is_within)
        binary = OutputKind(BINARY, (1,), 2, squashed)
        if self._word == PROBABILITIES and not squashed:
            return unreadable(self._values, "it is no probability: output='binary' takes a logit")
        if self._word is not None:
            return binary
        if hints.labels - {0, 1} or hints.names > 2:
            return OutputKind(NUMBER, (1,), squashed=squashed)
        if squashed or hints.labels == {0, 1} or hints.names == 2:
            return binary
        return replace(binary, is_certain=False)

    def _of_many(self, count: int) -> OutputKind:
        word = self._word
        if word == LOGITS:
            return OutputKind(LOGITS, (count,), count)
        if word == BINARY and count != 2:
            return unreadable(self._values, "binary is one value an image, or two")
        sums_to_one = self._seen.always(_sums_to_one)
        has_length_one = word is None and not sums_to_one and self._seen.always(_has_length_one)
        within = not sums_to_one and not has_length_one and self._seen.always(_is_within)
        several = OutputKind(MULTILABEL, (count,), count, within)
        rows = self._hints.rows(count) if word is None else None
        if word == MULTILABEL or (rows is not None and _has_several_labels(rows)):
            return replace(several, squashed=within or sums_to_one)
        if rows is not None and not _sums_to_one(rows).all():
            return OutputKind(OTHER, why=NUMBERS)
        if sums_to_one:
            return OutputKind(PROBABILITIES, (count,), count, True)
        if within:
            said = f"{count} values from 0 to 1 that do not sum to 1: taken for independent labels"
            return replace(several, note=f"{said}; output='logits' if they are scores")
        if word == PROBABILITIES:
            return unreadable(self._values, "these are no probabilities: output='logits' takes any")
        if word is None and self._seen.always(_sums_to_hundred):
            return unreadable(self._values, "its rows sum to 100: output=lambda y: y / 100")
        if has_length_one:
            return unreadable(
                self._values,
                "its rows have the length 1, as embeddings: output='logits' if they are scores",
            )
        note = ""
        if word is None and self._is_as_long_as_the_image(count) and not self._has_many_classes():
            note = "as many scores as the image has values: output='picture' if they are one"
        return OutputKind(LOGITS, (count,), count, note=note)

    def _has_many_classes(self) -> bool:
        return self._hints.names >= LEAST_FLAT or max(self._hints.labels, default=0) >= LEAST_FLAT

    # -- a map --------------------------------------------------------------------------------

    def _of_map(self, shape: tuple[int, ...]) -> OutputKind:
        channels, size, word, target = shape[0], shape[1:], self._word, self._hints.target
        if word is None and self._has_channels_last(shape):
            return unreadable(
                self._values, "its channels are last: output=lambda y: y.movedim(-1, 1)"
            )
        if word == MULTILABEL:
            return unreadable(self._values, "several labels are one row (N, K) an image")
        if word == PICTURE:
            return OutputKind(PICTURE, shape)
        if word is not None or self._is_of_masks(shape):
            return self._segmentation(shape)
        if target is not None and target.is_floating_point() and target.ndim == 3:
            same = tuple(target.shape) == shape
            if channels not in COLOURS and same and _hold_0_and_1(self._hints.targets):
                return OutputKind(OTHER, why=OVERLAPPING)
            if same or channels in COLOURS:
                return OutputKind(PICTURE, shape)
        if channels in COLOURS:
            return OutputKind(PICTURE, shape, is_certain=channels == self._hints.shape[0])
        if size == self._hints.shape[1:] and not self._hints.has_label:
            said = f"{channels} maps of the image's size: taken for the scores of as many classes"
            note = f"{said}; output='picture' if they are none"
            return replace(self._segmentation(shape), is_certain=False, note=note)
        return unreadable(
            self._values,
            f"no class scores are known to be among its {channels} maps: output='segmentation' "
            "says that each is the score of a class at every position",
        )

    def _has_channels_last(self, shape: tuple[int, ...]) -> bool:
        """Tell whether the first two of (K, H, W) have the size of the image, or its mask."""
        target = self._hints.target
        sizes = {self._hints.shape[1:]} | (set() if target is None else {tuple(target.shape[-2:])})
        return shape[:2] in sizes and shape[1:] not in sizes

    def _is_of_masks(self, shape: tuple[int, ...]) -> bool:
        channels, hints = shape[0], self._hints
        if hints.target is not None:
            if channels > 1:
                return is_mask(hints.target, channels)
            return self._is_of_one_class()
        if channels > 1 and not hints.labels and hints.names == channels:
            return True
        return channels > 1 and self._seen.always(_sums_to_one)

    def _is_of_one_class(self) -> bool:
        """Tell whether one score a position belongs to masks of 0 and 1, and not to pictures."""
        targets = self._hints.targets
        whole = not targets[0].is_floating_point()
        if whole and all(map(is_black_and_white, targets)):
            return True
        if not all(map(is_binary_mask, targets)):
            return False
        is_picture_like = self._hints.shape[0] == 1 and self._seen.always(_is_within)
        return whole or not is_picture_like

    def _segmentation(self, shape: tuple[int, ...]) -> OutputKind:
        channels, target = shape[0], self._hints.target
        targets = self._hints.targets
        if targets and channels <= 2 and all(map(is_black_and_white, targets)):
            return OutputKind(
                OTHER,
                why="the target masks hold 0 and 255 alone, and 255 stands for what is ignored: "
                "targets // 255 where it is the class",
            )
        if self._word == LOGITS:
            squashed = False
        else:
            squashed = self._seen.always(_is_within if channels == 1 else _sums_to_one)
        overlaps = not squashed and self._word is None and self._seen.always(_is_within)
        size = () if target is None else tuple(target.shape[-2:])
        notes = []
        if overlaps:
            notes.append("values from 0 to 1 that do not sum to 1: the largest is the class")
        if size and size != shape[1:]:
            own, masks = ("×".join(map(str, each)) for each in (shape[1:], size))
            notes.append(f"scores of {own} resized to the masks' {masks}, bilinear")
        return OutputKind(
            SEGMENTATION,
            shape,
            max(2, channels),
            squashed or overlaps,
            overlaps,
            mask_size=size,
            note="; ".join(notes),
        )


def check_choice(choice: Any) -> None:
    """Raise `InputError` for a choice of the user's that can be none."""
    parts = choice if isinstance(choice, tuple | list) and choice else (choice,)
    for part in parts:
        is_step = isinstance(part, str | int) and not isinstance(part, bool)
        if part is not None and not is_step and not callable(part):
            takes = "a key, an index, a function, or a kind:"
            raise InputError(unknown("output", part, KINDS, takes))
