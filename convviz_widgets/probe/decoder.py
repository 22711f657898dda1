"""A decoder: from codes to pictures, with whatever weights a probe has loaded.

The codes of a latent traversal differ in one factor; how much it changes the pictures is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from convviz_widgets.errors import ConvVizError, InputError, error_text
from convviz_widgets.probe.probe import Probe
from convviz_widgets.probe.recording import first_tensor
from convviz_widgets.probe.replica import private_replica, unwrapped

Decode = Callable[[Tensor], Any]


class Decoder:
    """Runs ``decode`` on codes, on a private copy wherever it belongs to a module.

    Parameters
    ----------
    model : the model that the probe looks through.
    decode : takes codes (B, Z) and returns pictures (B, C, H, W), (B, H, W), or (B, C·H·W) of
        ``shape``. A method or a part of ``model`` runs with the weights that are loaded, a method
        of another module on a copy of that module; any other function is called as it is.
    shape : (C, H, W) of pictures that come flat.

    Attributes
    ----------
    follows : whether loading another checkpoint changes what comes out.

    Raises
    ------
    InputError
        ``decode`` cannot be called.
    """

    def __init__(self, model: nn.Module, decode: Decode, shape: tuple[int, ...]) -> None:
        if not callable(decode):
            raise InputError(
                "decode= takes a function of codes (B, Z), such as model.decode, got "
                f"{type(decode).__name__}"
            )
        self._shape = shape
        owner, self._method = _owner(decode)
        names = {id(module): name for name, module in unwrapped(model).named_modules()}
        path = names.get(id(unwrapped(owner))) if owner is not None else None
        self.follows = path is not None
        self._part = path or ""
        self._own = decode
        if owner is not None and path is None:
            self._own = getattr(private_replica(owner, "cpu"), self._method)

    def pictures(self, probe: Probe, codes: Tensor) -> Tensor:
        """Return what these codes (B, Z) stand for: pictures (B, C, H, W), float32.

        Raises
        ------
        InputError
            The decoder does not take codes of this size, or does not return pictures.
        ModelError
            It draws random numbers.
        """
        try:
            found = probe.call(lambda replica, own: self._function(replica)(own), codes)
        except ConvVizError:
            raise
        except Exception as error:
            raise InputError(
                f"decode raised on codes {tuple(codes.shape)}: {error_text(error)}; "
                "size= is how many factors a code has"
            ) from error
        return self._as_pictures(found, len(codes))

    def _function(self, replica: nn.Module) -> Decode:
        if not self.follows:
            return self._own
        found: Decode = getattr(replica.get_submodule(self._part), self._method)
        return found

    def _as_pictures(self, found: Any, count: int) -> Tensor:
        first = first_tensor(found)
        if first is None or len(first) != count:
            got = "no tensor" if first is None else tuple(first.shape)
            raise InputError(f"decode returned {got} for {count} codes")
        pictures = first.detach().to("cpu", torch.float32)
        if pictures.ndim == 2 and pictures.shape[1:].numel() == torch.Size(self._shape).numel():
            pictures = pictures.reshape(count, *self._shape)
        if pictures.ndim == 3:
            pictures = pictures[:, None]
        if pictures.ndim != 4:
            raise InputError(
                f"decode returned {tuple(first.shape)}; expected pictures (B, C, H, W)"
            )
        return pictures


def traversal_codes(held: Tensor, values: Tensor) -> Tensor:
    """Return codes (Z, V, Z): the factor of the first axis takes each value, the others are held.

    Parameters
    ----------
    held : (Z,), the code whose other factors stay.
    values : (V,), what each factor is set to in turn.
    """
    factors = len(held)
    codes = held.repeat(factors, len(values), 1)  # (Z, V, Z)
    each = torch.arange(factors)
    codes[each, :, each] = values.to(codes)
    return codes


def traversal_change(strips: Tensor) -> Tensor:
    """Return how much each factor changes the pictures (Z,), in their own units.

    The root mean square, over pixels and values, of the difference from the strip's mean picture:
    0 for a factor without effect.

    Parameters
    ----------
    strips : (Z, V, C, H, W), the pictures of `traversal_codes`.
    """
    spread = strips - strips.mean(dim=1, keepdim=True)
    return spread.square().flatten(1).mean(1).sqrt()


def _owner(decode: Decode) -> tuple[nn.Module | None, str]:
    """Return the module that ``decode`` belongs to, and the name of the method."""
    if isinstance(decode, nn.Module):
        return decode, "__call__"
    owner = getattr(decode, "__self__", None)
    name = getattr(decode, "__name__", "")
    if isinstance(owner, nn.Module) and hasattr(owner, name):
        return owner, name
    return None, ""
