"""Random numbers: looking at a model or a data set leaves every generator where it stands."""

from __future__ import annotations

import os
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from types import CellType, FunctionType, MemberDescriptorType, ModuleType
from typing import Any, NoReturn

import numpy as np
import torch
from torch.nn import functional as F
from torch.nn import init
from torch.overrides import TorchFunctionMode

from convviz_widgets.errors import InputError, ModelError

_HOMES = {"torch": torch, "Tensor": torch.Tensor, "F": F, "init": init}

_DROPOUTS = (
    "dropout dropout1d dropout2d dropout3d alpha_dropout feature_alpha_dropout feature_dropout"
    " dropout_ alpha_dropout_ feature_alpha_dropout_ feature_dropout_"
)

_DRAW = (
    "rand randn randint randperm bernoulli normal multinomial poisson binomial rand_like randn_like"
    " randint_like uniform_ normal_ exponential_ geometric_ cauchy_ log_normal_ random_ bernoulli_"
    " gumbel_softmax svd_lowrank pca_lowrank kaiming_uniform_ kaiming_normal_ xavier_uniform_"
    " xavier_normal_ trunc_normal_ orthogonal_ sparse_ _standard_gamma _sample_dirichlet"
)

# These draw only when all of these arguments (name, position, default) are on.
_DRAW_IF: dict[str, tuple[tuple[str, int, Any], ...]] = {
    "rrelu": (("training", 3, False),),
    "rrelu_": (("training", 3, False),),
    "native_dropout": (("train", 2, True),),
    "scaled_dot_product_attention": (("dropout_p", 4, 0.0),),
    "multi_head_attention_forward": (("dropout_p", 10, 0.0), ("training", 13, True)),
}

# These draw unless this argument (name, position) brings the numbers.
_DRAW_UNLESS: dict[str, tuple[str, int]] = {
    "fractional_max_pool2d": ("_random_samples", 5),
    "fractional_max_pool3d": ("_random_samples", 5),
    "fractional_max_pool2d_with_indices": ("_random_samples", 5),
    "fractional_max_pool3d_with_indices": ("_random_samples", 5),
    "lobpcg": ("X", 3),
}


def _functions(names: list[str]) -> dict[Callable[..., Any], str]:
    return {
        getattr(home, name): f"{place}.{name}"
        for name in names
        for place, home in _HOMES.items()
        if hasattr(home, name)
    }


DROPOUTS = frozenset(_functions(_DROPOUTS.split()))
"""Dropout under every name; in a pass that is looked at it is the identity."""

RANDOM = _functions([*_DRAW.split(), *_DRAW_IF, *_DRAW_UNLESS])
"""Every other function that draws, or may draw → how an error names it."""

_GENERATORS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)

_WITHOUT_PARTS = (str, bytes, int, float, torch.Tensor, np.ndarray, ModuleType)

DEPTH = 6
"""How deep in lists, dicts and objects the generators of a data set are looked for."""

MOST_OBJECTS = 10_000
"""Objects that are looked into at most."""


