"""What the benchmarks' notebooks show, and what their kernels are asked; imported by a cell."""

from __future__ import annotations

import gc
import time
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from ipycanvas import Canvas
from ipywidgets import IntSlider, Label, VBox, interact
from ipywidgets.widgets import widget as implementation
from matplotlib import colormaps
from matplotlib import pyplot as plt
from torch import Tensor

import convviz_widgets as cvw
from convviz_widgets.views import CheckpointClock
from convviz_widgets.widgets import View
from measuring.networks import NETWORKS

CHECKPOINTS = 8

SIDE, COLUMNS = 112, 8

BUDGET = {"stem": 16 * 2**20, "resnet18": 128 * 2**20, "many maps": 2**20}
"""Bytes: room for a recording or two, so that a step of the slider is always a forward pass."""


PATIENCE = 60.0
"""Seconds to wait for a state."""


WITH, WITHOUT = "frames being made ahead", "none"

BUSY = 0.3
"""Seconds after which the background is making frames: it waits for a tenth of a second first."""


class EveryPixel(cvw.ActivationMosaic):
    """The mosaic at full size, as the rivals show it: 64 tiles of 112×112, none reduced."""

    frame = (COLUMNS * (SIDE + 2) + 2 + 16, COLUMNS * (SIDE + 2) + 2)
    max_tile = SIDE


