"""The look of a filter: how colourful it is, and how fast it changes in space."""

from __future__ import annotations

import numpy as np

from convviz_widgets.errors import InputError
from convviz_widgets.tensors.display import Numbers, to_display_array

SPECTRUM = 64
"""Points of the spectrum on each axis: frequencies are known to a 64th of a cycle a pixel."""


def chroma(filters: Numbers) -> np.ndarray:
    """Return how much of each filter is colour: 0 for grey, 1 for what a grey image cannot see.

    Parameters
    ----------
    filters
        (O, 3, h, w), first-layer filters; other numbers of channels have no colour.

    Returns
    -------
    numpy.ndarray
        (O,) float64 in [0, 1]: √Σ(w_c − grey)² / √Σw_c², grey being the mean of the three
        channels. 0 for a filter of zeros; NaN for one that is not finite.
    """
    array = _filters(filters)
    if array.shape[1] != 3:
        raise InputError(f"filters with {array.shape[1]} input channels have no colours; need 3")
    off_grey = array - array.mean(axis=1, keepdims=True)
    whole = _norm(array)
    return np.divide(_norm(off_grey), whole, out=whole * 0.0, where=whole != 0)


def dominant_frequency(filters: Numbers) -> np.ndarray:
    """Return the spatial frequency at which each filter is strongest.

    Parameters
    ----------
    filters
        (O, I, h, w).

    Returns
    -------
    numpy.ndarray
        (O,) float64 in cycles a pixel: 0 for a blob of one sign, 0.5 for columns that alternate,
        √0.5 for a chequerboard. It is the peak of the power spectrum, summed over the inputs. NaN
        where a filter is zero or not finite.
    """
    array = _filters(filters)
    finite = np.isfinite(array).all(axis=(1, 2, 3)) & array.any(axis=(1, 2, 3))  # (O,)
    safe = np.where(finite[:, None, None, None], array, 0.0)
    size = max(SPECTRUM, *array.shape[2:])
    power = np.stack([(np.abs(np.fft.rfft2(one, s=(size, size))) ** 2).sum(axis=0) for one in safe])
    strongest = power.reshape(len(array), -1).argmax(axis=1)  # (O,)
    row, column = np.unravel_index(strongest, power.shape[1:])
    frequency = np.hypot(np.fft.fftfreq(size)[row], np.fft.rfftfreq(size)[column])
    return np.where(finite, frequency, np.nan)


def by_look(filters: Numbers) -> np.ndarray:
    """Return the filters' numbers, coloured low-frequency ones first, grey fast ones last.

    Colourful and slow count alike, by rank: so the two streams part that AlexNet's first layer
    has (Krizhevsky, Sutskever & Hinton, 2012). Filters of other than three inputs go by their
    frequency alone; those without one, being zero or not finite, come last.
    """
    array = _filters(filters)
    fast = dominant_frequency(array)
    known = np.isfinite(fast)
    key = _rank(np.where(known, fast, np.inf)).astype(np.float64)
    if array.shape[1] == 3:
        key -= _rank(np.where(known, np.nan_to_num(chroma(array)), -np.inf))
    return np.lexsort((key, ~known))


def _filters(filters: Numbers) -> np.ndarray:
    array = to_display_array(filters).astype(np.float64)
    if array.ndim != 4 or 0 in array.shape:
        raise InputError(f"expected filters (O, I, h, w), got {array.shape}")
    return array


def _norm(array: np.ndarray) -> np.ndarray:
    """Return the Euclidean norm of each filter: (O,)."""
    return np.sqrt((array**2).sum(axis=(1, 2, 3)))


def _rank(values: np.ndarray) -> np.ndarray:
    """Return the place of each value among the different ones, equal values sharing theirs."""
    return np.unique(values, return_inverse=True)[1]