def draws(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether this call of a function in `RANDOM` takes numbers from the generator."""
    given = _DRAW_UNLESS.get(func.__name__)
    if given is not None:
        return _argument(args, kwargs, *given, None) is None
    return all(_argument(args, kwargs, *switch) for switch in _DRAW_IF.get(func.__name__, ()))


def refuse(func: Callable[..., Any]) -> NoReturn:
    """Raise a `ModelError` that names a model's random function and says what to change."""
    raise ModelError(
        f"the model draws random numbers in eval mode ({RANDOM[func]}), so looking at it would "
        "change your training run: draw only `if self.training`"
    )


class NoRandomness(TorchFunctionMode):
    """While a data set is read, a random function of torch raises instead of drawing."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in RANDOM and draws(func, args, kwargs or {}):
            raise InputError(
                f"the data set draws random numbers ({RANDOM[func]}), so looking at it would "
                "change your training run: give it without random transforms"
            )
        return func(*args, **(kwargs or {}))


def _argument(
    args: tuple[Any, ...], kwargs: dict[str, Any], name: str, position: int, default: Any
) -> Any:
    return kwargs.get(name, args[position] if len(args) > position else default)


class BorrowedDraws(TorchFunctionMode):
    """While it is on, functions of torch draw from copies of the generators they would use.

    The copies begin where the originals stand, so that the numbers are those that would have come
    next. No generator is set back afterwards: a training that runs in another thread meanwhile
    would then see its numbers twice.
    """

    def __init__(self) -> None:
        super().__init__()
        self._copies: dict[int, tuple[torch.Generator, torch.Generator]] = {}
        self._process = os.getpid()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        if func not in RANDOM and func not in DROPOUTS:
            return func(*args, **named)
        if os.getpid() != self._process:  # a worker of a loader has generators of its own
            return func(*args, **named)
        copy = self._copy_of(named.get("generator") or torch.default_generator)
        try:
            return func(*args, **{**named, "generator": copy})
        except TypeError:  # it takes no generator: dropout, say
            return self._with_global(copy, func, args, named)

    def _copy_of(self, original: torch.Generator) -> torch.Generator:
        """Return the copy of a generator; the original is kept, so that its `id` stays its own."""
        if id(original) not in self._copies:
            self._copies[id(original)] = original, original.clone_state()
        return self._copies[id(original)][1]

    def _with_global(
        self,
        copy: torch.Generator,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        before = torch.get_rng_state()
        torch.set_rng_state(copy.get_state())
        try:
            return func(*args, **kwargs)
        finally:
            copy.set_state(torch.get_rng_state())
            torch.set_rng_state(before)


@contextmanager
def borrowed_randomness(*owners: Any) -> Iterator[None]:
    """Give back the random state of numpy, of `random` and of all generators in ``owners``.

    Torch's are not touched at all, see `BorrowedDraws`. Python and numpy offer no such detour:
    their states are set back, if they have moved.

    Parameters
    ----------
    owners : objects whose attributes, and theirs, may hold generators of torch, numpy or `random`.
    """
    before = RandomState(_generators(owners))
    try:
        with BorrowedDraws():
            yield
    finally:
        before.give_back()


class RandomState:
    """Where the generators of numpy and `random` stand, and some others beside them.

    Parameters
    ----------
    others : generators of torch, numpy or `random`.
    """

    def __init__(self, others: Iterable[Any] = ()) -> None:
        self._sources = [_numpy_global(), random, *others]
        self._states = [_state(source) for source in self._sources]

    def moved(self) -> str:
        """Return the names of those that have moved since; "" for none."""
        return " and ".join(dict.fromkeys(_source_name(source) for source, _ in self._moved()))

    def give_back(self) -> None:
        """Set back those that have moved since."""
        for source, state in self._moved():
            _set_state(source, state)

    def _moved(self) -> list[tuple[Any, Any]]:
        pairs = zip(self._sources, self._states, strict=True)
        return [(source, state) for source, state in pairs if not _equal(_state(source), state)]


def generators_of(dataset: Any) -> list[Any]:
    """Return the generators that a data set, or the code that reads it, refers to.

    Those of numpy and of `random` that all share are not among them.
    """
    shared = (_numpy_global(), getattr(random.random, "__self__", None))
    found = _generators((dataset,), in_code=True)
    return [each for each in found if not any(each is one for one in shared)]


def _source_name(source: Any) -> str:
    if source is random:
        return "random"
    if source is torch.default_generator:
        return "torch"
    return "numpy.random" if source is _numpy_global() else "a generator of its own"


def _numpy_global() -> Any:
    # Its functions are methods of one hidden object, which alone has the state of all.
    return np.random.mtrand._rand


def _state(source: Any) -> Any:
    if isinstance(source, torch.Generator):
        return source.get_state()
    if isinstance(source, np.random.Generator):
        return source.bit_generator.state
    return source.get_state(legacy=False) if _is_numpy(source) else source.getstate()


def _set_state(source: Any, state: Any) -> None:
    if isinstance(source, np.random.Generator):
        source.bit_generator.state = state
    elif isinstance(source, torch.Generator) or _is_numpy(source):
        source.set_state(state)
    else:
        source.setstate(state)


def _is_numpy(source: Any) -> bool:
    return isinstance(source, np.random.RandomState)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return all(_equal(one[key], other[key]) for key in one)
    return bool(np.array_equal(one, other)) if isinstance(one, np.ndarray) else one == other


def _generators(owners: tuple[Any, ...], *, in_code: bool = False) -> list[Any]:
    """Return every generator that the attributes of some objects, and theirs, refer to.

    With ``in_code`` also those in closures, and those among the globals that their functions name.
    """
    found: list[Any] = []
    seen: set[int] = set()
    pending = deque((owner, 0) for owner in owners)
    while pending and len(seen) < MOST_OBJECTS:
        owner, depth = pending.popleft()
        if id(owner) in seen or isinstance(owner, _WITHOUT_PARTS):
            continue
        seen.add(id(owner))
        if isinstance(owner, _GENERATORS):
            found.extend([] if isinstance(owner, random.SystemRandom) else [owner])
        elif depth < DEPTH:
            parts = [*_parts(owner), *(_parts_of_code(owner) if in_code else ())]
            pending.extend((part, depth + 1) for part in parts)
    return found


def _parts(owner: Any) -> list[Any]:
    if isinstance(owner, Mapping):
        return list(owner.values())[:MOST_OBJECTS]
    if isinstance(owner, list | tuple | set | frozenset):
        return list(owner)[:MOST_OBJECTS]
    if isinstance(owner, partial):
        return [owner.func, *owner.args, *owner.keywords.values()]
    return [*getattr(owner, "__dict__", {}).values(), *_in_slots(owner)]


def _in_slots(owner: Any) -> Iterator[Any]:
    """Yield what an object holds in the slots of its class, without running code of its own."""
    for base in type(owner).__mro__:
        slots = vars(base).values() if "__slots__" in vars(base) else ()
        for slot in slots:
            if isinstance(slot, MemberDescriptorType):
                with suppress(AttributeError):  # nothing was put into it
                    yield slot.__get__(owner)


_RUN = ("__getitem__", "__getitems__", "__call__", "forward")
"""Methods that run when an item is read."""


def _parts_of_code(owner: Any) -> list[Any]:
    """Return what a function holds in its closure or names, and the functions of an object."""
    if isinstance(owner, type | ModuleType):
        return []
    if not isinstance(owner, FunctionType):
        return _parts_of_instance(owner)
    cells = [cell.cell_contents for cell in owner.__closure__ or () if _is_filled(cell)]
    names = owner.__code__.co_names
    named = [owner.__globals__.get(name) for name in names]
    modules = [each for each in named if isinstance(each, ModuleType)]
    inside = [vars(module).get(name) for module in modules for name in names]
    return [*cells, *(owner.__defaults__ or ()), *named, *inside]


def _parts_of_instance(owner: Any) -> list[Any]:
    kind = type(owner)
    if kind.__module__ == "builtins":  # a method, say; looking for one on others runs their code
        return [getattr(owner, "__self__", None), getattr(owner, "__func__", None)]
    methods = [getattr(kind, name, None) for name in _RUN]
    of_class = [each for base in kind.__mro__ for each in vars(base).values()]
    return [
        *(each for each in of_class if isinstance(each, _GENERATORS)),
        *(each for each in methods if isinstance(each, FunctionType)),
    ]


def _is_filled(cell: CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # of a name that is bound later
        return False
