"""The state dict inside whatever a training script has saved."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from convviz_widgets.errors import CheckpointError, unknown

NESTED_KEYS = ("state_dict", "model_state_dict", "model", "model_state")
_DEEPEST = 4


def find_state_dict(content: object, key: str | None = None) -> dict[str, Tensor]:
    """Return the tensors by name: nested dictionaries opened, wrappers' prefixes taken off.

    Parameters
    ----------
    content
        What a file holds, or a state dict.
    key
        Where in ``content`` the state dict is. None: under "state_dict", "model_state_dict",
        "model" or "model_state", also nested, else ``content`` itself.

    Raises
    ------
    CheckpointError
        When there is no such key, or no tensor.
    """
    found = _at(content, key) if key is not None else _innermost(content)
    tensors = _tensors(found)
    if not tensors:
        raise CheckpointError(f"holds no tensors by name, but {_described(found)}")
    return strip_prefixes(tensors)


def strip_prefixes(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the same tensors with the prefixes of DataParallel, DDP and compile taken off."""
    plain = {name.replace("_orig_mod.", ""): tensor for name, tensor in tensors.items()}
    while plain and all(name.startswith("module.") for name in plain):
        plain = {name.removeprefix("module."): tensor for name, tensor in plain.items()}
    return plain


def _at(content: object, key: str) -> object:
    if not isinstance(content, Mapping) or key not in content:
        choices = list(content) if isinstance(content, Mapping) else []
        raise CheckpointError(unknown("state_dict_key", key, choices, "this file has"))
    return content[key]


def _innermost(content: object) -> object:
    for _ in range(_DEEPEST):
        if not isinstance(content, Mapping):
            break
        inner = [content[key] for key in NESTED_KEYS if isinstance(content.get(key), Mapping)]
        if not inner:
            break
        content = inner[0]
    return content


def _tensors(found: object) -> dict[str, Tensor]:
    if not isinstance(found, Mapping):
        return {}
    return {
        name: value.detach()
        for name, value in found.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }


def _described(found: object) -> str:
    if isinstance(found, Mapping):
        return "keys " + ", ".join(repr(key) for key in list(found)[:5]) if found else "nothing"
    return f"a {type(found).__name__}"
