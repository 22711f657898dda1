"""Twelve photographs that ship with scikit-image, and the patches that are cut from them.

No photograph is fetched: the files lie inside scikit-image's wheel. A patch keeps to a grid, so
no two patches share a pixel; those of the left 75 % of a photograph train, the rest validates.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray
from torch import Tensor

import convviz_widgets as cvw

Part = Literal["train", "validation"]

PATCH_SIZE = 32
TRAINING_SHARE = 0.75

LEAST_DEVIATION = 2.0
"""Standard deviation, of 255, below which a patch is rejected: flat black corners all look alike
and would put equal pictures on both sides of the split."""


@dataclass(frozen=True)
class Photograph:
    """One photograph: its class name, its file inside scikit-image, where it comes from."""

    name: str
    file: str
    source: str
    licence: str


PHOTOGRAPHS = (
    Photograph("astronaut", "astronaut.png", "NASA: Eileen Collins", "public domain"),
    Photograph("brick", "brick.png", "CC0Textures, Bricks25", "CC0"),
    Photograph("camera", "camera.png", "Lav Varshney", "CC0"),
    Photograph("cat", "chelsea.png", "Stefan van der Walt: Chelsea", "CC0"),
    Photograph("coffee", "coffee.png", "Rachel Michetti, Pikolo Espresso Bar", "CC0"),
    Photograph("coins", "coins.png", "Brooklyn Museum", "no known restrictions"),
    Photograph("grass", "grass.png", "linolafett, DeviantArt", "CC0"),
    Photograph("gravel", "gravel.png", "CC0Textures, Gravel04", "CC0"),
    Photograph("galaxies", "hubble_deep_field.jpg", "NASA: Hubble deep field", "public domain"),
    Photograph("tissue", "ihc.png", "CMMI: stained colon", "no known restrictions"),
    Photograph("retina", "retina.jpg", "Mikael Häggström", "CC0"),
    Photograph("rocket", "rocket.jpg", "SpaceX: Falcon 9", "public domain"),
)


@dataclass(frozen=True, eq=False)
class Patches:
    """Patches in turn: the first of every photograph, then the second of every one, ..."""

    pixels: NDArray[np.uint8]
    """(N, 32, 32, 3), RGB; a grey photograph has three equal channels."""
    labels: tuple[int, ...]
    """Index into ``PHOTOGRAPHS`` of each patch."""
    names: tuple[str, ...]
    """Photograph and top left corner of each patch: ``"coffee 64,128"`` (x, y)."""


def cut_patches(part: Part, *, at_most: int, seed: int = 0) -> Patches:
    """Return up to ``at_most`` patches of each photograph's part, drawn without replacement."""
    generator = np.random.default_rng(seed)
    chosen = []
    for label, photograph in enumerate(PHOTOGRAPHS):
        found = list(cut_grid(read_photograph(photograph), part).items())
        for rank, index in enumerate(generator.permutation(len(found))[:at_most]):
            chosen.append((rank, label, *found[index]))
    chosen.sort(key=lambda item: item[:2])
    return Patches(
        pixels=np.stack([patch for *_, patch in chosen]),
        labels=tuple(label for _, label, _, _ in chosen),
        names=tuple(f"{PHOTOGRAPHS[label].name} {x},{y}" for _, label, (x, y), _ in chosen),
    )


def read_photograph(photograph: Photograph) -> NDArray[np.uint8]:
    """Return (H, W, 3) RGB pixels; raises ``ConvVizError`` where scikit-image lacks the file."""
    package = importlib.util.find_spec("skimage")
    if package is None or not package.submodule_search_locations:
        raise cvw.ConvVizError(
            "the demonstration's photographs ship with scikit-image, which is not installed; "
            "run: python -m pip install 'convviz_widgets[demo]'"
        )
    file = Path(package.submodule_search_locations[0], "data", photograph.file)
    if not file.is_file():
        raise cvw.ConvVizError(f"this scikit-image has no photograph {str(file)!r}")
    with PIL.Image.open(file) as picture:
        return np.asarray(picture.convert("RGB"))


def cut_grid(
    pixels: NDArray[np.uint8], part: Part, size: int = PATCH_SIZE
) -> dict[tuple[int, int], NDArray[np.uint8]]:
    """Return the patches (size, size, 3) of a part's grid that show something, by corner (x, y)."""
    height, width, _ = pixels.shape
    split = int(width * TRAINING_SHARE)
    left, right = (0, split) if part == "train" else (split, width)
    found = {
        (x, y): pixels[y : y + size, x : x + size]
        for y in range(0, height - size + 1, size)
        for x in range(left, right - size + 1, size)
    }
    return {corner: patch for corner, patch in found.items() if patch.std() >= LEAST_DEVIATION}


def mean_and_std(pixels: NDArray[np.uint8]) -> tuple[NDArray, NDArray]:
    """Return mean and standard deviation of each channel of pixels (N, H, W, 3), in [0, 1]."""
    unit = pixels / 255.0
    return unit.mean(axis=(0, 1, 2)), unit.std(axis=(0, 1, 2))


def normalised(pixels: NDArray[np.uint8], mean: NDArray, std: NDArray) -> Tensor:
    """Return patches (N, H, W, 3) as a network takes them: (N, 3, H, W), float32.

    ``mean`` and ``std`` are those of pixels in [0, 1].
    """
    scaled = ((pixels / 255.0 - mean) / std).astype(np.float32)
    return torch.from_numpy(scaled).permute(0, 3, 1, 2).contiguous()


def image_set(
    inputs: Tensor, labels: Sequence[int], mean: NDArray, std: NDArray, **more: Any
) -> cvw.ImageSet:
    """Return patches with their photographs as classes, and as groups; ``more`` is passed on."""
    classes = [photograph.name for photograph in PHOTOGRAPHS]
    return cvw.ImageSet(
        inputs,
        labels,
        class_names=classes,
        mean=mean.tolist(),
        std=std.tolist(),
        groups=[classes[label] for label in labels],
        **more,
    )
