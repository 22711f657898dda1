"""The state dict inside whatever a training script has saved."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from convviz_widgets.checkpoints.foreign import Foreign, ForeignError
from convviz_widgets.errors import CheckpointError, unknown

_NESTED_KEYS = ("state_dict", "model_state_dict", "model", "model_state")
_DEEPEST = 4
_COMPILED = re.compile(r"(?:^|(?<=\.))_orig_mod\.")
_PARALLEL = "module."
_AVERAGED = "n_averaged"  # what AveragedModel adds to the "module." of the model it averages


def find_state_dict(content: object, key: str | None = None) -> dict[str, Tensor]:
    """Return the tensors by name: nested dictionaries opened, the prefixes of wrappers taken off.

    Anything that is no tensor (epoch, settings) is left out; the tensors are not copied.

    Parameters
    ----------
    content
        What a file holds, or a state dict.
    key
        Where the state dict is in ``content``: a key, or the prefix that its names share there
        ("model" for the "model.conv1.weight" of a LightningModule). None: under "state_dict",
        "model_state_dict", "model" or "model_state", nested ones too, else ``content`` itself, else
        the one dictionary of tensors that it has.

    Raises
    ------
    CheckpointError
        When there is no such key, no tensor, or more than one state dict to choose from.
    """
    found = _innermost(content, _DEEPEST) if key is None else _under(content, key)
    tensors = _tensors(found)
    if not tensors:
        tensors = _tensors(_only_state_dict(found))
    return strip_prefixes(tensors)


def strip_prefixes(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the same tensors without the prefixes of DataParallel, DDP and torch.compile.

    >>> list(strip_prefixes({"module._orig_mod.fc.weight": Tensor(), "module.fc.bias": Tensor()}))
    ['fc.weight', 'fc.bias']
    """
    plain = {_COMPILED.sub("", name): tensor for name, tensor in tensors.items()}
    if len(plain) < len(tensors):  # both "a" and "_orig_mod.a": no wrapper, leave them apart
        return dict(tensors)
    inside = plain.keys() - {_AVERAGED}
    while inside and all(name.startswith(_PARALLEL) for name in inside):
        plain = {name.removeprefix(_PARALLEL): plain[name] for name in plain if name in inside}
        inside = plain.keys() - {_AVERAGED}
    return plain


def _innermost(content: object, depth: int) -> object:
    """Return the state dict below one of the usual keys, or the content as it is."""
    if isinstance(content, Mapping) and depth:
        for key in _NESTED_KEYS:
            inner = _innermost(content.get(key), depth - 1)
            if _tensors(inner):
                return inner
    return content


def _under(content: object, key: str) -> object:
    if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
        return _innermost(content[key], _DEEPEST)
    prefix = key.rstrip(".") + "."
    tensors = _tensors(_innermost(content, _DEEPEST))
    below = {
        name.removeprefix(prefix): tensors[name] for name in tensors if name.startswith(prefix)
    }
    if not below:
        raise CheckpointError(unknown("state_dict_key", key, _choices(content), "there is"))
    return below


def _only_state_dict(content: object) -> object:
    """Return the one dictionary of tensors inside a dictionary that has none itself."""
    if isinstance(content, Foreign):
        raise ForeignError(content.name)
    if not isinstance(content, Mapping):
        raise CheckpointError(f"holds no state dict but a {type(content).__name__}")
    inside = [key for key, value in content.items() if _tensors(value)]
    if len(inside) > 1:
        names = ", ".join(repr(key) for key in inside[:10])
        raise CheckpointError(f"holds several state dicts; state_dict_key picks one: {names}")
    if not inside:
        _refuse_foreign(content)
        keys = ", ".join(repr(key) for key in list(content)[:10])
        raise CheckpointError(f"holds no tensors by name; its keys: {keys or 'none'}")
    return content[inside[0]]


def _refuse_foreign(content: Mapping) -> None:
    """Raise ForeignError for what may hold the weights, the entries with the usual names first."""
    for key in (*_NESTED_KEYS, *content):
        value = content.get(key)
        if isinstance(value, Foreign):
            raise ForeignError(value.name, str(key))


def _choices(content: object) -> list[object]:
    if not isinstance(content, Mapping):
        return []
    nested = [key for key, value in content.items() if isinstance(value, Mapping)]
    tensors = _tensors(_innermost(content, _DEEPEST))
    return nested or sorted({name.partition(".")[0] for name in tensors})


def _tensors(found: object) -> dict[str, Tensor]:
    if not isinstance(found, Mapping):
        return {}
    return {
        name: value.detach()
        for name, value in found.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }
