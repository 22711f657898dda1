"""The same training with and without a recorder, to the last bit."""

import hashlib
import random
import threading
import time
from contextlib import suppress

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from convviz_widgets.errors import CheckpointError
from convviz_widgets.images import ImageSet
from convviz_widgets.record import Recorder, Run
from convviz_widgets.state import ModelState
from convviz_widgets.views import ActivationMosaic

STEPS = 6


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode = nn.Linear(16, 16)
        self.decode = nn.Linear(16, 16)
        self.decode.weight = self.encode.weight
        self.head = nn.Linear(16, 3)

    def forward(self, inputs):
        return self.head(self.decode(self.encode(inputs.flatten(1)).relu()))


def convolution(*middle):
    return nn.Sequential(nn.Conv2d(1, 4, 3), *middle, nn.Flatten(), nn.Linear(16, 3))


def frozen():
    net = convolution(nn.BatchNorm2d(4), nn.ReLU())
    net[1].eval().requires_grad_(False)
    return net


NETS = {
    "batch norm": lambda: convolution(nn.BatchNorm2d(4), nn.ReLU()),
    "dropout": lambda: convolution(nn.Dropout(0.5), nn.ReLU(), nn.Dropout2d(0.2)),
    "in place": lambda: convolution(nn.ReLU(inplace=True), nn.Dropout(0.1)),
    "tied": Tied,
    "frozen": frozen,
    "accumulation": lambda: convolution(nn.GroupNorm(2, 4), nn.GELU()),
}


class Viewer:
    """Goes through checkpoints, images and layers in a thread of its own, as a user would."""

    def __init__(self, net):
        images = torch.arange(48.0).reshape(3, 1, 4, 4) / 48
        self.state = ModelState(net, ImageSet(images, labels=[0, 1, 2]))
        self.mosaic = ActivationMosaic(self.state)
        self.looks = 0
        self.failure = None
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.scrub)
        self.thread.start()

    def scrub(self):
        chance = random.Random(0)
        try:
            while not self.is_over.is_set():
                self.state.refresh()
                self.state.select(
                    checkpoint=chance.randrange(len(self.state.steps)),
                    image=chance.randrange(3),
                    layer=chance.choice(self.state.layers).name,
                )
                self.state.gradient()
                self.looks += 1
        except Exception as error:
            self.failure = error

    def step(self, step):
        """Capture the model, and have it looked at while the next step runs and after."""
        self.state.capture(step)
        looks = self.looks
        while self.looks == looks and self.failure is None:
            time.sleep(0.001)

    def close(self):
        self.is_over.set()
        self.thread.join()
        assert self.failure is None
        assert self.mosaic.problem == ""
        self.mosaic.close()
        self.state.close()


def train(kind, seed, directory=None, *, is_viewed=False):
    """Train a network, recorded when there is a directory, and return the digest of everything."""
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 — the global generator is what must not move
    random.seed(seed)
    net = NETS[kind]()
    handles = [net.register_forward_hook(lambda *_: None)]
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    recorder = None
    if directory is not None:
        recorder = Recorder(net, directory, every=2, keep=3, optimizer=optimizer)
        recorder.watch(torch.ones(2, 1, 4, 4))
    viewer = Viewer(net) if is_viewed else None
    for step in range(STEPS):
        if kind != "accumulation" or step % 2 == 0:
            optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(torch.randn(4, 1, 4, 4)), torch.tensor([0, 1, 2, 0]))
        loss.backward()
        optimizer.step()
        if recorder:
            recorder.step(loss=loss)
        if viewer:
            viewer.step(step + 1)
    if recorder:
        recorder.close()
    if viewer:
        viewer.close()
    handles.append(net.register_forward_hook(lambda *_: None))
    # Handles are numbered for the whole process: a hook of ours would shift the user's.
    numbers = [handle.id - handles[0].id for handle in handles]
    return digest(net, optimizer, numbers)


def digest(net, optimizer, numbers):
    """Return the sha256 of weights, buffers, grads, flags, hooks, optimizer and random numbers."""
    found = hashlib.sha256()
    numpy_state = np.random.get_state()  # noqa: NPY002
    random_numbers = torch.get_rng_state(), numpy_state[1:], random.getstate()
    hooks = [
        (name, kind, list(hooks))
        for name, module in net.named_modules()
        for kind, hooks in sorted(vars(module).items())
        if kind.endswith("_hooks") and hooks
    ]
    hooks = [(name, kind, [key - min(keys) for key in keys]) for name, kind, keys in hooks]
    grads = {name: parameter.grad for name, parameter in net.named_parameters()}
    flags = {name: p.requires_grad for name, p in net.named_parameters()}
    modes = {name: module.training for name, module in net.named_modules()}
    members = {name: sorted(vars(module)) for name, module in net.named_modules()}
    for thing in (net.state_dict(), grads, flags, modes, members, hooks, numbers):
        add(found, thing)
    add(found, optimizer.state_dict())
    add(found, random_numbers)
    return found.hexdigest()


def add(found, thing):
    if isinstance(thing, torch.Tensor):
        thing = (str(thing.dtype), tuple(thing.shape), thing.detach().numpy().tobytes())
    if isinstance(thing, np.ndarray):
        thing = thing.tobytes()
    if isinstance(thing, dict):
        thing = list(thing.items())
    if isinstance(thing, list | tuple):
        found.update(b"[")
        for part in thing:
            add(found, part)
        found.update(b"]")
    else:
        found.update(repr(thing).encode())


@pytest.mark.parametrize("kind", NETS)
def test_a_recorded_training_is_the_same_training(tmp_path, kind):
    for seed in range(5):
        assert train(kind, seed, tmp_path / str(seed)) == train(kind, seed)


@pytest.mark.parametrize("kind", NETS)
def test_it_is_so_while_a_viewer_scrubs_in_another_thread(kind):
    for seed in range(5):
        assert train(kind, seed, is_viewed=True) == train(kind, seed)


def test_the_digest_notices_one_bit_one_random_number_and_one_hook(tmp_path):
    def changed(change):
        torch.manual_seed(0)
        net = NETS["batch norm"]()
        optimizer = torch.optim.AdamW(net.parameters())
        change(net)
        return digest(net, optimizer, [])

    def flip(net):
        net[1].running_mean.view(torch.int32)[0] ^= 1

    changes = [lambda net: None, flip, lambda net: torch.rand(1), lambda net: net[2].eval()]
    changes += [lambda net: net[0].register_forward_hook(print)]
    assert len({changed(change) for change in changes}) == len(changes)


def test_it_is_so_while_a_reader_follows_in_another_thread(tmp_path):
    stop = threading.Event()
    seen = []

    def read(directory):
        while not stop.is_set():
            if directory.is_dir():
                run = Run(directory)
                run.refresh()
                seen.append(len(run.metrics))
                for index in range(len(run.checkpoints)):
                    with suppress(CheckpointError):  # thinned since
                        seen.append(len(run.checkpoints.load(index)))

    for seed in range(5):
        stop.clear()
        directory = tmp_path / str(seed)
        thread = threading.Thread(target=read, args=(directory,))
        thread.start()
        try:
            recorded = train("batch norm", seed, directory)
        finally:
            stop.set()
            thread.join()
        assert recorded == train("batch norm", seed)
    assert max(seen) > 5


def test_a_recorder_registers_no_hook_anywhere(tmp_path):
    before = RemovableHandle.next_id
    train("dropout", 0, tmp_path)
    assert RemovableHandle.next_id == before + 2  # the test's own
