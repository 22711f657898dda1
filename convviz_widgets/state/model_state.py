"""The one shared state: a live model, its checkpoints, its images, and what is selected.

It is what a notebook calls, so it has many short methods, each documented here; what they do stands
in the modules that it is made of: the publisher, the readings, the clients of the background.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from traitlets import HasTraits, Instance

from convviz_widgets.checkpoints import Steps
from convviz_widgets.errors import InputError, at_least_or_none, number_of
from convviz_widgets.images import ImageSet
from convviz_widgets.probe import Attributions, LayerInfo, Probe
from convviz_widgets.probe.attribution import Position
from convviz_widgets.probe.decoder import Decode, Decoder
from convviz_widgets.probe.default_loss import default_loss
from convviz_widgets.probe.output_choice import Choice
from convviz_widgets.probe.output_kinds import OutputKind
from convviz_widgets.probe.outputs import check_choice, output_kind
from convviz_widgets.record import Run
from convviz_widgets.state.ahead import Ahead
from convviz_widgets.state.arguments import (
    Checkpoints,
    check_device,
    check_loss,
    check_model,
    checked_budget,
    checked_indices,
    checkpoint_series,
)
from convviz_widgets.state.background import Background
from convviz_widgets.state.duplicate_search import DuplicateSearches
from convviz_widgets.state.embeddings import Embeddings
from convviz_widgets.state.history import History, Measurer
from convviz_widgets.state.log_steps import log_steps
from convviz_widgets.state.output_history import OutputHistory
from convviz_widgets.state.publisher import Locked, Publisher, Selected, publish
from convviz_widgets.state.readings import Readings
from convviz_widgets.state.recordings import CLOSED, Loss, Recordings
from convviz_widgets.state.selection import Selection, at, resolve
from convviz_widgets.state.sweeps import Sweeps
from convviz_widgets.state.timeline import Timeline, are_alike, newest_since


class Refreshable(Protocol):
    """Something that grows while the model trains, such as a `Run`."""

    def refresh(self) -> int:
        """Take up what is new; return how much that is."""
        ...


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
        A `CheckpointSeries`, the path of a folder of checkpoints, or pairs (step, state_dict);
        without them there is one entry, the model as it is now.
    steps_per_epoch
        Training steps of one epoch, where the checkpoints count epochs and a log counts steps.
    loss
        ``loss(output, target) -> scalar`` for gradients, of what the model returns and the labels
        or targets; default the loss usual for what it puts out: cross-entropy of class scores.
    probe
        Indices of the images that distributions and gradients use; default the first 64.
    layer, channel, image, checkpoint, target
        What is selected at first; ``layer=None`` is the first layer, ``checkpoint=None`` the last.
    memory_budget
        Bytes that recordings and captured weights may hold together.
    device
        Where the private copy of the model runs.
    output
        What the model puts out, where it cannot be known or is guessed wrong: "logits",
        "probabilities", "binary" (one logit), "multilabel", "segmentation" or "picture"; a key or
        an index into what it returns; a function of that; or some of them, the kind last, such as
        ``("heads", 0, "multilabel")``. `output_kind` says what was decided.

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

    checkpoint = Selected(help="Index into `steps`; assigning None selects the last.")
    image = Selected(help="Index into the image set.")
    layer = Selected(help="Qualified layer name; assigning it clamps the channel.")
    channel = Selected(help="Channel of the layer, from 0.")
    target = Selected(help="Class that explanations are for; None: the predicted one.")
    direction = Selected(help="Seed of a random direction instead of the channel, or None.")
    drawing = Selected(help="Input (C, H, W) that stands in for the image's; None: its own.")
    selection = Instance(Selection, read_only=True, help="All of the above, as one value.")
    follow = Locked(False, help="Select each new checkpoint as soon as a refresh finds it.")

    def __init__(
        self,
        model: nn.Module,
        images: ImageSet | Tensor,
        *,
        checkpoints: Checkpoints | None = None,
        steps_per_epoch: int | None = None,
        loss: Loss | None = None,
        probe: Sequence[int] | None = None,
        layer: str | None = None,
        channel: int = 0,
        image: int = 0,
        checkpoint: int | None = None,
        target: int | None = None,
        memory_budget: int = 256 * 2**20,
        device: str | torch.device = "cpu",
        output: Choice = None,
    ) -> None:
        check_model(model)
        series = checkpoint_series(checkpoints)
        check_loss(loss)
        check_device(device)
        check_choice(output)
        budget = checked_budget(memory_budget)
        per_epoch = at_least_or_none(1, "steps_per_epoch", steps_per_epoch)
        shown = images if isinstance(images, ImageSet) else ImageSet(images)
        if not len(shown):
            raise InputError("the image set is empty; a state needs at least one image")
        indices = checked_indices(probe, len(shown))
        super().__init__()
        self._model, self._checkpoints, self._images = model, series, shown
        self._probe_indices = indices
        self._closed = False
        self._sources: list[Refreshable] = []
        made = Probe(model, shown.input(0), device=device, keep_original=not series)
        recordings = self._recordings = Recordings(made, shown, budget)
        timeline = Timeline(series, lambda: recordings.probe.original or {}, per_epoch)
        self._timeline = timeline
        self._publisher = Publisher(self._publish)
        lock = self._publisher.lock
        kind = self._output_kind = output_kind(made, shown.input(0), shown, output)
        measured_loss = loss or partial(default_loss, kind)
        self._readings = Readings(shown, timeline, recordings, measured_loss, indices, lock)
        background = Background(made, shown, lock)
        self.background = background
        """Does what takes long beside the page."""
        measurer = Measurer(background, shown, indices, measured_loss, kind)
        self.history = History(background, timeline, measurer, lambda: self.selection.key)
        """What every checkpoint holds on the probe batch, measured when a view asks for it."""
        self.sweeps = Sweeps(background, timeline, self.layers, shown)
        """What all images do at every checkpoint, swept when a view asks for it."""
        self.output_history = OutputHistory(background, timeline, shown, kind)
        """What every checkpoint puts out, answered when a view asks for it."""
        self.embeddings = Embeddings(background, timeline, shown)
        """Where the images lie at every checkpoint, laid out when a view asks for it."""
        self.duplicate_searches = DuplicateSearches(background)
        """Which samples of some sets are equal, found out when a view asks for it."""
        self.announcements = self._publisher.announcements
        """Tell of a selection before anybody draws for it."""
        self.ahead = Ahead(
            background, timeline, self._readings, self._publisher, lambda: self.follow
        )
        """Makes views' frames of the checkpoints that the clock is likely to come to."""
        chosen = {"channel": channel, "image": image, "checkpoint": checkpoint, "target": target}
        first = next(iter(self._readings.layers), "")
        start = Selection(0, 0, None, 0, first, 0)
        first_selection = self._resolve(start, {**chosen, "layer": layer or first})
        self.announcements.make(first_selection)
        self._publish(first_selection)

    # -- what is selected ---------------------------------------------------------------------

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

    def elsewhere(self, selection: Selection, checkpoint: int) -> Selection:
        """Return a selection as it would be at another checkpoint; nothing is selected."""
        return replace(selection, **at(self._timeline, checkpoint))

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

    def afterwards(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when this publication is over and the lock is free.

        For an observer that changes another state: two states whose threads wait for each other's
        lock would wait for ever.
        """
        self._publisher.afterwards(callback)

    def when_free(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` now unless another thread publishes, else after that."""
        self._publisher.when_free(callback)

    def _submit(self, change: Callable[[Selection], Selection]) -> Selection:
        return self._publisher.submit(lambda: self.selection, change)

    def _resolve(self, current: Selection, changes: dict[str, Any]) -> Selection:
        return resolve(
            current,
            changes,
            timeline=self._timeline,
            layers=self._readings.layers,
            images=self._images,
            classes=self.classes,
        )

    def _publish(self, chosen: Selection) -> None:
        # The selection first: a raising observer of one field must not keep the views from drawing.
        names = [name for name, trait in self.traits().items() if isinstance(trait, Selected)]
        publish(self, {"selection": chosen, **{name: getattr(chosen, name) for name in names}})

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise InputError(CLOSED)

    # -- what there is ------------------------------------------------------------------------

    @property
    def layers(self) -> tuple[LayerInfo, ...]:
        """Every layer that can be looked at, in execution order."""
        return tuple(self._readings.layers.values())

    @property
    def image_set(self) -> ImageSet:
        """The images that the state looks at."""
        return self._images

    @property
    def probe_indices(self) -> tuple[int, ...]:
        """Images that distributions and gradients are computed on."""
        return self._probe_indices

    @property
    def output_kind(self) -> OutputKind:
        """What the model puts out, as it was decided when the state was made."""
        return self._output_kind

    @property
    def classes(self) -> int | None:
        """Number of classes that the output tells apart, 2 for one logit; None: it tells none."""
        return self._output_kind.classes

    @property
    def forward_count(self) -> int:
        """Forward passes so far: one for each new pair of checkpoint and image."""
        return self._recordings.probe.forward_count

    @property
    def backward_count(self) -> int:
        """Backward passes so far."""
        return self._recordings.probe.backward_count

    @property
    def is_live(self) -> bool:
        """Whether the state looks at the live model, without checkpoint files."""
        return self._checkpoints is None

    @property
    def steps(self) -> Steps:
        """Training steps of the checkpoints, ascending; epochs, where their names count those.

        A tuple of int that knows its ``unit``, the ``labels`` of all, and their ``times``.
        """
        return self._timeline.steps

    @property
    def frame_keys(self) -> tuple[int, ...]:
        """A number for each checkpoint, in the order of `steps`: that of its `frame_key`."""
        return self._timeline.frame_keys

    def frame_key(self, selection: Selection | None = None) -> int:
        """Return the number by which a page knows the checkpoint of a selection.

        Another checkpoint, other weights of it or another name of it have another number; none is
        given twice while the state lives.
        """
        chosen = selection or self.selection
        return self._timeline.numbers.of(chosen.key, chosen.label)

    @property
    def checkpoint_name(self) -> str:
        """What the checkpoint is called: "epoch 3 · step 400", or "best.pt" by its file.

        Once ``best.pt`` was read: "best.pt · epoch 3".
        """
        return self._timeline[self.selection.checkpoint].name

    @property
    def checkpoint_names(self) -> tuple[str, ...]:
        """What each checkpoint is called, in the order of `steps`."""
        return tuple(entry.name for entry in self._timeline.entries)

    @property
    def status(self) -> str:
        """One line about memory, empty while everything fits."""
        return self._recordings.status

    @property
    def problems(self) -> dict[str, str]:
        """One line for each checkpoint file that cannot be read, and for each of the `misfits`."""
        return {**self.unreadable, **self.misfits}

    @property
    def unreadable(self) -> dict[str, str]:
        """One line for each checkpoint file that cannot be read."""
        return {} if self._checkpoints is None else dict(self._checkpoints.problems)

    @property
    def misfits(self) -> dict[str, str]:
        """One line for each attached run whose log counts otherwise than the checkpoints do.

        By the name of the run's directory; under "captures" for those of the live model.
        """
        runs = [source for source in self._sources if isinstance(source, Run)]
        found = {run.directory.name: log_steps(self.steps, run).problem for run in runs}
        found["captures"] = self._timeline.problem
        return {name: line for name, line in found.items() if line}

    def __repr__(self) -> str:
        images = number_of(len(self._images), "image")
        layers = number_of(len(self.layers), "layer")
        checkpoints = number_of(len(self.steps), "checkpoint")
        now = self.selection
        at = f"at {self.checkpoint_name}, layer {now.layer}, channel {now.channel}"
        return f"<ModelState: {layers}, {checkpoints}, {images}; {at}>"

    def layer_info(self, layer: str | None = None) -> LayerInfo:
        """Return the facts about a layer, the selected one by default."""
        return self._readings.layer_info(self.selection.layer if layer is None else layer)

    def is_ready(self, selection: Selection | None = None) -> bool:
        """Tell whether the activations of a selection are there without a forward pass."""
        return self._readings.is_ready(selection or self.selection)

    def is_slow(self, selection: Selection | None = None) -> bool:
        """Tell whether the next look needs a forward pass, and passes or loads have been slow."""
        return self._readings.is_slow(selection or self.selection)

    def is_slow_to_load(self, selection: Selection | None = None) -> bool:
        """Tell whether the weights must be loaded first, and the last load was slow."""
        return self._readings.is_slow_to_load(selection or self.selection)

    # -- what goes in, and what comes out -----------------------------------------------------

    def input(self, *, selection: Selection | None = None) -> Tensor:
        """Return what the model is shown, (C, H, W) as it takes it: the drawing, or the image.

        The tensor is the caller's to change.
        """
        return self._readings.input(selection or self.selection)

    def display(self, *, selection: Selection | None = None) -> np.ndarray:
        """Return what the model is shown as a picture, uint8 (H, W, 3), preprocessing undone."""
        return self._readings.display(selection or self.selection)

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
        Tensor ``(C, H, W)``, ``(F,)``, or ``(C, T)`` for tokens that are not known to lie on the
        image, whatever order the layer itself has: `LayerInfo.channel_axis`. It is the caller's to
        change. A layer of which the channels are not known is returned as it is.
        """
        return self.recorded(layer, side, selection=selection).clone()

    def recorded(
        self, layer: str | None = None, side: str = "out", *, selection: Selection | None = None
    ) -> Tensor:
        """Return what `activation` does without a copy: for views, which only read it.

        Writing into it would falsify what every view shows.
        """
        return self._readings.recorded(selection or self.selection, layer, side)

    def tokens(self, layer: str | None = None, *, selection: Selection | None = None) -> Tensor:
        """Return what a layer puts out as a table (C, T): a column for each token or position.

        Tokens that do not lie on the image, such as a class token, are not part of the map that
        `activation` returns. Here they stand first, `LayerInfo.prefix_tokens` of them; the others
        follow row by row.
        """
        return self.recorded(layer, "table", selection=selection).clone()

    def output(self, *, selection: Selection | None = None) -> Any:
        """Return the model's own output for the selected image, batch axis included.

        Its tensors are the caller's to change.
        """
        return self._readings.output(selection or self.selection)

    def logits(self, *, selection: Selection | None = None) -> Tensor:
        """Return the class scores ``(K,)`` of the selected image; one logit as ``(1,)``.

        Of a model that puts out probabilities they are the logarithms: their softmax is what it
        puts out.

        Raises
        ------
        InputError
            If the model does not put out one row of scores an image.
        """
        kind = self._output_kind
        return kind.scores(kind.row(self.output(selection=selection)))[0]

    def probabilities(self, *, selection: Selection | None = None) -> Tensor:
        """Return the probability of each class ``(K,)`` for the selected image.

        They sum to 1, but for independent labels. Of one logit they are those of class 0 and 1.

        Raises
        ------
        InputError
            If the model does not put out one row of scores an image.
        """
        kind = self._output_kind
        return kind.probabilities(kind.row(self.output(selection=selection)))[0]

    def weight(
        self, layer: str | None = None, *, selection: Selection | None = None
    ) -> Tensor | None:
        """Return a copy of the weight at the selected checkpoint; None: the layer has none."""
        return self._readings.parameter(selection or self.selection, layer, "weight")

    def bias(
        self, layer: str | None = None, *, selection: Selection | None = None
    ) -> Tensor | None:
        """Return a copy of the bias at the selected checkpoint; None: the layer has none."""
        return self._readings.parameter(selection or self.selection, layer, "bias")

    # -- where that comes from ----------------------------------------------------------------

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
            Take the probe batch instead of the selected image.

        Returns
        -------
        ``(C, H, W)`` or ``(F,)`` for the output on one image, with a leading ``N`` for the batch;
        the weight's shape for the weight. None where the loss does not depend on it.
        """
        return self._readings.gradient(self.selection, layer, of, batch=batch)

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
            Position of the unit in each image's map; None: where it is strongest.
        selection
            Whose unit and checkpoint; default: the state's own.
        """
        chosen = selection or self.selection
        return self._readings.attributions(chosen, images, method, positions)

    def decoder(self, decode: Decode) -> Decoder:
        """Return a function of codes (B, Z), such as ``model.decode``, made ready to run.

        Raises
        ------
        InputError
            It cannot be called.
        """
        return Decoder(self._model, decode, self._images.shape)

    def decoded(
        self, decoder: Decoder, codes: Tensor, *, selection: Selection | None = None
    ) -> Tensor:
        """Return the pictures (B, C, H, W) that codes (B, Z) stand for at the checkpoint.

        Raises
        ------
        InputError
            The decoder does not take codes of this size, or does not return pictures.
        """
        return self._readings.decoded(selection or self.selection, decoder, codes)

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
        if source in self._sources:
            return
        self._sources.append(source)
        if self.misfits:  # the clock says so
            self._submit(lambda now: replace(now, revision=now.revision + 1))

    def refresh(self) -> int:
        """Take up captures, new checkpoint files and new metrics; return how many checkpoints.

        What is selected stays selected, wherever it now stands in the list; with ``follow`` the
        last checkpoint is selected when there are new ones.
        """
        with self.hold():
            self._refuse_if_closed()
            before = self._timeline.entries
            grown = [source.refresh() for source in self._sources]
            added = self._timeline.refresh()
            changed = not are_alike(before, self._timeline.entries)
            if changed:
                self._recordings.reserve(self._timeline.captured_bytes)
            if any(grown) or changed:
                follows = self.follow and added > 0
                newest = newest_since(before, self._timeline.entries) if follows else None
                self._submit(lambda now: self._relocated(now, newest))
            return added

    def _relocated(self, now: Selection, newest: int | None) -> Selection:
        """Return the same checkpoint at its new place in the list, or the newest one."""
        index = self._timeline.index_of(now.key, now.step) if newest is None else newest
        return replace(now, revision=now.revision + 1, **at(self._timeline, index))

    # -- the end ------------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of the copy of the model and of everything recorded; views stay as they are."""
        with self._publisher.lock:
            self._closed = True
            self.unobserve_all()
            self.announcements.close()
            self.background.close()
            self._recordings.close()
            self._timeline.close()
