"""Display array: the plain real numbers behind any tensor, from which every picture is made."""

from __future__ import annotations

import numpy as np
import torch

from convviz_widgets.errors import InputError

WIDE_TYPES = (torch.float64, torch.int64, torch.uint64)
"""The 64-bit types: their values would lose digits, or overflow, in float32."""

Numbers = torch.Tensor | np.ndarray | np.generic | complex
"""What can be shown: a tensor, an array or a single number (``complex`` covers int and float)."""


def to_display_array(value: Numbers) -> np.ndarray:
    """Return the values of a tensor, array or number as an array of the caller's own.

    Parameters
    ----------
    value
        Any data type (bool, integer, bfloat16, float8, complex, quantised, ...), layout (strided
        in any order, sparse, conjugate or negative views) and device; 0-d and empty included.

    Returns
    -------
    numpy.ndarray
        Same shape, C-contiguous, sharing memory with nothing: float64 for 64-bit input (a Python
        number included), else float32. NaN and infinities stay what they are. Bool becomes 0 and
        1. Complex numbers become their magnitude, as a signal's strength is what a map shows.
        Quantised tensors become the real numbers that they stand for.

    Raises
    ------
    InputError
        For a tensor without values (meta), without one shape (nested), or with entries that are
        not numbers.
    """
    if isinstance(value, torch.Tensor):
        return _from_tensor(value)
    return _from_array(value)


def as_real(value: Numbers) -> np.ndarray:
    """Return `value` itself where it is a float32 or float64 array, else its display array.

    Nothing is copied in the first case: for functions that only read.
    """
    if type(value) is np.ndarray and value.dtype in (np.float32, np.float64):
        return value
    return to_display_array(value)


def only_read(values: torch.Tensor) -> np.ndarray:
    """Return a tensor as `to_display_array` does, without a copy where it can be read as it is."""
    if values.dtype is torch.float32 and values.is_cpu and values.is_contiguous():
        array: np.ndarray = values.detach().numpy()
        array.flags.writeable = False  # others show the same values
        return array
    return to_display_array(values)


def finite_and_odd(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the finite values of an array (n,), itself where all are, and the others."""
    valid = np.isfinite(array)
    return (array, array[:0]) if valid.all() else (array[valid], array[~valid])


def _from_tensor(value: torch.Tensor) -> np.ndarray:
    if value.is_meta:
        raise InputError(
            f"a meta tensor of shape {tuple(value.shape)} has no values to show; "
            "expected a tensor on a real device"
        )
    if value.is_nested:
        raise InputError(
            "a nested tensor has no single shape to show; expected one of its parts (.unbind())"
        )
    try:
        strided = _strided(value.detach())
        wide = strided.dtype in WIDE_TYPES
        # One copy does it all: to the CPU, to real float, to row order, to memory of its own.
        result = torch.empty(
            strided.shape, dtype=torch.float64 if wide else torch.float32, device="cpu"
        ).copy_(strided)
    except (RuntimeError, NotImplementedError, TypeError) as error:
        raise InputError(
            f"cannot show a tensor of {value.dtype} in layout {value.layout}; "
            "expected numbers that PyTorch can convert to float32"
        ) from error
    return result.numpy()


def _strided(value: torch.Tensor) -> torch.Tensor:
    """Return the real, dense values of a quantised, sparse or complex tensor."""
    if value.is_quantized:
        value = value.dequantize()
    if value.layout is not torch.strided:
        value = value.to_dense()
    if value.is_complex():
        # Half-precision complex numbers have no absolute value on the CPU.
        value = (value.to(torch.complex64) if value.dtype is torch.complex32 else value).abs()
    return value


def _from_array(value: object) -> np.ndarray:
    try:
        array = np.asarray(value)
    except (ValueError, TypeError) as error:
        raise InputError(f"cannot show {type(value).__name__!r}; expected numbers") from error
    if array.dtype.kind not in "biufc":
        raise InputError(
            f"cannot show {type(value).__name__!r} with entries of type {array.dtype}; "
            "expected bool, integer, float or complex numbers"
        )
    if array.dtype.kind == "c":
        array = np.abs(array)
    wide = array.dtype.kind != "b" and array.dtype.itemsize >= 8
    with np.errstate(over="ignore"):  # a long double beyond float64 is shown as infinite
        return np.array(array, dtype=np.float64 if wide else np.float32, order="C", copy=True)
