"""LoadedModel: a private replica of the user's model, with the weights of one checkpoint in it."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from convviz_widgets.errors import InputError
from convviz_widgets.instrument.fitting import load_checked
from convviz_widgets.instrument.replica import private_replica
from convviz_widgets.instrument.wiring import Wiring


class LoadedModel:
    """Holds the replica, and changes its weights as a whole or not at all.

    Parameters
    ----------
    model : is only read.
    device : where the replica lives.
    may_draw : whether random functions may draw; else they raise.

    Attributes
    ----------
    key : what `load` was last given; None before, and after a load that failed.
    original : a state_dict to go back to, None where none was kept.
    """

    def __init__(
        self, model: nn.Module, device: str | torch.device, *, may_draw: bool = False
    ) -> None:
        self.key: Hashable | None = None
        self.original: Mapping[str, Any] | None = None
        self._device = torch.device(device)
        with self._plain_mode():
            self._replica = private_replica(model, self._device)
            self._own = self._replica.state_dict()  # aliases: always what is loaded now
            self._wiring = Wiring(self._replica, may_draw=may_draw)

    def load(self, state_dict: Mapping[str, Any], key: Hashable | None = None) -> None:
        """Copy a checkpoint's values into the replica, after checking that all of them fit.

        Parameters
        ----------
        state_dict : its keys may carry the prefixes of torch.compile and DataParallel, or any one
            that all of them share ("model.", "net.").
        key : what `key` says from now on.

        Raises
        ------
        CheckpointError
            Names up to three missing and unexpected keys, or shapes; `key` is None afterwards.
        """
        self.key = None
        with self._plain_mode():
            load_checked(self._replica, state_dict, self._own)
        self.key = key

    def restore(self, key: Hashable | None = None) -> None:
        """Load the weights that the model had when the probe was made."""
        if self.original is None:
            raise InputError("this probe kept no original weights; make it with keep_original=True")
        self.load(self.original, key)

    def _own_copy(self, images: Tensor) -> Tensor:
        return images.detach().to(self._device, copy=True)  # a model may write into its input

    @contextmanager
    def _plain_mode(self) -> Iterator[None]:
        """Run in plain eager mode without gradients, whatever the caller's thread has on."""
        autocast = torch.autocast(self._device.type, enabled=False)
        with torch.inference_mode(False), torch.no_grad(), autocast:
            yield
