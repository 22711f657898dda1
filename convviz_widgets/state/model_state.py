"""The one shared state: a live model, its checkpoints, its images, and what is selected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor, nn

from convviz_widgets.checkpoints import CheckpointSeries
from convviz_widgets.errors import InputError
from convviz_widgets.instrument import ImageSet, Probe
from convviz_widgets.state.arguments import (
    check_checkpoints,
    check_device,
    check_loss,
    check_model,
    checked_budget,
    checked_indices,
)
from convviz_widgets.state.embeddings import Embeddings
from convviz_widgets.state.encoder import Encoder
from convviz_widgets.state.explanations import Explanations
from convviz_widgets.state.history import History
from convviz_widgets.state.measurer import Measurer
from convviz_widgets.state.output_history import OutputHistory
from convviz_widgets.state.recordings import Loss, Recordings
from convviz_widgets.state.responder import Responder
from convviz_widgets.state.selected import Locked
from convviz_widgets.state.selection import Selection
from convviz_widgets.state.sweeper import Sweeper
from convviz_widgets.state.sweeps import Sweeps
from convviz_widgets.state.timeline import Timeline


class Refreshable(Protocol):
    """Something that grows while the model trains, such as a `Run`."""

    def refresh(self) -> int:
        """Take up what is new; return how much that is."""
        ...


class ModelState(Explanations):
    """Look at ``model`` through its checkpoints and at ``images`` through the model.

    Parameters
    ----------
    model
        Any ``nn.Module`` that maps one float batch ``(N, C, H, W)`` to an output. It is copied
        once and only ever read: no hook, mode, gradient, buffer or random state of it changes.
    images
        An `ImageSet`, or a float tensor ``(N, C, H, W)`` as the model takes it.
    checkpoints
        A `CheckpointSeries`; without one there is one entry, the model as it is now.
    loss
        ``loss(output, target) -> scalar`` for gradients; default cross-entropy with the labels.
    probe
        Indices of the images that distributions and gradients use; default the first 64.
    layer, channel, image, checkpoint, target
        What is selected at first; ``layer=None`` is the first layer, ``checkpoint=None`` the last.
    memory_budget
        Bytes that recordings and captured weights may hold together.
    device
        Where the private copy of the model runs.

    Raises
    ------
    InputError
        If an argument is of another kind than expected, or the device cannot be used here.
    ModelError
        If the model cannot be copied, raises on the first image, or ignores its weights.
    SelectionError, UnknownLayerError
        If what should be selected does not exist.

    Examples
    --------
    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())
    >>> state = cvw.ModelState(model, torch.zeros(5, 1, 8, 8))
    >>> selection = state.select(layer="1", channel=2, image=4)
    >>> state.activation().shape  # of the selected layer and image: (C, H, W)
    torch.Size([4, 6, 6])
    >>> state.close()
    """

    follow = Locked(False, help="Select each new checkpoint as soon as a refresh finds it.")

    def __init__(
        self,
        model: nn.Module,
        images: ImageSet | Tensor,
        *,
        checkpoints: CheckpointSeries | None = None,
        loss: Loss | None = None,
        probe: Sequence[int] | None = None,
        layer: str | None = None,
        channel: int = 0,
        image: int = 0,
        checkpoint: int | None = None,
        target: int | None = None,
        memory_budget: int = 256 * 2**20,
        device: str | torch.device = "cpu",
    ) -> None:
        check_model(model)
        check_checkpoints(checkpoints)
        check_loss(loss)
        check_device(device)
        budget = checked_budget(memory_budget)
        shown = images if isinstance(images, ImageSet) else ImageSet(images)
        if not len(shown):
            raise InputError("the image set is empty; a state needs at least one image")
        indices = checked_indices(probe, len(shown))
        made = Probe(model, shown.input(0), device=device, keep_original=not checkpoints)
        recordings = Recordings(made, shown, budget)
        timeline = Timeline(checkpoints, lambda: recordings.probe.original or {})
        super().__init__(model, shown, timeline, recordings, loss, indices)
        self._checkpoints = checkpoints
        self._sources: list[Refreshable] = []
        chosen = {"channel": channel, "image": image, "checkpoint": checkpoint, "target": target}
        first = next(iter(self._layers), "")
        start = Selection(0, 0, None, 0, first, 0)
        self._publish(self._resolve(start, {**chosen, "layer": layer or first}))

    # -- what there is ------------------------------------------------------------------------

    @property
    def is_live(self) -> bool:
        """Whether the state looks at the model itself, whose captures may still come."""
        return self._checkpoints is None

    @property
    def steps(self) -> tuple[int, ...]:
        """Training steps of the checkpoints, ascending."""
        return self._timeline.steps

    @property
    def checkpoint_name(self) -> str:
        """How the selected checkpoint is called: "step 1,500", or "best.pt" by its file."""
        return self._timeline[self.selection.checkpoint].name

    @property
    def status(self) -> str:
        """One line about memory, empty while everything fits."""
        return self._recordings.status

    @property
    def problems(self) -> dict[str, str]:
        """One line for each checkpoint file that cannot be read."""
        return {} if self._checkpoints is None else dict(self._checkpoints.problems)

    def __repr__(self) -> str:
        images, layers = f"{len(self._images):,} images", f"{len(self._layers)} layers"
        now = self.selection
        at = f"at {self.checkpoint_name}, layer {now.layer}, channel {now.channel}"
        return f"<ModelState: {layers}, {len(self.steps):,} checkpoints, {images}; {at}>"

    @cached_property
    def history(self) -> History:
        """What every checkpoint holds on the probe batch, measured when a view asks for it."""
        measurer = Measurer(
            self._probe, self._publisher.lock, self._images, self.probe_indices, self._loss
        )
        return History(self._timeline, measurer, lambda: self.selection.key)

    @cached_property
    def sweeps(self) -> Sweeps:
        """What all images do at every checkpoint, swept when a view asks for it."""
        sweeper = Sweeper(self._probe, self._publisher.lock, self._images)
        return Sweeps(self._timeline, sweeper, self.layers, self._images)

    @cached_property
    def output_history(self) -> OutputHistory:
        """What every checkpoint puts out, answered when a view asks for it."""
        responder = Responder(self._probe, self._publisher.lock, self._images)
        return OutputHistory(self._timeline, responder, self.classes)

    @cached_property
    def embeddings(self) -> Embeddings:
        """Where the images lie at every checkpoint, laid out when a view asks for it."""
        encoder = Encoder(self._probe, self._publisher.lock, self._images)
        return Embeddings(self._timeline, encoder)

    # -- the model trains on ------------------------------------------------------------------

    def capture(self, step: int) -> None:
        """Remember the user's model as it is now, as the checkpoint of ``step``.

        To be called by the training thread between two steps. It takes no lock and sends no
        widget message; the next `refresh` shows it.
        """
        self._refuse_if_closed()
        self._timeline.capture(self._model, step)

    def attach(self, source: Refreshable) -> None:
        """Refresh ``source`` whenever the state is refreshed, so that views show both as one."""
        if source not in self._sources:
            self._sources.append(source)

    def refresh(self) -> int:
        """Take up captures, new checkpoint files and new metrics; return how many checkpoints.

        What is selected stays selected, wherever it now stands in the list; with ``follow`` the
        last checkpoint is selected when there are new ones.
        """
        with self.hold():
            self._refuse_if_closed()
            before = self._timeline.keys
            grown = [source.refresh() for source in self._sources]
            added = self._timeline.refresh()
            if self._timeline.keys != before:
                self._recordings.reserve(self._timeline.captured_bytes)
            if any(grown) or self._timeline.keys != before:
                self._submit(lambda now: self._relocated(now, newest=self.follow and added > 0))
            return added

    def _relocated(self, now: Selection, newest: bool) -> Selection:
        """Return the same checkpoint at its new place in the list, or the newest one."""
        last = len(self._timeline) - 1
        index = last if newest else self._timeline.index_of(now.key, now.step)
        entry = self._timeline[index]
        return replace(
            now,
            checkpoint=index,
            step=entry.step,
            key=entry.key,
            revision=now.revision + 1,
        )

    # -- the end ------------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of the copy of the model and of everything recorded; views stay as they are."""
        with self._publisher.lock:
            self._closed = True
            self.unobserve_all()
            self._recordings.close()
            self._timeline.close()
            if "history" in vars(self):
                self.history.close()
                del self.history
            if "sweeps" in vars(self):
                self.sweeps.close()
                del self.sweeps
            if "output_history" in vars(self):
                self.output_history.close()
                del self.output_history
            if "embeddings" in vars(self):
                self.embeddings.close()
                del self.embeddings
