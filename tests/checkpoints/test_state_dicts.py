from collections import OrderedDict

import pytest
import torch
from torch import nn

from convviz_widgets.checkpoints import find_state_dict, strip_prefixes
from convviz_widgets.errors import CheckpointError

WEIGHT = torch.ones(2)
PLAIN = {"fc.weight": WEIGHT}


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        OrderedDict(PLAIN),
        {"fc.weight": nn.Parameter(WEIGHT), "_extra_state": {"scale": 2}, "epoch": 3},
        {"state_dict": PLAIN, "epoch": 3, "best": torch.tensor(0.9)},
        {"model": {"state_dict": PLAIN}, "optimizer": {"state": {0: {"m": WEIGHT}}}},
        {"model": {"width": 8}, "fc.weight": WEIGHT},
        {"generator": PLAIN, "epoch": 3},
        {"module.fc.weight": WEIGHT},
        {"_orig_mod.module.fc.weight": WEIGHT},
        {"module.fc._orig_mod.weight": WEIGHT},
        {"_fsdp_wrapped_module.fc._checkpoint_wrapped_module.weight": WEIGHT},
        {"_forward_module.module.fc.weight": WEIGHT},
        {"module.fc.weight": WEIGHT, "n_averaged": torch.tensor(5)},
    ],
)
def test_the_state_dict_is_found(content: object) -> None:
    found = find_state_dict(content)
    assert list(found) == ["fc.weight"]
    assert not isinstance(found["fc.weight"], nn.Parameter)


def test_a_key_picks_one_of_several() -> None:
    content = {"generator": PLAIN, "critic": {"conv.weight": WEIGHT}}
    assert list(find_state_dict(content, "critic")) == ["conv.weight"]
    with pytest.raises(CheckpointError, match="picks one: 'generator', 'critic'"):
        find_state_dict(content)
    with pytest.raises(CheckpointError, match="'critc'; did you mean 'critic'"):
        find_state_dict(content, "critc")


def test_the_names_of_a_lightning_module_stay_unless_the_key_names_their_prefix() -> None:
    content = {"state_dict": {"model.fc.weight": WEIGHT, "loss.weight": WEIGHT}, "epoch": 1}
    assert list(find_state_dict(content)) == ["model.fc.weight", "loss.weight"]
    assert list(find_state_dict(content, "model")) == ["fc.weight"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([WEIGHT], "but a list"),
        ({}, "no tensors by name; its keys: none"),
        ({"epoch": 3, 1: WEIGHT}, "its keys: 'epoch', 1"),
    ],
)
def test_what_holds_no_state_dict_is_described(content: object, reason: str) -> None:
    with pytest.raises(CheckpointError, match=reason):
        find_state_dict(content)


@pytest.mark.parametrize("names", [("module.a", "b"), ("a", "_orig_mod.a")])
def test_prefixes_stay_where_no_wrapper_can_have_made_them(names: tuple[str, ...]) -> None:
    assert tuple(strip_prefixes(dict.fromkeys(names, WEIGHT))) == names
