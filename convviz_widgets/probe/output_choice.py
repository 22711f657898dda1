"""Which part of what a model returns is meant: the user's choice, or a guess that is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from convviz_widgets.errors import InputError, unknown
from convviz_widgets.probe.output_hints import OutputHints
from convviz_widgets.probe.output_kinds import unreadable
from convviz_widgets.probe.output_parts import (
    Place,
    members,
    named,
    part_at,
    place_in_words,
    tensors_by_place,
)
from convviz_widgets.probe.probe import Probe

Choice = Any
"""A kind by its name, a key, an index, a function of what the model returns, or a tuple of them:
keys and indices from the outside in, and a kind at the end."""

NAMES = (
    "logits",
    "out",
    "output",
    "outputs",
    "scores",
    "class_logits",
    "cls_logits",
    "pred",
    "preds",
    "prediction",
    "predictions",
    "y_hat",
    "y_pred",
    "probabilities",
    "probs",
    "reconstruction",
    "recon",
    "x_recon",
    "x_hat",
    "sample",
)
"""What a model's answer is called among other outputs; the first of them that there is."""


@dataclass(frozen=True, eq=False)
class ChosenPart:
    """A part of what a model returns.

    Attributes
    ----------
    place : where it is.
    choose : the user's function in place of a place.
    word : the kind that the user says it is.
    note : one line where it was guessed.
    why : one line where it can be neither found nor guessed.
    """

    place: Place = ()
    choose: Callable[[Any], Any] | None = None
    word: str | None = None
    note: str = ""
    why: str = ""


def chosen_part(result: Any, choice: Choice, kinds: Sequence[str]) -> ChosenPart:
    """Return the part that a user has chosen.

    A word that is a key of the result picks that member; else it names a kind.

    Raises
    ------
    InputError
        The result has no such part.
    """
    steps = list(choice) if isinstance(choice, tuple | list) else [choice]
    if steps and callable(steps[0]):
        word = steps[1] if len(steps) > 1 else None
        if len(steps) > 2 or (word is not None and word not in kinds):
            raise InputError(f"output: expected (function, kind), a kind being one of {kinds}")
        return ChosenPart(choose=steps[0], word=word)
    place: Place = ()
    for index, step in enumerate(steps):
        is_last = index == len(steps) - 1
        keys = [key for key, _ in members(part_at(result, place))]
        if is_last and step in kinds and step not in keys:
            if place or not keys:
                return ChosenPart(place, word=step)
            return ChosenPart(_only(result, step), word=step)
        if not keys:
            owner = f"the model puts out {named(part_at(result, place))}, and the kinds are"
            raise InputError(unknown("output", step, kinds, owner))
        part_at(result, (*place, step))
        place = (*place, step)
    if not isinstance(part_at(result, place), Tensor):
        place = (*place, *_only(part_at(result, place), "kind"))
    return ChosenPart(place)


def _only(result: Any, word: str) -> Place:
    """Return the place of what has to be meant by a kind alone."""
    found = _floating(result)
    by_name = _by_name(found)
    if len(found) == 1 or by_name is not None:
        return by_name or next(iter(found))
    such = (*next(iter(found), (0,)), word)
    raise InputError(f"the model puts out {named(result)}: say which, such as output={such!r}")


def guessed_part(result: Any, probe: Probe, example: Tensor, hints: OutputHints) -> ChosenPart:
    """Return the part that has to be meant, or is most likely; `note` says what was guessed."""
    if isinstance(result, Tensor):
        return ChosenPart()
    found = _floating(result)
    if len(found) == 1:
        return ChosenPart(next(iter(found)))
    if not found:
        remedy = "it holds no row or map: output= takes a function that makes one of it"
        return ChosenPart(why=unreadable(result, remedy).why)
    # What was handed on from the images is no answer to them.
    made = {at: part for at, part in found.items() if not _is_the_image(part, example)} or found
    guesses = (
        _by_name,
        lambda each: _by_hints(each, hints),
        lambda each: _largest(each, hints),
        lambda each: _made_last(each, probe, example, hints),
        lambda each: _by_look(each, hints),
    )
    for guess in guesses:
        place = guess(made)
        if place is not None:
            said = f"the model puts out {named(result)}: {place_in_words(place)} taken"
            return ChosenPart(place, note=f"{said}; output= picks another")
    remedy = "output= says which, such as output=0 or a key"
    return ChosenPart(why=unreadable(result, remedy).why)


Parts = dict[Place, Tensor]


def _floating(result: Any) -> Parts:
    """Return what may be an answer to one image: floating, with a row at least."""
    return {
        place: part
        for place, part in tensors_by_place(result)
        if part.is_floating_point() and part.ndim >= 1 and part.shape[0] == 1 and part.numel()
    }


