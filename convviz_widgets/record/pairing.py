"""Pair each training curve with the validation curve of the same quantity, by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from convviz_widgets.record.norms import GRADIENT_NORM, UPDATE_RATIO

_ROLES = {
    "training": {"train", "training", "trn"},
    "validation": {"val", "valid", "validation", "eval", "evaluation", "dev"},
    "test": {"test", "testing", "holdout"},
}

_SYNONYMS = {"acc": "accuracy", "err": "error"}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

_Words = frozenset[str]


@dataclass(frozen=True)
class Pair:
    """One quantity, measured on training and on validation data.

    Parameters
    ----------
    name : what the two names have in common, such as "loss".
    training, validation : names of metrics.
    """

    name: str
    training: str
    validation: str


def paired(names: Iterable[str]) -> tuple[Pair, ...]:
    """Return the metrics that belong together by their names, in the order of the training ones.

    The word for the data may stand anywhere ("loss/train", "train_loss", "val/acc",
    "accuracy/validation", "testLoss", runs called "train" and "validation"). Beside a "val_loss" a
    plain "loss" counts as training, and so does a "train_loss_epoch" where there is no other; a
    test set counts where there is no validation set.

    >>> paired(["loss/train", "lr", "val_loss"])
    (Pair(name='loss', training='loss/train', validation='val_loss'),)
    """
    by_role: dict[str, dict[_Words, str]] = {role: {} for role in (*_ROLES, "")}
    for name in names:
        if not name.startswith((GRADIENT_NORM, UPDATE_RATIO)):
            role, words = _role(name)
            by_role[role].setdefault(frozenset(words), name)
    held_out = {**by_role["test"], **by_role["validation"]}
    pairs = [
        Pair(_common(training), training, validation)
        for words, validation in held_out.items()
        if (training := _training(words, by_role))
    ]
    order = {name: index for index, name in enumerate(by_role["training"].values())}
    return tuple(sorted(pairs, key=lambda pair: order.get(pair.training, len(order))))


def _training(words: _Words, by_role: dict[str, dict[_Words, str]]) -> str | None:
    training, plain = by_role["training"], by_role[""]
    return (
        training.get(words)
        or plain.get(words)
        or training.get(words | {"epoch"})
        or training.get(words | {"step"})
    )


def _role(name: str) -> tuple[str, list[str]]:
    """Return the data that a metric was measured on, "" if not one, and the other words."""
    words = [_SYNONYMS.get(word.lower(), word.lower()) for word in _WORD.findall(name)]
    roles = [role for role, its_words in _ROLES.items() if its_words & set(words)]
    if len(roles) != 1:
        return "", words
    return roles[0], [word for word in words if word not in _ROLES[roles[0]]]


def _common(name: str) -> str:
    return " ".join(dict.fromkeys(_role(name)[1])) or name
