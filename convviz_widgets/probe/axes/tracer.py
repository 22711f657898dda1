"""Follows one forward pass and tells what the dimensions of every tensor in it are.

It is followed operation by operation, in the form that torch breaks all functions, methods and
modules down to. Convolutions, linear layers and normalisations tell which dimension of theirs is
the channels; everything else hands on what it is given.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from convviz_widgets.probe.axes.axis import Dims, of_images, size_of, unknown
from convviz_widgets.probe.axes.call import Call, operations
from convviz_widgets.probe.axes.channels import CHANNELS, CONVOLUTIONS
from convviz_widgets.probe.axes.moves import MOVES
from convviz_widgets.probe.recording import storage_of, tensors_in

_RULES = MOVES | CHANNELS

_WRITES = operations("copy_ index_put_ scatter_ masked_scatter_ index_copy_")


class AxisTracer(TorchDispatchMode):
    """Keeps what the dimensions of every tensor are that an image went into, during one pass.

    Parameters
    ----------
    images : (N, C, ...), what the model is given.
    """

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self._alive: list[Tensor] = []  # so that no memory, and no id, is used twice in this pass
        self._dims: dict[Any, Dims] = {}  # by tensor, and by place in memory
        self._touched: set[int] = set()  # memory that an image was written into
        self._keep(images, of_images(images.shape))

    def dims_of(self, tensor: Tensor) -> Dims | None:
        """Return what the dimensions of a tensor are; None where no image went into it."""
        found = self._dims.get(id(tensor)) or self._dims.get(_place(tensor))
        if found is not None and tuple(map(size_of, found)) == tuple(tensor.shape):
            return found
        if found is None and _memory(tensor) not in self._touched:
            return None
        self._keep(tensor, unknown(tensor.shape))
        return self._dims[id(tensor)]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Answer torch, which would import its compiler to keep it out, and take seconds."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        sources = [tensor for tensor in tensors_in((args, kwargs)) if tensor.numel()]
        before = {id(tensor): self.dims_of(tensor) for tensor in sources}
        result = func(*args, **kwargs)
        known = {key: dims for key, dims in before.items() if dims is not None}
        if known or func.overloadpacket in CONVOLUTIONS:
            self._follow(Call(func, args, kwargs, result, known))
        return result

    def _follow(self, call: Call) -> None:
        results = [tensor for tensor in tensors_in(call.result) if tensor.numel()]
        for tensor, dims in zip(results, call.dims(_RULES.get(call.packet), results), strict=True):
            if dims is not None:
                self._keep(tensor, dims)
        if call.packet in _WRITES and call.args and isinstance(call.args[0], Tensor):
            self._touched.add(_memory(call.args[0]))

    def _keep(self, tensor: Tensor, dims: Dims) -> None:
        self._alive.append(tensor)
        self._dims[id(tensor)] = self._dims[_place(tensor)] = dims


def _place(tensor: Tensor) -> Any:
    if storage_of(tensor) is None:
        return id(tensor)
    strides = tuple(s if n > 1 else 0 for n, s in zip(tensor.shape, tensor.stride(), strict=True))
    return _memory(tensor), tensor.storage_offset(), tuple(tensor.shape), strides


def _memory(tensor: Tensor) -> int:
    storage = storage_of(tensor)
    return id(tensor) if storage is None else storage[0]