def _is_the_image(part: Tensor, example: Tensor) -> bool:
    same = part.numel() == example.numel()
    return same and torch.equal(part.detach().flatten().to(example), example.flatten())


def _one(found: Iterable[Place]) -> Place | None:
    places = list(found)
    return places[0] if len(places) == 1 else None


def _by_name(found: Parts) -> Place | None:
    for name in NAMES:
        places = [place for place in found if place and place[-1] == name]
        if places:
            return _one(places)
    return None


def _by_hints(found: Parts, hints: OutputHints) -> Place | None:
    """Return the only one that has as many scores as there are classes, or the target's shape."""
    target = hints.target
    if target is not None and target.ndim > 1:
        shape = tuple(target.shape)
        if target.is_floating_point():
            return _one(place for place, part in found.items() if tuple(part.shape[1:]) == shape)
        return _one(place for place, part in found.items() if part.ndim == 4 and part.shape[1] > 1)
    if hints.names:
        return _one(at for at, part in found.items() if part.shape[1:2] == (hints.names,))
    return None


def _by_look(found: Parts, hints: OutputHints) -> Place | None:
    """Return the picture like the image, or the row of scores for labelled images.

    Where there is one of each, it cannot be known.
    """
    picture = _like_the_image(found, hints)
    row = _row_of_classes(found, hints) if hints.has_label else None
    return None if picture and row else picture or row


def _like_the_image(found: Parts, hints: OutputHints) -> Place | None:
    shape = hints.shape
    same = [place for place, part in found.items() if tuple(part.shape[1:]) == shape]
    if same or hints.has_label or any(part.ndim == 4 for part in found.values()):
        return _one(same)
    return _one(place for place, part in found.items() if part.numel() == prod(shape) >= 64)


def _row_of_classes(found: Parts, hints: OutputHints) -> Place | None:
    """Return the only row, or else the only one with just as many scores as there are labels.

    Two labels tell nothing: much else comes in twos.
    """
    rows = {at: part for at, part in found.items() if part.ndim == 2 and part.shape[1] > 1}
    if len(rows) == 1:
        return next((at for at, part in rows.items() if _fits_labels(part, hints)), None)
    count = len(hints.labels)
    if count < 3 or hints.labels != set(range(count)):
        return None
    return _one(at for at, part in rows.items() if part.shape[1] == count)


def _fits_labels(part: Tensor, hints: OutputHints) -> bool:
    """Tell whether there may be a score in this row for every label."""
    highest = max(hints.labels, default=0)
    return part.ndim != 2 or highest < max(2, part.shape[1])


def _made_last(found: Parts, probe: Probe, example: Tensor, hints: OutputHints) -> Place | None:
    """Return the only one that was made of all the others, as scores are of features.

    What is made of scores of the same shape is the answer where it is their probabilities alone;
    one number beside a row may as well be how sure the model is.
    """
    if len(found) == 1:
        return next(iter(found))
    result = probe.call(_with_graph, example)
    roots = {place: part_at(result, place).grad_fn for place in found}
    if None in roots.values():
        return None
    before = {place: _made_of(root) for place, root in roots.items()}
    last = _one(at for at in found if all(roots[i] in before[at] for i in found if i != at))
    if last is None or not _fits_labels(found[last], hints):
        return None
    others = [part for place, part in found.items() if place != last]
    return last if all(_is_new(found[last], other, hints) for other in others) else None


def _is_new(last: Tensor, other: Tensor, hints: OutputHints) -> bool:
    """Tell whether a part says more than another that it was made of."""
    if last.numel() == 1 and other.ndim == 2 and other.numel() > 1:
        return hints.labels == {0, 1} and other.numel() != 2
    if last.shape != other.shape:
        return True
    if last.ndim < 2:
        return False
    probable = (other.softmax(1), other.sigmoid(), other.log_softmax(1))
    return any(torch.allclose(last, each, rtol=0.01, atol=1e-3) for each in probable)


def _with_graph(module: nn.Module, images: Tensor) -> Any:
    with torch.enable_grad():  # a clone, because an in-place operation must not write into a leaf
        return module(images.requires_grad_().clone())


def _made_of(root: Any) -> set[Any]:
    """Return every step of the calculation before this one."""
    seen: set[Any] = set()
    waiting = [root]
    while waiting:
        for step, _ in waiting.pop().next_functions:
            if step is not None and step not in seen:
                seen.add(step)
                waiting.append(step)
    return seen


def _largest(found: Parts, hints: OutputHints) -> Place | None:
    """Return the largest of several maps of the same classes, for images with masks."""
    parts = list(found.values())
    if hints.target is None or hints.target.ndim < 2:
        return None
    if any(part.ndim != 4 or part.shape[1] != parts[0].shape[1] for part in parts):
        return None
    most = max(part.numel() for part in parts)
    return _one(place for place, part in found.items() if part.numel() == most)
