"""explore: from a model and images, whatever form they come in, to an Explorer in one line."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from convviz_widgets.apps.explorer import Explorer
from convviz_widgets.errors import InputError
from convviz_widgets.images import ImageSet
from convviz_widgets.images.items import DatasetItems
from convviz_widgets.probe.output_choice import Choice
from convviz_widgets.record import Run
from convviz_widgets.state import ModelState
from convviz_widgets.state.arguments import check_model
from convviz_widgets.state.recordings import Loss


def explore(
    model: nn.Module,
    images: Any,
    run: Run | str | os.PathLike[str] | None = None,
    checkpoints: Any = None,
    *,
    labels: Any = None,
    size: int | tuple[int, int] | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    transform: Any = None,
    class_names: Sequence[str] | None = None,
    output: Choice = None,
    loss: Loss | None = None,
    steps_per_epoch: int | None = None,
    **explorer: Any,
) -> Explorer:
    """Return an `Explorer` of a model and images, whatever form they come in.

    What is to be set beyond this is set on an `ImageSet` and a `ModelState`, which the explorer
    takes: this puts them together with their defaults. ``explorer.state`` is the state.

    Parameters
    ----------
    model
        Any ``nn.Module`` that maps images (N, C, H, W) to an output; it is only ever read.
    images
        An `ImageSet`; the path of a folder of pictures, or of one picture; a floating tensor
        (N, C, H, W) as the model takes it; a map-style data set; pictures in a list or an array,
        as `ImageSet.from_images` takes them.
    run
        A `Run` or its path: its metrics are shown, and its checkpoints, if it has any and no
        others are given.
    checkpoints
        A `CheckpointSeries`, the path of a folder of checkpoints, or pairs (step, state_dict).
    labels, size, mean, std, transform, class_names
        As for `ImageSet.from_folder` and `ImageSet.from_images`; pictures have as many channels,
        1 or 3, as the first convolution takes.
    output, loss, steps_per_epoch
        As for `ModelState`: what the model puts out, the loss for gradients, and training steps of
        one epoch.
    **explorer
        As for `Explorer`: ``sweep``, ``validation``, ``loader``.

    Raises
    ------
    InputError
        The images, or an option, cannot be made sense of.
    ModelError, CheckpointError
        As a `ModelState` raises them.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    >>> explorer = cvw.explore(model, np.zeros((2, 16, 16, 3), np.uint8))
    >>> explorer.state
    <ModelState: 2 layers, 1 checkpoint, 2 images; at step 0, layer 0, channel 0>
    >>> explorer.close()
    """
    check_model(model)
    options = {
        "labels": labels,
        "size": size,
        "mean": mean,
        "std": std,
        "transform": transform,
        "class_names": class_names,
    }
    given = {name: value for name, value in options.items() if value is not None}
    shown = images_for(model, images, **given)
    looked_at = Run(run) if isinstance(run, str | os.PathLike) else run
    if checkpoints is None and isinstance(looked_at, Run) and len(looked_at.checkpoints):
        checkpoints = looked_at.checkpoints
    state = ModelState(
        model,
        shown,
        checkpoints=checkpoints,
        output=output,
        loss=loss,
        steps_per_epoch=steps_per_epoch,
    )
    try:
        return Explorer(state, run=looked_at, **explorer)
    except BaseException:
        state.close()
        raise


def images_for(model: nn.Module, images: Any, **options: Any) -> ImageSet:
    """Return images in whatever form as an `ImageSet`, pictures in as many channels as fit.

    Raises
    ------
    InputError
        They cannot be made sense of, or an option does not go with them.
    """
    if isinstance(images, ImageSet):
        if options:
            raise InputError(f"{', '.join(options)}: set on the ImageSet that is given")
        return images
    if isinstance(images, str | os.PathLike) and Path(images).expanduser().is_dir():
        return _of_folder(images, channels_of(model), options)
    if _are_pictures(images):
        return ImageSet.from_images(images, channels=channels_of(model), **options)
    refused = [name for name in ("size", "transform") if name in options]
    if refused and hasattr(images, "__next__"):
        raise InputError(f"images: got a {type(images).__name__}; list(images) makes a list")
    if refused:
        raise InputError(f"{', '.join(refused)}: for pictures; these are as the model takes them")
    return ImageSet(_batch(images), **options)


def channels_of(model: nn.Module) -> int:
    """Return how many channels pictures are given to the first convolution in, 1 or 3."""
    convolutions = (m for m in model.modules() if isinstance(m, nn.modules.conv._ConvNd))
    return 1 if getattr(next(convolutions, None), "in_channels", 3) == 1 else 3


def _of_folder(path: Any, channels: int, options: dict[str, Any]) -> ImageSet:
    for name in ("labels", "class_names"):
        if name in options:
            raise InputError(f"{name}: a folder's own folders are its classes")
    return ImageSet.from_folder(path, channels=channels, **options)


def _batch(images: Any) -> Any:
    """Return an array, or one image as the model takes it, as a tensor (N, C, H, W)."""
    if isinstance(images, np.ndarray):
        return torch.from_numpy(np.require(images, np.float32, ["C", "W"]))
    return images[None] if isinstance(images, Tensor) and images.ndim == 3 else images


def _are_pictures(images: Any) -> bool:
    """Tell whether these are yet to be made what a model takes."""
    if isinstance(images, Tensor):
        return not images.is_floating_point()
    if isinstance(images, np.ndarray):
        has_channels_first = images.ndim == 4 and images.shape[1] in (1, 3)
        return images.dtype.kind != "f" or not has_channels_first
    if isinstance(images, str | os.PathLike | Image.Image):
        return True
    if isinstance(images, Mapping) or not hasattr(images, "__getitem__") or not len(images):
        return False  # an ImageSet says what it takes
    first, _ = DatasetItems(images).parts(0)
    return not (isinstance(first, Tensor) and first.is_floating_point())
