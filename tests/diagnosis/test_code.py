"""The code of a finding gives its value again: one illness for each rule, and odd data."""

from contextlib import closing

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import convviz_widgets as cvw
from convviz_widgets.record.event_files import EventFileWriter

IMAGES = 300


def pictures(channels=1, size=4):
    generator = torch.Generator().manual_seed(3)
    return torch.rand(IMAGES, channels, size, size, generator=generator)


# -- runs ----------------------------------------------------------------------------------------

STEADY = np.linspace(2.0, 1.0, 120)

METRICS = {
    "loss-jump": {"loss": [*np.full(60, 1.0), *np.full(60, 2.0)]},
    "loss-surge": {"loss": [*np.full(60, 1.0), 3.0, *np.full(39, 1.0)]},
    "slow-learning": {"loss": np.full(100, 2.0)},
    "exploding-gradient": {"gradient_norm/a": [1.0, 1.0, 1.0, 200.0]},
    "update-ratio": {"update_ratio/a.weight": [1e-3, 0.3, 0.2, 1e-3]},
    "non-finite": {"loss": [1.0, 1.0, np.nan, 1.0]},
    "overfit": {
        "acc/train": [0.5, 0.6, 0.8, 0.8, 0.8],
        "acc/val": [0.5, 0.6, 0.65, 0.65, 0.6],
        "loss/train": [2.0, 1.0, 0.9, 0.5, 0.3],
        "loss/val": [1.0, 1.0, 1.0, 1.3, 1.3],
    },
}


def run_of(folder, metrics):
    with closing(EventFileWriter(folder)) as log:
        for step in range(1, 1 + max(map(len, metrics.values()))):
            log.write(step, {name: float(values[step - 1]) for name, values in metrics.items()})
    return {"run": cvw.Run(folder)}


# -- data ----------------------------------------------------------------------------------------


def one_by_one(items):
    """Return a batch of the items, of which there may be none."""
    return torch.stack([image for (image,) in items]) if items else torch.zeros(0, 1, 4, 4)


def loader_of(*batches):
    return DataLoader(TensorDataset(pictures()), batch_sampler=batches, collate_fn=one_by_one)


def with_twin():
    return torch.cat([pictures(), pictures()[:2]])


DATA = {
    "input-not-centred": lambda: {"images": pictures()},
    "input-scale": lambda: {"images": 255 * pictures()},
    "unequal-input-scales": lambda: {"images": pictures(2) * torch.tensor([[[1.0]], [[9.0]]])},
    "wrong-preprocessing": lambda: {"images": cvw.ImageSet(2 * pictures(), mean=0.5, std=1.0)},
    "duplicate-sample": lambda: {"images": with_twin()},
    "train-validation-leak": lambda: {"images": pictures(), "validation": pictures()[5:7]},
    "repeated-batch": lambda: {"loader": loader_of([0, 1], [2, 3], [1, 0])},
}

ODD_DATA = {
    "batches without samples": (
        "repeated-batch",
        lambda: {"loader": loader_of([0, 1], [], [2, 3], [], [1, 0])},
    ),
    "a batch that cannot be read": (
        "repeated-batch",
        lambda: {"loader": loader_of([0, 1], [IMAGES], [2, 3], [1, 0])},
    ),
    "the samples of a loader": (
        "duplicate-sample",
        lambda: {"loader": DataLoader(TensorDataset(with_twin()), batch_size=50)},
    ),
    "a leak from a loader": (
        "train-validation-leak",
        lambda: {
            "loader": DataLoader(TensorDataset(pictures()), batch_size=50),
            "validation": pictures()[5:7],
        },
    ),
}


# -- states --------------------------------------------------------------------------------------


