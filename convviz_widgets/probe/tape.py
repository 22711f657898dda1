"""Tapes: each names and keeps the layers of one forward pass, while hooks and torch report them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Container, Mapping
from typing import Any, Literal

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from convviz_widgets.errors import ModelError
from convviz_widgets.images.randomness import DROPOUTS, RANDOM, draws, refuse
from convviz_widgets.probe.layers import ACTIVATION_FUNCTIONS
from convviz_widgets.probe.recording import Memory, first_tensor, storage_of, tensors_in

Origin = tuple[str, str | None]
"""Where a layer comes from: the module's name, and the op of a functional activation."""

Site = tuple[str, Literal["in", "out"]]
"""A place where a tensor is kept: a layer, its input or its output."""

_WATCHED = frozenset(ACTIVATION_FUNCTIONS) | DROPOUTS | frozenset(RANDOM)

_unwatched = torch._C.DisableTorchFunction  # in a hook, so that our own calls skip the mode


class Tape(TorchFunctionMode):
    """One forward pass: knows which module runs, names every call, hands it to its subclass.

    Dropout is the identity and other random functions raise, so a pass draws no random number.

    Parameters
    ----------
    modules : the qualified names of all modules.
    containers : the layers that are containers.

    Attributes
    ----------
    origins : layer → where it comes from.
    may_draw : set by an owner who gives the generators back, so that random functions run.
    """

    may_draw = False

    def __init__(self, modules: Collection[str], containers: Container[str] = ()) -> None:
        super().__init__()
        self._names = CallNames(modules)
        self._containers = containers
        self._running: list[tuple[str, str | None]] = []  # module, its layer if it hides its op
        self.origins: dict[str, Origin] = {}

    # For subclasses.

    def output(self, layer: str, output: Any) -> Any:
        """Write down what a layer returned; return what the model goes on with."""
        return output

    def input(self, layer: str, tensor: Any) -> None:
        """Write down what an activation is given."""

    def container(self, layer: str, output: Any) -> Any:
        """Write down what a module with children returned, where that is a layer."""
        return self.output(layer, output) if layer in self._containers else output

    # For `Hooks`: one `enter` and one `leave` for each role of a module.

    def enter(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note that a module runs; functional activations are named after it."""
        self._running.append((name, None))

    def enter_hiding(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note that a module runs whose functional activations are no layers."""
        self._running.append((name, name))

    def enter_activation(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note that an activation module runs, and its input; it hides the op inside it."""
        layer = self._name_module(name)
        self._running.append((name, layer))
        with _unwatched():
            self.input(layer, _first_argument(args, kwargs))

    def leave(self, name: str, output: Any) -> Any:
        """Note that a module is done."""
        while self._running and self._running.pop()[0] != name:
            pass  # a module that raised, and whose error the model caught, never left
        return output

    def leave_activation(self, name: str, output: Any) -> Any:
        """Note the output of an activation module."""
        layer = self._running[-1][1] or name
        self.leave(name, output)
        with _unwatched():
            return self.output(layer, output)

    def leave_leaf(self, name: str, output: Any) -> Any:
        """Note the output of a module without children."""
        self.leave(name, output)
        return self.leave_unentered(name, output)

    def leave_unentered(self, name: str, output: Any) -> Any:
        """Note the output of a leaf that calls no activation function, so was never entered."""
        layer = self._name_module(name)
        with _unwatched():
            return self.output(layer, output)

    def leave_container(self, name: str, output: Any) -> Any:
        """Note the output of a module with children."""
        self.leave(name, output)
        layer = self._name_module(name)
        with _unwatched():
            return self.container(layer, output)

    def _name_module(self, name: str) -> str:
        layer = self._names.module(name)
        self.origins[layer] = (name, None)
        return layer

    # For torch, which switches the mode off meanwhile.

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in _WATCHED:
            return func(*args, **kwargs) if kwargs else func(*args)
        return self._watched(func, args, kwargs or {})

    def _watched(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if func in DROPOUTS:
            return _first_argument(args, kwargs)
        if func in RANDOM and not self.may_draw and draws(func, args, kwargs):
            refuse(func)
        enclosing, hidden_in = self._running[-1] if self._running else ("", None)
        if hidden_in is not None or func not in ACTIVATION_FUNCTIONS:
            return func(*args, **kwargs)
        op = ACTIVATION_FUNCTIONS[func]
        layer = self._names.function(enclosing, op)
        self.origins[layer] = (enclosing, op)
        self.input(layer, _first_argument(args, kwargs))
        return self.output(layer, func(*args, **kwargs))


def _first_argument(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return args[0] if args else next(iter(kwargs.values()), None)


class ObservingTape(Tape):
    """Lets an observer see each output at once, so nothing need be cloned or kept.

    Parameters
    ----------
    observe : takes a layer's name and the first tensor that it returned; must not change it.
    """

    def __init__(
        self,
        modules: Collection[str],
        *,
        containers: Container[str],
        observe: Callable[[str, Tensor], None],
    ) -> None:
        super().__init__(modules, containers)
        self._observe = observe

    def output(self, layer: str, output: Any) -> Any:
        """Show the output of a layer."""
        tensor = first_tensor(output)
        if tensor is not None:
            self._observe(layer, tensor)
        return output


class KeptTensor:
    """One tensor of a pass, and a clone of it where it may be overwritten."""

    __slots__ = ("sites", "source", "value", "version")

    def __init__(self, source: Tensor, site: Site, clone: bool) -> None:
        self.source = source
        self.version = _version(source)
        self.value = source.clone() if clone or self.version is None else source
        self.sites = [site]

    @property
    def current(self) -> bool:
        """Whether the source still holds the kept value, as far as versions tell."""
        return self.version is not None and self.source._version == self.version


class ForwardTape(Tape):
    """Keeps the input of every activation and the output of every layer, first tensor of each.

    Parameters
    ----------
    safe : the places whose tensors no earlier pass overwrote; all others are cloned.
    layers : keep these alone; default all.

    Attributes
    ----------
    between : called after every layer; may raise a BaseException to end the pass.
    """

    def __init__(
        self,
        modules: Collection[str],
        *,
        safe: Container[Site] = (),
        layers: Container[str] | None = None,
        containers: Container[str] = (),
    ) -> None:
        super().__init__(modules, containers)
        self.between: Callable[[], None] | None = None
        self._safe = safe
        self._layers = layers
        self._latest: dict[int, KeptTensor] = {}  # by id: the sources live as long as the tape
        self._outputs: dict[str, KeptTensor] = {}
        self._inputs: dict[str, KeptTensor] = {}

    def output(self, layer: str, output: Any) -> Any:
        """Keep the output of a layer."""
        if self.between is not None:
            self.between()
        self._keep(self._outputs, (layer, "out"), output)
        return output

    def input(self, layer: str, tensor: Any) -> None:
        """Keep the input of an activation."""
        self._keep(self._inputs, (layer, "in"), tensor)

    @property
    def sources(self) -> dict[Site, Tensor]:
        """Place → the tensor that was kept there, as the model has it."""
        return {
            **{(layer, "out"): kept.source for layer, kept in self._outputs.items()},
            **{(layer, "in"): kept.source for layer, kept in self._inputs.items()},
        }

    @property
    def outputs(self) -> dict[str, Tensor]:
        """Layer → its output."""
        return {layer: kept.value for layer, kept in self._outputs.items()}

    @property
    def inputs(self) -> dict[str, Tensor]:
        """Activation → its input."""
        return {layer: kept.value for layer, kept in self._inputs.items()}

    def overwritten(self) -> set[Site]:
        """Return the places whose tensor was not cloned and has changed since."""
        return {
            site
            for kept in self._all()
            if kept.value is kept.source and not kept.current
            for site in kept.sites
        }

    def _all(self) -> list[KeptTensor]:
        return [*self._outputs.values(), *self._inputs.values()]

    def _keep(self, where: dict[str, KeptTensor], site: Site, value: Any) -> None:
        if self._layers is not None and site[0] not in self._layers:
            return
        tensor = first_tensor(value)
        if tensor is None or tensor.ndim < 2:
            return
        kept = self._latest.get(id(tensor))
        if kept is not None and kept.current:
            kept.sites.append(site)
        else:
            kept = self._latest[id(tensor)] = self._new(tensor, site)
        where[site[0]] = kept

    def _new(self, tensor: Tensor, site: Site) -> KeptTensor:
        return KeptTensor(tensor, site, site not in self._safe)


def _version(tensor: Tensor) -> int | None:
    return None if tensor.is_inference() else tensor._version


LARGE = 32 * 2**20
"""Bytes of a tensor from which on it is not cloned to see whether it is overwritten."""


class LearningTape(ForwardTape):
    """Clones everything, decides which containers are layers, and guards the original.

    Of a `LARGE` tensor some values are kept in place of all.

    Parameters
    ----------
    images : what the model is given.
    original : memory → name of the original model's tensors, which the copy must never use.
    """

    def __init__(
        self,
        modules: Collection[str],
        *,
        images: Tensor,
        original: Mapping[tuple[int, int] | None, str],
    ) -> None:
        super().__init__(modules)
        self._original = original
        self._samples: dict[int, Tensor] = {}  # by id of the kept tensor
        self._latest[id(images)] = KeptTensor(images, ("", "in"), False)

    def container(self, layer: str, output: Any) -> Any:
        """Keep a container's output unless it is the very tensor that a layer inside returned."""
        tensor = first_tensor(output)
        known = self._latest.get(id(tensor))
        return output if known is not None and known.current else self.output(layer, output)

    def safe_sites(self, own: Collection[Memory | None]) -> set[Site]:
        """Return the places whose tensors nothing overwrote.

        Parameters
        ----------
        own : the memory of the model's own tensors, which a load overwrites.
        """
        seen = {site for kept in self._all() for site in kept.sites}
        risky = (kept for kept in self._all() if storage_of(kept.source) in own or self._lost(kept))
        return seen - {site for kept in risky for site in kept.sites}

    def let_go(self) -> bool:
        """Let go of the tensors of which there are clones; return whether this is worth keeping.

        It is where there are `LARGE` tensors, none of them overwritten: another pass takes long.
        """
        lost = any(self._lost(kept) for kept in self._all() if id(kept) in self._samples)
        for kept in self._all():
            kept.source, kept.version = kept.value, _version(kept.value)
        return bool(self._samples) and not lost

    def _new(self, tensor: Tensor, site: Site) -> KeptTensor:
        if tensor.nbytes < LARGE or not tensor.is_contiguous():
            return super()._new(tensor, site)
        kept = KeptTensor(tensor, site, clone=False)
        self._samples[id(kept)] = _sample(tensor)
        return kept

    def _lost(self, kept: KeptTensor) -> bool:
        """Tell whether something overwrote the tensor."""
        # `.data` and numpy write without raising the version; the values show it all the same.
        sample = self._samples.get(id(kept))
        if sample is not None:
            return not kept.current or not _same(_sample(kept.source), sample)
        return not kept.current or not _same(kept.value, kept.source)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for tensor in tensors_in((args, kwargs)):
            name = self._original.get(storage_of(tensor))
            if name is not None:
                raise ModelError(
                    f"the model cannot be copied: a function in it holds on to the original's "
                    f"{name!r}; call its module as self.<name> in forward()"
                )
        return super().__torch_function__(func, types, args, kwargs)


def _sample(tensor: Tensor) -> Tensor:
    """Return 4,096 values of a contiguous tensor, spread over all of it."""
    return tensor.detach().view(-1)[:: max(1, tensor.numel() // 4096)].clone()


def _same(a: Tensor, b: Tensor) -> bool:
    if torch.equal(a, b) or not (a.is_floating_point() or a.is_complex()):
        return torch.equal(a, b)
    return torch.equal(a.nan_to_num(), b.nan_to_num())  # NaN equals nothing, itself neither


class CallNames:
    """Give each call of a module or function its layer name, in execution order.

    A module's first call has its qualified name, a function ``enclosing.op``. Further calls count
    on with one counter per base name: ``conv``, ``conv_1``. A name that belongs to a real module
    is skipped, so ``relu`` the function beside ``relu`` the module is ``relu_1``.
    """

    def __init__(self, modules: Collection[str]) -> None:
        self._modules = modules
        self._called: defaultdict[str, int] = defaultdict(int)
        self._given: set[str] = set()

    def module(self, name: str) -> str:
        """Return the layer name of the next call of the module ``name``."""
        if name in self._given:
            return self._next(name)
        self._given.add(name)
        self._called[name] = max(self._called[name], 1)
        return name

    def function(self, enclosing: str, op: str) -> str:
        """Return the layer name of the next call of ``op`` inside the module ``enclosing``."""
        return self._next(f"{enclosing}.{op}" if enclosing else op)

    def _next(self, base: str) -> str:
        while True:
            count = self._called[base]
            self._called[base] += 1
            name = f"{base}_{count}" if count else base
            if name not in self._modules and name not in self._given:
                self._given.add(name)
                return name
