"""A small net of known weights, three checkpoints of it, and a state on five images."""

import pytest
import torch
from torch import nn

from convviz_widgets.checkpoints import CheckpointSeries
from convviz_widgets.images import ImageSet
from convviz_widgets.state import ModelState
from convviz_widgets.widgets.widget_tree import name_of


def build_net(seed=0):
    generator = torch.Generator().manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(4 * 36, 3)
    )
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return net


@pytest.fixture
def make_net():
    """Return the function that builds the small net with the weights of a seed."""
    return build_net


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(7)
    return ImageSet(torch.rand(5, 1, 6, 6, generator=generator), labels=[0, 1, 2, 0, 1])


@pytest.fixture
def series():
    weights = [(step, build_net(seed).state_dict()) for seed, step in enumerate((0, 100, 200))]
    return CheckpointSeries.from_state_dicts(weights)


@pytest.fixture
def state(images, series):
    made = ModelState(build_net(9), images, checkpoints=series)
    yield made
    made.close()


@pytest.fixture
def beside():
    """Return what tells the controls before and after a part of a view: Tab leads to them."""

    def order_of_the_page(box):
        for child in getattr(box, "children", ()):
            if child.layout.display != "none" and child.layout.visibility != "hidden":
                yield child
                yield from order_of_the_page(child)

    def controls_beside(view, part):
        order = [each for each in order_of_the_page(view) if each is part or name_of(each)]
        place = order.index(part)
        return order[place - 1], order[place + 1]

    return controls_beside
