"""Explanations: gradients, the pixels a unit answers to, the pictures that codes stand for."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from convviz_widgets.errors import InputError, unknown
from convviz_widgets.instrument import Attributions
from convviz_widgets.instrument.attribution import Position
from convviz_widgets.instrument.decoder import Decode, Decoder
from convviz_widgets.state.named_unit import NamedUnit
from convviz_widgets.state.readings import Readings
from convviz_widgets.state.selection import Selection


class Explanations(Readings):
    """Asks back from what a model puts out to where it comes from, at what is selected."""

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
            entry, shown = self._place(self.selection)
            images = self.probe_indices if batch else (shown,)
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
            entry, _shown = self._place(chosen)
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