def classifier():
    """Four filters that fire on all images in [0, 1], and scores for three classes."""
    net = nn.Sequential(
        nn.Conv2d(1, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )
    with torch.no_grad():
        net[0].weight.fill_(0.8)
        net[0].bias.fill_(0.1)
        net[4].weight.copy_(torch.linspace(-0.3, 0.3, 12).reshape(3, 4))
        net[4].bias.zero_()
    return net


def altered(parameter, place, value):
    """Return a state whose classifier has another value in one parameter from step 100 on."""
    ill = classifier()
    with torch.no_grad():
        ill.get_parameter(parameter)[place] = value
    images = cvw.ImageSet(pictures(), [index % 3 for index in range(IMAGES)])
    weights = [(0, classifier().state_dict()), (100, ill.state_dict())]
    series = cvw.CheckpointSeries.from_state_dicts(weights)
    return cvw.ModelState(classifier(), images, checkpoints=series)


def dim():
    """Return images of which two are bright."""
    images = 0.5 * pictures()
    images[[7, 70]] = 1.0
    return images


def rarely_firing_net():
    """Return a classifier whose second filter fires on bright images alone."""
    net = classifier()
    with torch.no_grad():
        net[0].bias[1] = -0.6
    return net


def rarely_firing():
    series = cvw.CheckpointSeries.from_state_dicts([(100, rarely_firing_net().state_dict())])
    return cvw.ModelState(classifier(), cvw.ImageSet(dim()), checkpoints=series)


def far_off():
    """Return a state with one weight of 0.9 among a thousand of 0.01 and -0.01."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 64))
    with torch.no_grad():
        net[1].weight.copy_(0.01 * (-1.0) ** torch.arange(1024).reshape(64, 16))
        net[1].weight[3, 3] = 0.9
    series = cvw.CheckpointSeries.from_state_dicts([(100, net.state_dict())])
    return cvw.ModelState(net, cvw.ImageSet(pictures()), checkpoints=series)


def skewed():
    """Return a state whose activation is given little but now and then a lot."""
    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Tanh())
    with torch.no_grad():
        net[0].weight.fill_(1.0)
        net[0].bias.zero_()
    series = cvw.CheckpointSeries.from_state_dicts([(100, net.state_dict())])
    return cvw.ModelState(net, cvw.ImageSet(pictures() ** 20), checkpoints=series)


def chain(factor, step=5):
    """Return a state of convolutions that multiply by a factor: so do the gradients, backwards."""
    layers = [nn.Conv2d(1, 1, 1, bias=False) for _ in range(5)]
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    weights = {f"{i}.weight": torch.full((1, 1, 1, 1), factor) for i in range(5)}
    return cvw.ModelState(
        net,
        cvw.ImageSet(pictures()),
        checkpoints=cvw.CheckpointSeries.from_state_dicts([(step, weights)]),
        loss=lambda output, target: output.sum(),
    )


def painter(colour, contrast=1.0):
    """Return a state of 5×5 filters that paint their input, with so much of its colour."""
    net = nn.Conv2d(3, 3, 5, padding=2)
    grey = torch.full((3, 3), 1 / 3)
    with torch.no_grad():
        net.weight.normal_(0, 1e-4, generator=torch.Generator().manual_seed(0))
        net.weight[:, :, 2, 2] = contrast * grey + colour * (torch.eye(3) - grey)
        net.bias.zero_()
    painted = pictures(3, 6)
    return cvw.ModelState(
        nn.Sequential(net),
        cvw.ImageSet(painted, targets=painted),
        checkpoints=cvw.CheckpointSeries.from_state_dicts([(100, nn.Sequential(net).state_dict())]),
        loss=lambda output, target: (output - target).norm(),
    )


STATES = {
    "dead-layer": lambda: altered("0.bias", slice(2), -2.0),
    "dead-filter": lambda: altered("0.bias", 3, -2.0),
    "dying-filter": rarely_firing,
    "vanishing-gradient": lambda: chain(0.1),
    "exploding-gradient": lambda: chain(10.0),
    "abnormal-weight": lambda: altered("0.weight", 1, -13.0),
    "abnormal-bias": lambda: altered("4.bias", 2, 11.0),
    "skewed-pre-activation": lambda: altered("0.bias", slice(4), 2.0),
    "stuck-output": lambda: altered("4.bias", 1, 5.0),
    "washed-out-output": lambda: painter(0.5),
    "noisy-filter": lambda: painter(1.0),
    "non-finite": lambda: altered("4.weight", 0, torch.nan),
    "update-ratio": lambda: altered("4.bias", 0, 0.5),
    "input-not-centred": lambda: altered("4.bias", 0, 0.5),
    "duplicate-sample": lambda: cvw.ModelState(classifier(), cvw.ImageSet(with_twin())),
}

ODD_STATES = {
    "a gradient that explodes at step 0": ("exploding-gradient", lambda: chain(10.0, step=0)),
    "a weight far from the others": ("abnormal-weight", far_off),
    "an input that is skewed": ("skewed-pre-activation", skewed),
    "pictures without contrast": ("washed-out-output", lambda: painter(1.0, contrast=0.3)),
}


def named(illnesses):
    return [pytest.param(rule, give, id=rule) for rule, give in illnesses.items()]


def odd(illnesses):
    return [pytest.param(rule, give, id=name) for name, (rule, give) in illnesses.items()]


def check(rule, **given):
    """Run the code of every finding; one at least is of the rule."""
    findings = cvw.diagnose(**given)
    assert rule in {finding.rule for finding in findings}
    for finding in findings:
        names = dict(given)
        exec(finding.code, names)
        assert names["value"] == pytest.approx(finding.value, rel=1e-6), finding.rule


@pytest.mark.parametrize(("rule", "metrics"), named(METRICS))
def test_the_code_of_a_finding_in_a_run_gives_its_value(rule, metrics, tmp_path):
    check(rule, **run_of(tmp_path, metrics))


@pytest.mark.parametrize(("rule", "give"), [*named(DATA), *odd(ODD_DATA)])
def test_the_code_of_a_finding_in_data_gives_its_value(rule, give):
    check(rule, **give())


@pytest.mark.parametrize(("rule", "give"), [*named(STATES), *odd(ODD_STATES)])
def test_the_code_of_a_finding_in_a_state_gives_its_value(rule, give):
    with closing(give()) as state:
        check(rule, state=state)


@pytest.mark.parametrize("is_series", [False, True])
def test_the_code_of_a_finding_in_a_sweep_gives_its_value(is_series):
    net = rarely_firing_net()
    series = cvw.CheckpointSeries.from_state_dicts([(100, net.state_dict())])
    more = torch.cat([dim(), dim()])
    sweep = cvw.sweep(net, more, checkpoints=series if is_series else None, progress=False)
    with closing(rarely_firing()) as state:
        check("dying-filter", state=state, sweep=sweep)
