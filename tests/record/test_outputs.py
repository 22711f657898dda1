"""What is watched in training can be looked at afterwards, more often than the checkpoints."""

import copy

import pytest
import torch
from torch import nn

from convviz_widgets.errors import CheckpointError, ModelError
from convviz_widgets.record import Recorder, Run
from convviz_widgets.record import outputs as output_log

IMAGES = torch.arange(12.0).reshape(3, 1, 2, 2)


class Scaled(nn.Module):
    """Puts out the images times its one weight; in training mode it would put out zeros."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, 1))

    def forward(self, images):
        return images * self.weight * (not self.training)


def recorded(directory, steps, net=None, images=IMAGES, **options):
    """Record steps that each add one to the weight."""
    net = net or Scaled()
    with Recorder(net, directory, **options) as recorder:
        recorder.watch(images)
        for _ in range(steps):
            with torch.no_grad():
                net.weight += 1
            recorder.step()
    return Run(directory)


def test_there_is_an_output_of_every_checkpoint_that_was_written(tmp_path):
    run = recorded(tmp_path, steps=7, every=2, keep=2)
    assert run.checkpoints.steps == (0, 7)
    assert list(run.outputs) == [0, 2, 4, 6, 7]
    for step, output in run.outputs.items():
        assert torch.equal(output, IMAGES * (step + 1))
    assert (5 in run.outputs, run.outputs.get(5), run.problems) == (False, None, {})


def test_outputs_equal_those_of_the_checkpoints(tmp_path):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3))
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    with Recorder(net, tmp_path, every=1) as recorder:
        recorder.watch(IMAGES)
        for _ in range(3):
            optimizer.zero_grad()
            net(IMAGES).square().sum().backward()
            optimizer.step()
            recorder.step()
    run, twin = Run(tmp_path), copy.deepcopy(net).eval()
    for index, step in enumerate(run.checkpoints.steps):
        twin.load_state_dict(run.checkpoints.load(index))
        torch.testing.assert_close(run.outputs[step], twin(IMAGES).detach())


def test_a_reader_follows_and_keeps_what_it_had(tmp_path):
    net = Scaled()
    with Recorder(net, tmp_path, every=1) as recorder:
        run = Run(tmp_path)
        assert len(run.outputs) == 0
        recorder.watch(IMAGES)
        run.refresh()
        earlier = run.outputs
        recorder.step()
        assert run.refresh() > 0
        assert (list(earlier), list(run.outputs), run.refresh()) == ([0], [0, 1], 0)


def test_bytes_and_steps_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(output_log, "MOST_BYTES", 2 * 16 + 15)
    monkeypatch.setattr(output_log, "MOST_STEPS", 4)
    run = recorded(tmp_path, steps=9, every=1)
    assert list(run.outputs) == [0, 4, 8, 9]
    assert torch.equal(run.outputs[9], 10 * IMAGES[:2])
    assert len(list((tmp_path / "outputs").glob("*.safetensors"))) == 4


def test_a_run_that_goes_back_loses_what_is_void(tmp_path):
    recorded(tmp_path, steps=4, every=1)
    with Recorder(Scaled(), tmp_path, every=1, step=2):
        pass
    assert list(Run(tmp_path).outputs) == [0, 1, 2]


def test_a_changed_bit_is_noticed(tmp_path):
    recorded(tmp_path, steps=1, every=1)
    path = tmp_path / "outputs" / "step-00000001.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    run = Run(tmp_path)
    with pytest.raises(CheckpointError, match=r"step-00000001\.safetensors"):
        run.outputs[1]
    assert list(run.verify()) == [f"outputs/{path.name}"]


def test_a_model_with_several_outputs_is_watched_without_them(tmp_path):
    class Two(Scaled):
        def forward(self, images):
            return images * self.weight, images

    run = recorded(tmp_path, steps=2, every=1, net=Two())
    assert (dict(run.outputs), run.checkpoints.steps) == ({}, (0, 1, 2))


def test_bfloat16_stays_what_it_is(tmp_path):
    net = Scaled().to(torch.bfloat16)
    run = recorded(tmp_path, steps=1, every=1, net=net, images=IMAGES.to(torch.bfloat16))
    assert torch.equal(run.outputs[1], IMAGES.to(torch.bfloat16) * 2)


def test_images_that_do_not_fit_are_refused_and_not_watched(tmp_path):
    model = torch.nn.Conv2d(1, 2, 3)
    with Recorder(model, tmp_path, every=1) as recorder:
        with pytest.raises(ModelError, match=r"the model raised on images \(2, 3, 8, 8\): "):
            recorder.watch(torch.zeros(2, 3, 8, 8))
        recorder.step(loss=1.0)
    assert len(Run(tmp_path).outputs) == 0
