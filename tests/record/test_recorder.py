import json
import os
import resource
import tempfile
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import nn

from convviz_widgets.checkpoints import read_checkpoint
from convviz_widgets.errors import InputError, ModelError, RecordError
from convviz_widgets.record import Recorder, Run

from .oracle import assert_same, tensorboard_scalars
from .training import Training, build_net


def files_in(directory):
    return sorted(path.name for path in (directory / "checkpoints").glob("*.safetensors"))


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@contextmanager
def no_file_larger_than(nbytes):
    """Have the system refuse to write behind the first so many bytes of any file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_was_recorded_is_read_by_run_and_by_tensorboard(tmp_path):
    losses = Training().record(tmp_path, steps=7, every=3)
    run = Run(tmp_path)
    assert run.metrics["loss/train"].steps.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert run.metrics["loss/train"].values.tolist() == losses
    assert run.metrics["learning_rate"].values.tolist() == [0.125] * 7
    assert run.checkpoints.steps == (0, 3, 6, 7)
    assert (run.problems, run.verify(), run.refresh()) == ({}, {}, 0)
    assert_same(run.metrics, tensorboard_scalars(tmp_path))


def test_a_checkpoint_is_the_state_dict_of_its_step(tmp_path):
    training = Training()
    states = [weights(training.model)]
    with Recorder(training.model, tmp_path, every=2) as recorder:
        for _ in range(4):
            training.step()
            recorder.step()
            states.append(weights(training.model))
    run = Run(tmp_path)
    for index, step in enumerate(run.checkpoints.steps):
        loaded = run.checkpoints.load(index)
        assert loaded.keys() == states[step].keys()
        assert all(torch.equal(loaded[name], states[step][name]) for name in loaded)


def test_tied_weights_bfloat16_and_what_is_no_tensor_are_written(tmp_path):
    class Net(nn.Linear):
        def get_extra_state(self):
            return {"version": 3}

        def set_extra_state(self, state):
            pass

    net = Net(3, 3, dtype=torch.bfloat16)
    net.tied = nn.Linear(3, 3)
    net.tied.weight = net.weight
    Recorder(net, tmp_path).close()
    loaded = read_checkpoint(tmp_path / "checkpoints" / "step-00000000.safetensors")
    assert loaded.keys() == {"weight", "bias", "tied.weight", "tied.bias"}
    assert torch.equal(loaded["tied.weight"], net.weight)
    assert loaded["weight"].dtype == torch.bfloat16


def test_the_gradient_norm_and_the_update_ratio_are_those_of_the_step(tmp_path):
    net = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[3.0, 4.0]]))  # norm 5
    net.weight.grad = torch.tensor([[6.0, 8.0]])
    with Recorder(net, tmp_path) as recorder:
        with torch.no_grad():
            net.weight -= 0.25 * net.weight.grad  # the update's norm is 2.5
        recorder.step()
        net.weight.grad = None
        recorder.step()
    metrics = Run(tmp_path).metrics
    assert metrics["gradient_norm/weight"].steps.tolist() == [1]
    assert metrics["gradient_norm/weight"].values.tolist() == [10.0]
    assert metrics["update_ratio/weight"].values.tolist() == [0.5, 0.0]


def test_large_networks_are_measured_now_and_then(tmp_path):
    net = nn.Sequential(*(nn.Linear(1, 1) for _ in range(30)))  # 60 norms, 30 ratios
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    with Recorder(net, tmp_path) as recorder:
        for _ in range(9):
            recorder.step(loss=1)
    metrics = Run(tmp_path).metrics
    assert metrics["gradient_norm/0.weight"].steps.tolist() == [3, 6, 9]
    assert metrics["update_ratio/0.weight"].steps.tolist() == [3, 6, 9]
    assert len(metrics["loss"]) == 9


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (2, 2),
        (True, 1),
        (torch.tensor([[0.5]]), 0.5),
        (torch.tensor(1.5, requires_grad=True), 1.5),
        (np.float64(1e300), float("inf")),
        (10**400, float("inf")),
    ],
)
def test_whatever_is_one_number_is_a_metric(tmp_path, value, number):
    with Recorder(build_net(), tmp_path) as recorder:
        recorder.step(a=value, b=float("nan"))
    metrics = Run(tmp_path).metrics
    assert metrics["a"].values.tolist() == [number]
    assert np.isnan(metrics["b"].values).all()


@pytest.mark.parametrize("value", ["0.5", None, torch.zeros(2), [1.0], 1j])
def test_anything_else_is_refused_by_name_and_the_recording_goes_on(tmp_path, value):
    with Recorder(build_net(), tmp_path) as recorder:
        with pytest.raises(InputError, match="metric 'loss' must be one number, got a"):
            recorder.step(loss=value)
        recorder.step(loss=1.0)
    assert Run(tmp_path).metrics["loss"].steps.tolist() == [2]


def test_a_folder_is_continued(tmp_path):
    training = Training()
    first = training.record(tmp_path, steps=5, every=2)
    second = training.record(tmp_path, steps=3, every=2)
    run = Run(tmp_path)
    assert run.metrics["loss/train"].steps.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert run.metrics["loss/train"].values.tolist() == first + second
    assert run.checkpoints.steps == (0, 2, 4, 5, 6, 8)
    assert_same(run.metrics, tensorboard_scalars(tmp_path))


def test_another_model_in_the_folder_of_a_run_is_warned_of(tmp_path):
    Training().record(tmp_path, steps=2)
    line = "continued at step 2 with other weights than its checkpoint of step 2 has; step=0 begins"
    with pytest.warns(UserWarning, match=line) as caught:
        Recorder(build_net(seed=1), tmp_path).close()
    assert (len(caught), caught[0].filename) == (1, __file__)


def test_beginning_anew_has_the_first_checkpoint_of_the_new_model(tmp_path):
    Training().record(tmp_path, steps=2)
    net = build_net(seed=1)
    Recorder(net, tmp_path, step=0).close()
    run = Run(tmp_path)
    assert (run.checkpoints.steps, run.verify()) == ((0,), {})
    assert torch.equal(run.checkpoints.load(0)["0.weight"], net.state_dict()["0.weight"])


def test_going_on_from_an_earlier_step_voids_what_came_after(tmp_path):
    training = Training()
    first = training.record(tmp_path, steps=6, every=2)
    second = training.record(tmp_path, steps=1, every=2, step=3)
    run = Run(tmp_path)
    assert run.metrics["loss/train"].values.tolist() == first[:3] + second
    assert run.checkpoints.steps == (0, 2, 4)
    assert run.verify() == {}
    assert_same(run.metrics, tensorboard_scalars(tmp_path))


def test_event_files_of_others_do_not_say_where_to_go_on(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    training = Training()
    training.record(tmp_path, steps=2)
    with SummaryWriter(tmp_path) as writer:
        writer.add_scalar("samples", 1.0, 128)
    with Recorder(training.model, tmp_path) as recorder:
        assert recorder.last_step == 2


def test_old_checkpoints_are_thinned_evenly(tmp_path):
    Training().record(tmp_path, steps=21, every=2, keep=4)
    run = Run(tmp_path)
    assert run.checkpoints.steps == (0, 8, 16, 21)
    assert files_in(tmp_path) == list(run.checkpoints.names)
    assert run.verify() == {}


def test_a_loop_that_was_broken_off_leaves_no_checkpoint_of_half_a_step(tmp_path):
    def train():
        with Recorder(build_net(), tmp_path, every=2) as recorder:
            for _ in range(3):
                recorder.step()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train()
    assert Run(tmp_path).checkpoints.steps == (0, 2)


def test_what_a_killed_recorder_left_is_swept_and_nothing_else(tmp_path):
    training = Training()
    training.record(tmp_path, steps=2, every=2)
    folder = tmp_path / "checkpoints"
    with (folder / "manifest.jsonl").open("ab") as manifest:
        manifest.write(b'{"line": 4, "wh')
    (folder / ".convviz-0011223344556677.tmp").write_bytes(b"half")
    (folder / "step-00000001.safetensors").write_bytes(b"mine")
    (folder / "best.pt").write_bytes(b"mine")
    training.record(tmp_path, steps=1)
    assert sorted(path.name for path in folder.iterdir()) == [
        "best.pt",
        "manifest.jsonl",
        "step-00000000.safetensors",
        "step-00000001.safetensors",
        "step-00000002.safetensors",
        "step-00000003.safetensors",
    ]


def test_every_line_of_the_manifest_is_json(tmp_path):
    Training().record(tmp_path, steps=2, every=1)
    lines = (tmp_path / "checkpoints" / "manifest.jsonl").read_text().splitlines()
    written = [json.loads(line) for line in lines if json.loads(line)["what"] == "written"]
    assert [line["step"] for line in written] == [0, 1, 2]


def test_a_second_recorder_is_turned_away_and_the_first_goes_on(tmp_path):
    with Recorder(build_net(), tmp_path) as recorder:
        with pytest.raises(RecordError, match="another recorder is writing there"):
            Recorder(build_net(), tmp_path)
        recorder.step(loss=1)
    assert len(Run(tmp_path).metrics["loss"]) == 1
    Recorder(build_net(), tmp_path).close()


def test_a_closed_recorder_lets_others_in_although_a_forked_worker_lives_on(tmp_path):
    recorder = Recorder(build_net(), tmp_path)
    open_files = {int(fd): f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")}
    (manifest,) = [
        fd for fd, link in open_files.items() if os.path.realpath(link).endswith("manifest.jsonl")
    ]
    workers = os.dup(manifest)  # what a fork gives a data loader's worker
    recorder.close()
    Recorder(build_net(), tmp_path).close()
    os.close(workers)


@pytest.mark.parametrize("limit", [150, 330, 700, 900, 1200])
def test_a_full_disk_is_one_error_and_what_was_recorded_stays(tmp_path, limit):
    training = Training()
    with Recorder(training.model, tmp_path, every=3) as recorder:
        with no_file_larger_than(limit):
            recorded, failed = [], []
            for step in range(1, 13):
                before = weights(training.model)
                try:
                    recorder.step(loss=step)
                    recorded.append(step)
                except RecordError as error:
                    failed.append(str(error))
                assert all(map(torch.equal, before.values(), training.model.state_dict().values()))
        recorder.step(loss=13)
    run = Run(tmp_path)
    assert all(line.startswith("cannot record step ") and "\n" not in line for line in failed)
    assert failed
    assert {*recorded, 13} <= set(run.metrics["loss"].steps.tolist())
    assert run.verify() == {}
    assert run.checkpoints.steps[-1] == 13
    assert_same(run.metrics, tensorboard_scalars(tmp_path))


def test_a_folder_that_cannot_be_written_is_one_error():
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o555)
        root = os.geteuid() == 0
        try:
            if root:  # who may do anything
                os.seteuid(65534)
            with pytest.raises(RecordError) as caught:
                Recorder(build_net(), os.path.join(directory, "run"))
        finally:
            if root:
                os.seteuid(0)
    assert str(caught.value) == f"cannot record in '{directory}/run': Permission denied"


def test_a_file_in_the_way_is_one_error(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(RecordError, match="Not a directory"):
        Recorder(build_net(), tmp_path / "run")


@pytest.mark.parametrize(
    "options",
    [
        {"every": 0},
        {"every": 1.5},
        {"every": True},
        {"keep": 1},
        {"step": -1},
        {"norms_every": 0},
        {"optimizer": 3},
    ],
)
def test_arguments_that_do_not_fit_are_refused_before_anything_is_written(tmp_path, options):
    with pytest.raises(InputError, match=next(iter(options))):
        Recorder(build_net(), tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_a_closed_recorder_says_so(tmp_path):
    recorder = Recorder(build_net(), tmp_path)
    recorder.close()
    recorder.close()
    with pytest.raises(RecordError, match="is closed"):
        recorder.step()


def test_a_metric_without_a_name_is_refused_and_the_recording_goes_on(tmp_path):
    with Recorder(build_net(), tmp_path) as recorder:
        with pytest.raises(InputError, match="a metric needs a name"):
            recorder.step(0.3)
        recorder.step(loss=0.3)
        assert recorder.last_step == 1


def test_activations_are_watched_at_every_checkpoint(tmp_path):
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(inplace=True))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1))
        net[0].bias.zero_()
    with Recorder(net, tmp_path, every=2) as recorder:
        recorder.watch(torch.full((3, 1, 2, 2), 4.0))
        for _ in range(5):
            recorder.step()
    metrics = Run(tmp_path).metrics
    assert metrics["activation_mean/0"].steps.tolist() == [0, 2, 4, 5]
    at_first = {name: series.values[0] for name, series in metrics.items() if "activ" in name}
    assert at_first == {
        "activation_mean/0": 0.0,  # 4 and -4, as they were before the ReLU overwrote them
        "activation_std/0": 4.0,
        "activation_zeros/0": 0.0,
        "activation_dead/0": 0.0,
        "activation_mean/1": 2.0,
        "activation_std/1": 2.0,
        "activation_zeros/1": 0.5,
        "activation_dead/1": 0.5,
    }


class Functional(nn.Module):
    """A convolution by 1 and by -1, a ReLU that is no module, and a sum that no module returns."""

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.Identity())
        with torch.no_grad():
            self.block[0].weight.copy_(torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1))

    def forward(self, x):
        return nn.functional.relu(self.block(x)) + torch.relu(x)


def watched(net, directory, images):
    with Recorder(net, directory) as recorder:
        recorder.watch(images)
    return {name: float(series.values[0]) for name, series in Run(directory).metrics.items()}


def test_functional_activations_are_watched_too(tmp_path):
    metrics = watched(Functional(), tmp_path, torch.full((3, 1, 2, 2), 4.0))
    assert metrics["activation_mean/block.0"] == 0.0  # 4 and -4
    assert {name: value for name, value in metrics.items() if name.endswith("relu")} == {
        "activation_mean/relu": 2.0,
        "activation_std/relu": 2.0,
        "activation_zeros/relu": 0.5,
        "activation_dead/relu": 0.5,
    }
    assert metrics["activation_mean/relu_1"] == 4.0
    assert metrics["activation_dead/relu_1"] == 0.0


def test_a_single_layer_is_watched_under_no_name(tmp_path):
    layer = nn.Conv2d(1, 1, 1, bias=False)
    nn.init.constant_(layer.weight, 3.0)
    with Recorder(layer, tmp_path, every=1) as recorder:
        recorder.watch(torch.ones(2, 1, 2, 2))
        nn.init.constant_(layer.weight, 5.0)
        recorder.step()
    metrics = Run(tmp_path).metrics
    assert metrics["activation_mean/"].values.tolist() == [3.0, 5.0]
    assert sum("activation" in name for name in metrics) == 4


def test_a_model_that_draws_is_watched_and_its_numbers_given_back(tmp_path):
    class Drawing(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1)

        def forward(self, x):
            x = self.conv(x)
            return x + torch.randn_like(x)

    net = Drawing()
    before = torch.get_rng_state()
    with Recorder(net, tmp_path, every=1) as recorder:
        recorder.watch(torch.ones(2, 1, 2, 2))
        recorder.step()
    assert torch.equal(torch.get_rng_state(), before)
    assert Run(tmp_path).metrics["activation_mean/conv"].steps.tolist() == [0, 1]


def script(net):
    return torch.jit.script(net)


def trace(net):
    return torch.jit.trace(net.eval(), torch.ones(3, 1, 2, 2))


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("hide", [script, trace])
def test_of_torchscript_the_outputs_are_watched_and_a_warning_says_so(tmp_path, hide):
    net = hide(nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Dropout(0.5)))
    images = torch.full((3, 1, 2, 2), 4.0)
    before, modes = torch.get_rng_state(), [module.training for module in net.modules()]
    with Recorder(net, tmp_path, every=1) as recorder:
        nn.init.constant_(next(net.parameters()), 3.0)
        with pytest.warns(UserWarning, match="TorchScript, which hides its layers") as warned:
            recorder.watch(images)
        nn.init.constant_(next(net.parameters()), 5.0)
        recorder.step()
    run = Run(tmp_path)
    assert (len(warned), warned[0].filename) == (1, __file__)
    assert torch.equal(run.outputs[0], 3 * images)
    assert torch.equal(run.outputs[1], 5 * images)
    assert [name for name in run.metrics if "_mean" in name and "activ" in name] == [
        "activation_mean/"  # of the outputs
    ]
    assert torch.equal(torch.get_rng_state(), before)
    assert [module.training for module in net.modules()] == modes


def test_a_model_of_a_fixed_number_of_images_is_watched(tmp_path):
    class Three(Functional):
        def forward(self, x):
            assert len(x) == 3, "three images"
            return super().forward(x)

    with Recorder(Three(), tmp_path) as recorder:
        recorder.watch(torch.full((3, 1, 2, 2), 4.0))
    run = Run(tmp_path)
    assert run.metrics["activation_mean/relu"].values.tolist() == [2.0]
    assert torch.equal(run.outputs[0][:, 0], torch.full((3, 2, 2), 8.0))  # 4 and 4
    with (
        Recorder(Three(), tmp_path / "two") as recorder,
        pytest.raises(ModelError, match="AssertionError: three images"),
    ):
        recorder.watch(torch.zeros(2, 1, 2, 2))


def test_a_model_that_ignores_its_weights_is_watched_and_a_warning_says_so(tmp_path):
    class Constant(Functional):
        def forward(self, x):
            assert (x >= 0).all()
            return super().forward(x) * 0.0

    said = "ignores its weights.*recorded all the"
    with (
        Recorder(Constant(), tmp_path) as recorder,
        pytest.warns(UserWarning, match=said) as warned,
    ):
        recorder.watch(torch.full((3, 1, 2, 2), 4.0))
    run = Run(tmp_path)
    assert len(warned) == 1
    assert run.metrics["activation_mean/relu"].values.tolist() == [2.0]
    assert torch.equal(run.outputs[0], torch.zeros(3, 2, 2, 2))


def test_a_model_whose_modules_do_not_run_is_watched_and_a_warning_says_so(tmp_path):
    class Direct(Functional):
        def forward(self, x):
            return nn.functional.conv2d(x, self.block[0].weight)

    said = "no layer runs inside Direct.*recorded all the"
    with Recorder(Direct(), tmp_path) as recorder, pytest.warns(UserWarning, match=said):
        recorder.watch(torch.full((3, 1, 2, 2), 4.0))
    assert Run(tmp_path).outputs[0][0, :, 0, 0].tolist() == [4.0, -4.0]


def test_what_cannot_be_watched_is_refused(tmp_path):
    class Uncopyable(nn.Identity):
        def __deepcopy__(self, memo):
            raise TypeError("no")

    with Recorder(build_net(), tmp_path / "a") as recorder:
        with pytest.raises(InputError, match=r"got a Tensor of shape \(3, 4\)"):
            recorder.watch(torch.zeros(3, 4))
        recorder.step()
    net = nn.Sequential(nn.Linear(1, 1), Uncopyable())
    with (
        Recorder(net, tmp_path / "b") as recorder,
        pytest.raises(ModelError, match="the model cannot be copied: no; give its class a __deep"),
    ):
        recorder.watch(torch.zeros(1, 1, 1, 1))
