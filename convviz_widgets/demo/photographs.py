"""Twelve photographs that ship with scikit-image, and the patches that are cut from them.

No photograph is fetched: the files lie inside scikit-image's wheel. A patch keeps to a grid, so
no two patches share a pixel; those of the left 75 % of a photograph train, the rest validates.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import PIL.Image
from numpy.typing import NDArray

import convviz_widgets as cvw

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


def cut_patches(part: Literal["train", "validation"], *, at_most: int, seed: int = 0) -> Patches:
    """Return up to ``at_most`` patches of each photograph's part, drawn without replacement."""
    generator = np.random.default_rng(seed)
    chosen = []
    for label, photograph in enumerate(PHOTOGRAPHS):
        pixels = read_photograph(photograph)
        corners = list(_corners(pixels, part))
        for rank, index in enumerate(generator.permutation(len(corners))[:at_most]):
            chosen.append((rank, label, corners[index], _patch(pixels, corners[index])))
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


def _corners(pixels: NDArray[np.uint8], part: str) -> Iterator[tuple[int, int]]:
    """Yield the top left corners (x, y) of a part's grid cells that show something."""
    height, width, _ = pixels.shape
    split = int(width * TRAINING_SHARE)
    left, right = (0, split) if part == "train" else (split, width)
    for y in range(0, height - PATCH_SIZE + 1, PATCH_SIZE):
        for x in range(left, right - PATCH_SIZE + 1, PATCH_SIZE):
            if _patch(pixels, (x, y)).std() >= LEAST_DEVIATION:
                yield x, y


def _patch(pixels: NDArray[np.uint8], corner: tuple[int, int]) -> NDArray[np.uint8]:
    x, y = corner
    return pixels[y : y + PATCH_SIZE, x : x + PATCH_SIZE]
