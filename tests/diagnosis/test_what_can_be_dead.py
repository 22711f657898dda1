"""The diagnosis, *Dead filters* and the functions themselves agree on what can be dead."""

import pytest
import torch
from torch import nn

import convviz_widgets as cvw
from convviz_widgets.probe import can_die, list_layers
from convviz_widgets.probe.layers import ACTIVATION_MODULES

OTHER_ARGUMENTS = {nn.Threshold: (0.0, 0.0)}
OVER_CHANNELS = {nn.GLU, nn.Softmax, nn.Softmax2d, nn.Softmin, nn.LogSoftmax}
"""Their outputs depend on several inputs."""

ELEMENTWISE = [kind for kind in ACTIVATION_MODULES if kind not in OVER_CHANNELS]
IMAGES = 256


def silent_net(activation):
    """Four 1×1 filters, the last of which gives less than -4 on every image."""
    net = nn.Sequential(nn.Conv2d(1, 4, 1), activation, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with torch.no_grad():
        net[0].weight.fill_(1.0)
        net[0].bias.copy_(torch.tensor([0.0, 0.0, 0.0, -5.0]))
    return net


@pytest.mark.parametrize("kind", ELEMENTWISE, ids=lambda kind: kind.__name__)
def test_dead_is_what_is_exactly_zero_below_some_point(kind):
    activation = kind(*OTHER_ARGUMENTS.get(kind, ())).double().eval()
    far_below = torch.linspace(-8, -4, 9).double()
    is_zero = bool((activation(far_below) == 0).all())
    (layer,) = list_layers(nn.Sequential(activation), torch.zeros(1, 1, 2, 2).double())
    assert can_die(layer) == is_zero


@pytest.mark.parametrize(
    ("activation", "is_found"),
    [(nn.ReLU(), True), (nn.Hardswish(), True), (nn.Hardsigmoid(), True), (nn.Hardtanh(), False)],
    ids=lambda given: type(given).__name__,
)
def test_the_diagnosis_counts_dead_channels_where_dead_filters_does(activation, is_found):
    net = silent_net(activation)
    if isinstance(activation, nn.Hardtanh):  # zero comes from filters of zeros alone
        nn.init.zeros_(net[0].weight)
        nn.init.zeros_(net[0].bias)
    images = cvw.ImageSet(torch.rand(IMAGES, 1, 2, 2, generator=torch.Generator().manual_seed(0)))
    state = cvw.ModelState(net.eval(), images)
    try:
        found = {each.layer for each in cvw.diagnose(state) if each.rule.startswith("dead")}
    finally:
        state.close()
    assert found == ({"1"} if is_found else set())
    assert can_die(state.layer_info("1")) == is_found
