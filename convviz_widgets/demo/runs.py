"""The demonstration's runs: trained once on this machine, then read from its cache folder."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

import convviz_widgets as cvw
from convviz_widgets.demo.network import PatchNet, build_network
from convviz_widgets.demo.photographs import PHOTOGRAPHS, Patches, cut_patches
from convviz_widgets.demo.recipe import RECIPES, Recipe
from convviz_widgets.demo.training import accuracy, checkpoint_name, train

FINISHED = "recipe.json"
"""Written last: a folder without it holds half a training, which is done again."""


@dataclasses.dataclass(frozen=True, eq=False)
class DemoRun:
    """A finished training of the demonstration network."""

    model: PatchNet
    """The network after its last step, in eval mode."""
    images: cvw.ImageSet
    """The training patches, normalised: from the left 75 % of each photograph."""
    validation: cvw.ImageSet
    """Patches from the right 25 % of each photograph; they share no pixel with ``images``."""
    checkpoints: cvw.CheckpointSeries
    directory: Path
    accuracy: float
    """Share of ``validation`` that the last checkpoint classifies rightly. The photographs'
    right edges look different from the rest; that explains a part of the errors."""


def load(name: str = "demo") -> DemoRun:
    """Return a run, ``"demo"`` or ``"undertrained"``; train it first where that was not done.

    Raises ``InputError`` for another name. The training takes a minute or two on two cores.
    """
    if name not in RECIPES:
        raise cvw.InputError(f"unknown run {name!r}; the demonstration has {', '.join(RECIPES)}")
    recipe = RECIPES[name]
    return load_recipe(recipe, cache_folder() / f"{name}-{recipe.fingerprint}")


def load_recipe(recipe: Recipe, directory: Path) -> DemoRun:
    """Return the run of any recipe, kept in ``directory``; train it first where needed."""
    images, validation = image_sets(recipe)
    if not _is_finished(recipe, directory):
        _train(recipe, images, directory)
    checkpoints = cvw.CheckpointSeries.from_directory(directory)
    model = build_network(len(PHOTOGRAPHS), seed=recipe.seed).eval()
    model.load_state_dict(checkpoints.load(len(checkpoints) - 1))
    right = accuracy(model, validation)
    return DemoRun(model, images, validation, checkpoints, directory, right)


def cache_folder() -> Path:
    """Return ``convviz_widgets`` in the user's cache folder, as XDG's base directories say."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".cache") / "convviz_widgets"


def image_sets(recipe: Recipe) -> tuple[cvw.ImageSet, cvw.ImageSet]:
    """Return training and validation patches, both normalised by the training patches."""
    training = cut_patches("train", at_most=recipe.patches, seed=recipe.seed)
    validation = cut_patches("validation", at_most=recipe.patches // 3, seed=recipe.seed)
    unit = training.pixels / 255.0  # (N, H, W, C)
    mean, std = unit.mean(axis=(0, 1, 2)), unit.std(axis=(0, 1, 2))
    return _image_set(training, mean, std), _image_set(validation, mean, std)


def _image_set(patches: Patches, mean: Any, std: Any) -> cvw.ImageSet:
    normalised = (patches.pixels / 255.0 - mean) / std  # (N, H, W, C)
    inputs = torch.from_numpy(normalised.astype(np.float32)).permute(0, 3, 1, 2).contiguous()
    classes = [photograph.name for photograph in PHOTOGRAPHS]
    return cvw.ImageSet(
        inputs,
        patches.labels,
        class_names=classes,
        mean=mean.tolist(),
        std=std.tolist(),
        names=patches.names,
        groups=[classes[label] for label in patches.labels],
    )


def _train(recipe: Recipe, images: cvw.ImageSet, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / FINISHED).unlink(missing_ok=True)
    train(recipe, images, directory)
    temporary = directory / f".{FINISHED}.{os.getpid()}.tmp"
    temporary.write_text(recipe.to_json() + "\n", encoding="utf-8")
    temporary.replace(directory / FINISHED)


def _is_finished(recipe: Recipe, directory: Path) -> bool:
    names = [FINISHED, *map(checkpoint_name, recipe.checkpoint_steps)]
    return all((directory / name).is_file() for name in names)