class Bench:
    """One network, its checkpoints and one image: 64 maps of 112×112, shown in five ways.

    Each way has a model of its own and keeps no maps but the ones it shows.
    """

    def __init__(self, network: str, checkpoints: int = CHECKPOINTS) -> None:
        self._network = network
        self._model = NETWORKS[network]()
        self._image = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
        self._checkpoints = [self._checkpoint(step) for step in range(checkpoints)]
        self._series = cvw.CheckpointSeries.from_state_dicts(list(enumerate(self._checkpoints)))
        self._states: dict[str, cvw.ModelState] = {}
        self._clock: CheckpointClock
        self._mosaic: cvw.ActivationMosaic
        self._unprepared: cvw.ActivationMosaic

    def _checkpoint(self, step: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(step)
        tensors = {name: tensor.clone() for name, tensor in self._model.state_dict().items()}
        first = tensors["conv1.weight"]
        first += 0.05 * torch.randn(first.shape, generator=generator)
        return tensors

    # -- ours ---------------------------------------------------------------------------------

    def _state(self, method: str) -> cvw.ModelState:
        images = cvw.ImageSet(self._image)
        state = cvw.ModelState(
            self._model,
            images,
            checkpoints=self._series,
            layer="relu",
            checkpoint=0,
            memory_budget=BUDGET[self._network],
        )
        self._states[method] = state
        return state

    def every_pixel(self) -> VBox:
        """Show the mosaic at full size."""
        state = self._state("every_pixel")
        return VBox([CheckpointClock(state), EveryPixel(state)])

    def mosaic(self) -> VBox:
        """Show the mosaic as it comes: reduced to the width of the Explorer."""
        state = self._state("mosaic")
        self._clock, self._mosaic = CheckpointClock(state), cvw.ActivationMosaic(state)
        return VBox([self._clock, self._mosaic])

    def unprepared(self) -> VBox:
        """Show the same on a state whose layer is changed before each step."""
        state = self._state("unprepared")
        self._unprepared = cvw.ActivationMosaic(state)
        return VBox([CheckpointClock(state), self._unprepared])

    def explorer(self) -> cvw.Explorer:
        """Show the whole Explorer."""
        return cvw.Explorer(self._state("explorer"))

    # -- the others ---------------------------------------------------------------------------

    def matplotlib(self) -> None:
        """Show a figure in the output of `interact`, as most notebooks do."""

        def show(step: int) -> None:
            plt.figure(figsize=(9, 9), dpi=100)
            plt.imshow(self._tiled(step), cmap="viridis", vmin=0)
            plt.axis("off")
            plt.show()

        interact(show, step=IntSlider(max=len(self._checkpoints) - 1))

    def canvas(self) -> VBox:
        """Show an array of colours on an ipycanvas."""
        canvas = Canvas(width=COLUMNS * SIDE, height=COLUMNS * SIDE)
        slider = IntSlider(max=len(self._checkpoints) - 1)

        def show(_change: Any = None) -> None:
            tiled = self._tiled(slider.value)
            colours = colormaps["viridis"](tiled / tiled.max())  # (H, W, 4) in [0, 1]
            canvas.put_image_data((255 * colours).astype(np.uint8))

        slider.observe(show, names="value")
        canvas.on_client_ready(show)
        return VBox([slider, canvas])

    def echo(self) -> VBox:
        """Show a slider's value by way of the kernel, and nothing else."""
        slider = IntSlider(max=len(self._checkpoints) - 1, readout=False)
        label = Label("0")
        slider.observe(lambda change: setattr(label, "value", str(change.new)), names="value")
        return VBox([slider, label])

    def _tiled(self, step: int) -> np.ndarray:
        """Load a checkpoint, run the model, lay the stem's 64 maps out: (896, 896)."""
        self._model.load_state_dict(self._checkpoints[step])
        kept: list[Tensor] = []
        handle = self._model.relu.register_forward_hook(
            lambda _module, _inputs, output: kept.append(output.clone())
        )
        try:
            self.forward()
        finally:
            handle.remove()
        rows = kept[0].reshape(COLUMNS, COLUMNS, SIDE, SIDE)
        return rows.permute(0, 2, 1, 3).reshape(COLUMNS * SIDE, COLUMNS * SIDE).numpy()

    # -- what the kernel is asked -------------------------------------------------------------

    def forward(self) -> float:
        """Return the milliseconds of one bare forward pass."""
        started = time.perf_counter()
        with torch.no_grad():
            self._model(self._image)
        return 1000 * (time.perf_counter() - started)

    def rest(self, method: str, place: int) -> bool:
        """Wait until a state has heard that its clock was moved there, and nothing is to be done.

        True for the others: they have nothing to do once their pixels are seen.
        """
        state = self._states.get(method)
        until = time.monotonic() + PATIENCE
        while state and state.selection.checkpoint != place and time.monotonic() < until:
            time.sleep(0.002)
        with ExitStack() as still:
            for each in self._states.values():
                still.enter_context(each.hold())  # waits for a publication that goes on
        return all(prepared(each, until) for each in self._states.values())

    def other_layer(self) -> str:
        """Select the other one of two layers of the same size in `unprepared`; return it.

        Nothing is made ahead for it before its clock is moved.
        """
        state = self._states["unprepared"]
        self._go_to_another_layer(state)
        if hasattr(state, "ahead"):  # older trees have none
            state.ahead.leave(self._unprepared)
        return state.layer

    def set_rate(self, rate: int) -> None:
        """Have the clock of `mosaic` play so many checkpoints a second."""
        if hasattr(self._clock, "rate"):
            self._clock.rate = rate
        else:  # older trees
            self._clock.play.interval = round(1000 / rate)

    def tiles(self) -> list[tuple[float, float]]:
        """Return x and y of the middle of each tile of `mosaic`, in pixels of its picture."""
        mosaic = self._mosaic.painted.mosaic
        boxes = [mosaic.box(tile) for tile in range(mosaic.count)]
        return [(box.x + box.width / 2, box.y + box.height / 2) for box in boxes]

    def redraws(self, pairs: int) -> dict[str, list[float]]:
        """Return the milliseconds of going to another checkpoint in `explorer`, in pairs.

        In one of each pair frames of the layer, which is another one each time, are being made
        ahead; in the other none are. Which comes first changes.
        """
        state = self._states["explorer"]
        taken: dict[str, list[float]] = {WITH: [], WITHOUT: []}
        self.were_busy = 0
        usual = budget(state)
        try:
            for number in range(pairs):
                for name in (WITH, WITHOUT)[:: 1 if number % 2 else -1]:
                    set_budget(state, usual if name == WITH else 0)
                    self._go_to_another_layer(state)
                    time.sleep(BUSY)
                    self.were_busy += name == WITH and not prepared(state, 0.0)
                    place = (state.selection.checkpoint + 1) % len(self._checkpoints)
                    started = time.perf_counter()
                    state.select(checkpoint=place)
                    taken[name].append(1000 * (time.perf_counter() - started))
        finally:
            set_budget(state, usual)
        return taken

    def change_layers(self, times: int) -> None:
        """Select one layer after the other in `explorer`, each until some frames are made ahead."""
        for _ in range(times):
            self._go_to_another_layer(self._states["explorer"])
            time.sleep(BUSY / 2)

    def _go_to_another_layer(self, state: cvw.ModelState) -> None:
        """Select the other of two layers of the same size."""
        state.select(layer="bn1" if state.layer == "relu" else "relu")

    def stage(self) -> VBox:
        """Show a box in which views come and go."""
        self._stage = VBox()
        self._state("stage")
        return self._stage

    def open_views(self) -> None:
        """Show four views of one state there."""
        state = self._states["stage"]
        kinds = (CheckpointClock, cvw.ActivationMosaic, cvw.ActivationMap, cvw.ActivationHistogram)
        self._stage.children = [kind(state) for kind in kinds]

    def close_views(self) -> None:
        """Close them."""
        views, self._stage.children = self._stage.children, ()
        for view in views:
            view.close()

    def left(self) -> dict[str, int]:
        """Return how many widgets, views and observers of the state there are."""
        gc.collect()
        state = self._states["stage"]
        notifiers = state._trait_notifiers.values()
        return {
            "widgets": len(implementation._instances),
            "views": sum(isinstance(each, View) for each in gc.get_objects()),
            "observers": sum(len(each) for kinds in notifiers for each in kinds.values()),
        }

    def channel_switches(self, count: int) -> list[float]:
        """Return the milliseconds of selecting another of 512 channels in the Explorer."""
        state = self._states["explorer"]
        wide = [info.name for info in state.layers if info.shape[0] == 512 and info.shape[1:]]
        state.select(layer=wide[-1], channel=0)
        forwards = state.forward_count
        taken = []
        for number in range(1, count + 1):
            started = time.perf_counter()
            state.select(channel=(37 * number) % 512)
            taken.append(1000 * (time.perf_counter() - started))
        assert state.forward_count == forwards, "another channel ran a forward pass"
        return taken


def prepared(state: cvw.ModelState, until: float) -> bool:
    """Wait until a state has made all the frames that it makes ahead; False if it is too late."""
    ahead = getattr(state, "ahead", None)  # older trees have none
    return ahead is None or ahead.wait(max(0.0, until - time.monotonic()))


def budget(state: cvw.ModelState) -> int:
    """Return how many bytes of frames may be made ahead."""
    return state.ahead.budget if hasattr(state, "ahead") else 0


def set_budget(state: cvw.ModelState, nbytes: int) -> None:
    """Let so many bytes of frames be made ahead; in older trees none are."""
    if hasattr(state, "ahead"):
        state.ahead.budget = nbytes
