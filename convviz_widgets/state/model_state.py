"""The one shared state: a live model, its checkpoints, its images, and what is selected."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only
from traitlets import HasTraits, Instance

from convviz_widgets.checkpoints import CheckpointSeries
from convviz_widgets.errors import InputError, UnknownLayerError, unknown
from convviz_widgets.instrument import Attributions, ImageSet, LayerInfo, Probe
from convviz_widgets.instrument.decoder import Decode, Decoder
from convviz_widgets.instrument.unit import Position
from convviz_widgets.state.arguments import (
    check_checkpoints,
    check_device,
    check_model,
    checked_budget,
    checked_indices,
)
from convviz_widgets.state.history import History
from convviz_widgets.state.measurer import Measurer
from convviz_widgets.state.named_unit import NamedUnit
from convviz_widgets.state.publisher import Publisher
from convviz_widgets.state.recordings import CLOSED, Recordings
from convviz_widgets.state.resolve import resolve
from convviz_widgets.state.selected import Locked, Selected, publish
from convviz_widgets.state.selection import Selection
from convviz_widgets.state.sweeper import Sweeper
from convviz_widgets.state.sweeps import Sweeps
from convviz_widgets.state.timeline import Entry, Timeline


class Refreshable(Protocol):
    """Something that grows while the model trains, such as a `Run`."""

    def refresh(self) -> int:
        """Take up what is new; return how much that is."""
        ...


SLOW = 0.1
"""Seconds of a forward pass from which on a view says that it is computing."""

Loss = Callable[[Any, Any], Tensor]


class ModelState(HasTraits):
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
    """

    checkpoint = Selected(help="Index into `steps`; assigning None selects the last.")
    image = Selected(help="Index into the image set.")
    layer = Selected(help="Qualified layer name; assigning it clamps the channel.")
    channel = Selected(help="Channel of the layer, from 0.")
    target = Selected(help="Class that explanations are for; None: the predicted one.")
    direction = Selected(help="Seed of a random direction instead of the channel, or None.")
    follow = Locked(False, help="Select each new checkpoint as soon as a refresh finds it.")
    selection = Instance(Selection, read_only=True, help="All of the above, as one value.")

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
        super().__init__()
        check_model(model)
        check_checkpoints(checkpoints)
        check_device(device)
        budget = checked_budget(memory_budget)
        self._model = model
        self._images = images if isinstance(images, ImageSet) else ImageSet(images)
        if not len(self._images):
            raise InputError("the image set is empty; a state needs at least one image")
        self._probe_indices = checked_indices(probe, len(self._images))
        made = Probe(model, self._images.input(0), device=device, keep_original=not checkpoints)
        self._layers = {info.name: info for info in made.layers}
        self._checkpoints = checkpoints
        self._timeline = Timeline(checkpoints, lambda: self._probe.original or {})
        self._recordings = Recordings(made, self._images, budget)
        self._sources: list[Refreshable] = []
        self._loss = loss
        self._publisher = Publisher(self._publish)
        self._closed = False
        chosen = {"channel": channel, "image": image, "checkpoint": checkpoint, "target": target}
        first = next(iter(self._layers), "")
        start = Selection(0, 0, None, 0, first, 0)
        self._publish(self._resolve(start, {**chosen, "layer": layer or first}))

    # -- what there is ------------------------------------------------------------------------

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        """Every layer that can be looked at, in execution order."""
        return tuple(self._layers.values())

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
    def image_set(self) -> ImageSet:
        """The images that the state looks at."""
        return self._images

    @property
    def probe_indices(self) -> tuple[int, ...]:
        """Images that distributions and gradients are computed on."""
        return self._probe_indices

    @property
    def forward_count(self) -> int:
        """Forward passes so far: one for each new pair of checkpoint and image."""
        return self._probe.forward_count

    @property
    def backward_count(self) -> int:
        """Backward passes so far."""
        return self._probe.backward_count

    @property
    def status(self) -> str:
        """One line about memory, empty while everything fits."""
        return self._recordings.status

    @property
    def problems(self) -> dict[str, str]:
        """One line for each checkpoint file that cannot be read."""
        return {} if self._checkpoints is None else dict(self._checkpoints.problems)

    def layer_info(self, layer: str | None = None) -> LayerInfo:
        """Return the facts about a layer, the selected one by default."""
        name = self.selection.layer if layer is None else layer
        if name not in self._layers:
            raise UnknownLayerError(unknown("layer", name, self._layers, "this model has"))
        return self._layers[name]

    # -- select and publish -------------------------------------------------------------------

    def select(self, **changes: Any) -> Selection:
        """Change several fields at once; every view draws at most once.

        Anything invalid raises before anything is written. A ``select`` made by an observer while
        the state publishes is queued, so that every view sees all selections in the same order.

        Returns
        -------
        The selection that these changes lead to.
        """
        self._refuse_if_closed()
        return self._submit(lambda current: self._resolve(current, changes))

    def publishing_here(self) -> bool:
        """Tell whether this thread is publishing: controls then ignore their own changes."""
        return self._publisher.here()

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """The one lock that every write and every publication holds."""
        return self._publisher.lock

    @contextmanager
    def hold(self) -> Iterator[Selection]:
        """Keep the selection still while a view draws; what it selects is published after."""
        with self._publisher.hold(lambda: self.selection):
            yield self.selection

    @property
    def _probe(self) -> Probe:
        return self._recordings.probe

    def _submit(self, change: Callable[[Selection], Selection]) -> Selection:
        return self._publisher.submit(lambda: self.selection, change)

    def _resolve(self, current: Selection, changes: dict[str, Any]) -> Selection:
        return resolve(
            current,
            changes,
            timeline=self._timeline,
            layers=self._layers,
            images=len(self._images),
            classes=self._probe.classes,
        )

    def _publish(self, chosen: Selection) -> None:
        # The selection first: a raising observer of one field must not keep the views from drawing.
        names = [name for name, trait in self.traits().items() if isinstance(trait, Selected)]
        publish(self, {"selection": chosen, **{name: getattr(chosen, name) for name in names}})

    # -- what the model does ------------------------------------------------------------------

    def is_ready(self, selection: Selection | None = None) -> bool:
        """Tell whether the activations of a selection are there without a forward pass."""
        chosen = self.selection if selection is None else selection
        entry = self._timeline[chosen.checkpoint]
        return self._recordings.has(entry, chosen.image, chosen.layer)

    def is_slow(self, selection: Selection | None = None) -> bool:
        """Tell whether the next look needs a forward pass, and passes or loads have been slow."""
        if self.is_ready(selection):
            return False
        return self._recordings.seconds > SLOW or self.is_slow_to_load(selection)

    def is_slow_to_load(self, selection: Selection | None = None) -> bool:
        """Tell whether the weights must be loaded first, and the last load was slow."""
        chosen = self.selection if selection is None else selection
        entry = self._timeline[chosen.checkpoint]
        return not self._recordings.is_loaded(entry) and self._recordings.load_seconds > SLOW

    def activation(
        self, layer: str | None = None, side: str = "out", *, selection: Selection | None = None
    ) -> Tensor:
        """Return what ``layer`` puts out for the selected image at the selected checkpoint.

        Parameters
        ----------
        layer
            Default: the selected layer.
        side
            ``"out"``, or ``"in"`` for the input of an activation: the true pre-activation.
        selection
            Whose image and checkpoint; default: the state's own, as in all that follow.

        Returns
        -------
        Tensor ``(C, H, W)`` or ``(F,)``, the caller's to change.
        """
        return self.recorded(layer, side, selection=selection).clone()

    def recorded(
        self, layer: str | None = None, side: str = "out", *, selection: Selection | None = None
    ) -> Tensor:
        """Return what `activation` does without a copy: for views, which only read it.

        Writing into it would falsify what every view shows.
        """
        if side not in ("out", "in"):
            raise InputError(unknown("side", side, ("out", "in"), "a layer has"))
        with self._publisher.lock:
            self._refuse_if_closed()
            chosen = selection or self.selection
            info = self.layer_info(chosen.layer if layer is None else layer)
            return self._recordings.activation(*self._place(chosen), info.name, side)

    def output(self, *, selection: Selection | None = None) -> Any:
        """Return the model's own output for the selected image, batch axis included.

        Its tensors are the caller's to change.
        """
        with self._publisher.lock:
            self._refuse_if_closed()
            place = self._place(selection or self.selection)
            return tree_map_only(Tensor, Tensor.clone, self._recordings.result(*place))

    def logits(self, *, selection: Selection | None = None) -> Tensor:
        """Return the class scores ``(K,)`` of the selected image.

        Raises
        ------
        InputError
            If the model does not put out one row of scores an image.
        """
        result = self.output(selection=selection)
        if not isinstance(result, Tensor) or result.ndim != 2:
            shape = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
            raise InputError(f"the model puts out {shape}; class scores have the shape (N, K)")
        return result[0]

    def weight(
        self, layer: str | None = None, *, selection: Selection | None = None
    ) -> Tensor | None:
        """Return a copy of the weight at the selected checkpoint; None: the layer has none."""
        return self._parameter("weight", layer, selection)

    def bias(
        self, layer: str | None = None, *, selection: Selection | None = None
    ) -> Tensor | None:
        """Return a copy of the bias at the selected checkpoint; None: the layer has none."""
        return self._parameter("bias", layer, selection)

    def gradient(
        self, layer: str | None = None, of: str = "output", batch: bool = False
    ) -> Tensor | None:
        """Return the gradient of the loss at the selected checkpoint.

        Parameters
        ----------
        layer
            Default: the selected layer.
        of
            ``"output"``: with respect to the layer's output; ``"weight"``: to its weight.
        batch
            For the probe batch instead of the selected image.

        Returns
        -------
        ``(C, H, W)`` or ``(F,)`` for the output on one image, with a leading ``N`` for the batch;
        the weight's shape for the weight. None where the loss does not depend on it.
        """
        if of not in ("output", "weight"):
            raise InputError(unknown("of", of, ("output", "weight"), "a gradient is of the"))
        with self._publisher.lock:
            self._refuse_if_closed()
            info = self.layer_info(layer)
            entry, image = self._place(self.selection)
            images = self.probe_indices if batch else (image,)
            gradients = self._recordings.gradients(entry, images, self._loss)
            found = (gradients.outputs if of == "output" else gradients.weights).get(info.name)
            if found is None:
                return None
            return (found[0] if of == "output" and not batch else found).clone()

    def attributions(
        self,
        images: Sequence[int],
        *,
        method: str = "deconvnet",
        positions: Sequence[Position | None] | None = None,
        selection: Selection | None = None,
    ) -> Attributions:
        """Return the pixels of each of these images that the selected unit answers to.

        The unit is the selected channel, or the direction that stands in for it. Its value in an
        image may be zero or less: then there is nothing to reconstruct.

        Parameters
        ----------
        images
            Indices into the image set; they go through the model together.
        method
            "deconvnet", "guided" or "gradient".
        positions
            Of the unit in each image's map; None: where it is strongest.
        selection
            Whose unit and checkpoint; default: the state's own.
        """
        with self._publisher.lock:
            self._refuse_if_closed()
            chosen = selection or self.selection
            places = None if positions is None else tuple(place or () for place in positions)
            unit = NamedUnit(chosen.layer, chosen.channel, chosen.direction, places)
            entry, _image = self._place(chosen)
            return self._recordings.attributions(entry, tuple(images), unit, method)

    def decoder(self, decode: Decode) -> Decoder:
        """Return a function of codes (B, Z), such as ``model.decode``, made ready to run.

        Raises
        ------
        InputError
            It cannot be called.
        """
        return Decoder(self._model, decode, self.image_set.shape)

    def decoded(
        self, decoder: Decoder, codes: Tensor, *, selection: Selection | None = None
    ) -> Tensor:
        """Return the pictures (B, C, H, W) that codes (B, Z) stand for at the checkpoint.

        Raises
        ------
        InputError
            The decoder does not take codes of this size, or does not return pictures.
        """
        with self._publisher.lock:
            self._refuse_if_closed()
            probe = self._recordings.load(self._place(selection or self.selection)[0])
            return decoder.pictures(probe, codes)

    def _parameter(
        self, kind: str, layer: str | None, selection: Selection | None
    ) -> Tensor | None:
        with self._publisher.lock:
            self._refuse_if_closed()
            chosen = selection or self.selection
            info = self.layer_info(chosen.layer if layer is None else layer)
            probe = self._recordings.load(self._place(chosen)[0])
            return probe.weight(info.name) if kind == "weight" else probe.bias(info.name)

    def _place(self, chosen: Selection) -> tuple[Entry, int]:
        return self._timeline[chosen.checkpoint], chosen.image

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
        with self._publisher.lock:
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

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise InputError(CLOSED)
