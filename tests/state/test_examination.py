"""The examination gathers evidence from whatever there is; `diagnose` judges it."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import convviz_widgets as cvw
from convviz_widgets.checkpoints import write_checkpoint
from convviz_widgets.state import Examination

IMAGES = 300
PATIENCE = 60


class Net(nn.Module):
    """Four channels; ``alive`` of them can fire on images in [0, 1]."""

    def __init__(self, alive=4):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 1)
        self.relu = nn.ReLU()
        self.fc = nn.Linear(4, 3)
        with torch.no_grad():
            self.conv.weight.copy_(torch.tensor([1.0, 0.9, 0.8, 0.7]).reshape(4, 1, 1, 1))
            self.conv.bias.copy_(torch.where(torch.arange(4) < alive, 0.1, -2.0))
            self.fc.weight.copy_(torch.linspace(-0.3, 0.3, 12).reshape(3, 4))
            self.fc.bias.zero_()

    def forward(self, x):
        return self.fc(self.relu(self.conv(x)).mean(dim=(2, 3)))


@pytest.fixture
def pictures():
    generator = torch.Generator().manual_seed(3)
    return torch.randint(1, 256, (IMAGES, 1, 4, 4), generator=generator) / 255


@pytest.fixture
def make_state(pictures):
    made = []

    def make(*weights, images=None, **options):
        labels = [index % 3 for index in range(IMAGES)]
        images = cvw.ImageSet(pictures, labels, mean=0.0, std=1.0) if images is None else images
        series = cvw.CheckpointSeries.from_state_dicts(
            [(100 * step, net.state_dict()) for step, net in enumerate(weights)]
        )
        made.append(cvw.ModelState(Net(), images, checkpoints=series, **options))
        return made[-1]

    yield make
    for state in made:
        state.close()


def rules(findings):
    return [finding.rule for finding in findings]


def value_of(finding, **given):
    """Run the code of a finding; return what it leaves in ``value``."""
    names = dict(given)
    exec(finding.code, names)
    return names["value"]


def by_rule(findings, rule):
    return [finding for finding in findings if finding.rule == rule]


def test_nothing_given_is_refused_because_nothing_found_would_read_as_healthy():
    with pytest.raises(cvw.InputError, match="nothing to diagnose"):
        cvw.diagnose()


def test_other_things_than_a_state_are_refused():
    with pytest.raises(cvw.InputError, match="state: expected a ModelState, got str"):
        cvw.diagnose("state")


def test_two_of_four_channels_silent_on_every_image_are_a_dead_layer(make_state):
    state = make_state(Net(), Net(alive=2))
    (found,) = by_rule(cvw.diagnose(state), "dead-layer")
    assert (found.layer, found.value, found.n, found.step) == ("relu", 0.5, IMAGES, 100)
    assert found.select == {"checkpoint": 1, "layer": "relu", "channel": 2}
    state.select(**found.select)
    assert state.activation().eq(0)[2].all()
    assert value_of(found, state=state) == 0.5


def test_one_dead_channel_is_a_dead_filter_and_no_dead_layer(make_state):
    state = make_state(Net(), Net(alive=3))
    findings = cvw.diagnose(state)
    assert by_rule(findings, "dead-layer") == []
    (found,) = by_rule(findings, "dead-filter")
    assert (found.severity, found.channel, found.n) == ("remark", 3, IMAGES)
    assert value_of(found, state=state) == 0


def test_a_channel_that_fires_on_two_images_is_dying_and_its_code_counts_them(make_state, pictures):
    dim, ill = 0.5 * pictures, Net()
    dim[[7, 70]] = 1.0
    with torch.no_grad():
        ill.conv.bias[1] = -0.9 * 0.75  # of all values 1.0 alone comes through a weight of 0.9
    state = make_state(Net(), ill, images=cvw.ImageSet(dim))
    (found,) = by_rule(cvw.diagnose(state), "dying-filter")
    assert (found.channel, found.value) == (1, 2 / IMAGES)
    assert value_of(found, state=state) == found.value


def test_too_few_images_prove_nothing_and_the_report_says_what_is_needed(make_state, pictures):
    state = make_state(Net(), Net(alive=2), images=cvw.ImageSet(pictures[:255]))
    examination = Examination(state)
    examination.start()
    assert examination.wait(PATIENCE)
    report = examination.latest
    assert by_rule(report.findings, "dead-layer") == []
    assert "256 images" in dict(report.unchecked)["dead-layer"]
    assert "loss-jump" in dict(report.unchecked)


def test_a_second_diagnosis_measures_nothing(make_state):
    state = make_state(Net(), Net(alive=2))
    first = cvw.diagnose(state)
    before = state.history.measured_count
    assert cvw.diagnose(state) == first
    assert state.history.measured_count == before


def test_nothing_is_measured_twice_within_a_diagnosis(make_state):
    state = make_state(Net(), Net(), Net(alive=2))
    cvw.diagnose(state)
    # weights, activations, gradients of three checkpoints, two updates, the image set at the last
    assert state.history.measured_count == 3 * 3 + 2 + 1


def test_without_a_record_updates_are_taken_from_neighbouring_checkpoints(make_state):
    moved, stays = Net(), Net()
    with torch.no_grad():
        moved.conv.weight.mul_(1 + 2e-5)
        stays.conv.weight.mul_(1 + 4e-5)
    state = make_state(Net(), moved, stays)
    found = by_rule(cvw.diagnose(state), "update-ratio")
    assert [finding.layer for finding in found] == ["conv", "fc"]  # 2e-5 in 100 steps; nothing
    assert found[0].value == pytest.approx(2e-7, rel=0.02)
    assert "neighbouring checkpoints" in found[0].message
    assert value_of(found[0], state=state) == pytest.approx(found[0].value)


def test_the_users_forward_passes_are_not_spent(make_state):
    state = make_state(Net(), Net(alive=2))
    cvw.diagnose(state)
    assert (state.forward_count, state.backward_count) == (0, 0)


def test_a_large_weight_and_a_large_bias_are_found_with_their_code(make_state):
    ill = Net()
    with torch.no_grad():
        ill.conv.weight[1] = -13.0
        ill.fc.bias[2] = 11.0
    state = make_state(Net(), ill)
    findings = cvw.diagnose(state)
    (weight,) = by_rule(findings, "abnormal-weight")
    (bias,) = by_rule(findings, "abnormal-bias")
    assert (weight.layer, weight.value, bias.layer, bias.value) == ("conv", 13.0, "fc", 11.0)
    assert (value_of(weight, state=state), value_of(bias, state=state)) == (13.0, 11.0)


def test_a_weight_that_is_no_number_names_its_layer(make_state):
    ill = Net()
    with torch.no_grad():
        ill.fc.weight[0, 0] = torch.nan
    state = make_state(Net(), ill)
    found = cvw.diagnose(state)[0]
    assert (found.rule, found.severity, found.layer, found.step) == (
        "non-finite",
        "error",
        "fc",
        100,
    )


def test_one_class_for_every_image_is_a_stuck_output(make_state):
    ill = Net()
    with torch.no_grad():
        ill.fc.bias[1] = 5.0
    state = make_state(Net(), ill)
    (found,) = by_rule(cvw.diagnose(state), "stuck-output")
    assert (found.value, found.n) == (1.0, IMAGES)
    assert value_of(found, state=state) == 1.0


def test_pre_activations_off_centre_are_found_with_their_code(make_state):
    ill = Net()
    with torch.no_grad():
        ill.conv.bias.fill_(2.0)
    state = make_state(Net(), ill)
    (found,) = by_rule(cvw.diagnose(state), "skewed-pre-activation")
    assert (found.layer, found.step) == ("relu", 100)
    assert value_of(found, state=state) == pytest.approx(found.value, rel=1e-5)


def test_weights_that_are_no_numbers_are_found_with_their_code(make_state):
    for name in ("conv.weight", "fc.bias"):
        ill = Net()
        with torch.no_grad():
            ill.get_parameter(name).fill_(torch.inf)
        state = make_state(Net(), ill)
        (found,) = by_rule(cvw.diagnose(state), "non-finite")
        assert value_of(found, state=state) == found.value == 100


class Painter(nn.Module):
    """A convolution of 5×5 that paints its input, with so much of its colour."""

    def __init__(self, colour=1.0):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 5, padding=2)
        grey = torch.full((3, 3), 1 / 3)
        with torch.no_grad():
            self.conv.weight.normal_(0, 1e-4, generator=torch.Generator().manual_seed(0))
            self.conv.weight[:, :, 2, 2] = grey + colour * (torch.eye(3) - grey)
            self.conv.bias.zero_()

    def forward(self, x):
        return self.conv(x)


def test_pale_pictures_and_noisy_filters_are_found_with_their_code():
    generator = torch.Generator().manual_seed(1)
    pictures = torch.rand(IMAGES, 3, 6, 6, generator=generator)
    series = cvw.CheckpointSeries.from_state_dicts([(100, Painter(0.5).state_dict())])
    images = cvw.ImageSet(pictures, targets=pictures)
    state = cvw.ModelState(
        Painter(), images, checkpoints=series, loss=lambda output, target: (output - target).norm()
    )
    findings = cvw.diagnose(state)
    (pale,) = by_rule(findings, "washed-out-output")
    (noisy,) = by_rule(findings, "noisy-filter")
    assert pale.value == pytest.approx(0.5, abs=0.01)
    assert value_of(pale, state=state) == pytest.approx(pale.value, rel=1e-5)
    assert value_of(noisy, state=state) == noisy.value
    state.close()


def test_scaling_inputs_and_std_together_changes_nothing(make_state, pictures):
    def judged(factor):
        images = cvw.ImageSet((pictures - 0.5) / factor, mean=0.5, std=factor)
        return {
            finding.rule: finding.value
            for finding in cvw.diagnose(images=images)
            if finding.rule != "input-scale"
        }

    assert judged(1.0).keys() == judged(0.01).keys()
    assert "wrong-preprocessing" not in judged(0.01)


def test_misstated_preprocessing_is_found_from_the_images_alone(pictures):
    right = cvw.ImageSet((pictures - 0.5) / 0.25, mean=0.5, std=0.25)
    wrong = cvw.ImageSet((pictures - 0.5) / 0.25, mean=0.45, std=0.23)
    assert "wrong-preprocessing" not in rules(cvw.diagnose(images=right))
    (found,) = by_rule(cvw.diagnose(images=wrong), "wrong-preprocessing")
    assert value_of(found, images=wrong) == pytest.approx(found.value)
    unstated = cvw.ImageSet((pictures - 0.5) / 0.25)
    assert "wrong-preprocessing" not in rules(cvw.diagnose(images=unstated))


@pytest.mark.parametrize(("factor", "is_found"), [(255.0, True), (9.0, True), (2.0, False)])
def test_inputs_far_from_one_are_badly_scaled(pictures, factor, is_found):
    findings = by_rule(cvw.diagnose(images=pictures * factor), "input-scale")
    assert bool(findings) == is_found
    for found in findings:
        images = cvw.ImageSet(pictures * factor)
        assert value_of(found, images=images) == pytest.approx(found.value)


def test_leaks_and_duplicates_are_found_with_their_code(pictures):
    training = torch.cat([pictures, pictures[:2]])
    validation = torch.cat([1 - pictures[:20], pictures[7:8]])
    findings = cvw.diagnose(images=training, validation=validation)
    (twice,) = by_rule(findings, "duplicate-sample")
    (leak,) = by_rule(findings, "train-validation-leak")
    assert (twice.value, twice.n, leak.value, leak.n) == (2, 302, 1, 21)
    given = {"images": training, "validation": validation}
    assert (value_of(twice, **given), value_of(leak, **given)) == (2, 1)
    assert rules(cvw.diagnose(images=pictures, validation=1 - pictures[:20])) == [
        "input-not-centred"
    ]


def test_a_state_on_the_validation_images_themselves_is_no_leak(make_state, pictures):
    state = make_state(Net(), Net())
    assert "train-validation-leak" not in rules(cvw.diagnose(state, validation=pictures))


def test_a_repeated_batch_is_found_without_disturbing_the_loader(pictures):
    data = TensorDataset(pictures)
    twice = DataLoader(data, batch_sampler=[[0, 1, 2], [3, 4, 5], [2, 0, 1]])
    once = DataLoader(data, batch_size=100, shuffle=True)
    before = torch.get_rng_state()
    (found,) = by_rule(cvw.diagnose(loader=twice), "repeated-batch")
    assert (found.value, found.n, value_of(found, loader=twice)) == (1, 3, 1)
    assert by_rule(cvw.diagnose(loader=once), "repeated-batch") == []
    assert torch.equal(torch.get_rng_state(), before)


def test_a_tensorboard_log_alone_is_enough(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        for step, loss in enumerate([*[2.0] * 60, 12.0, *[2.0] * 20], start=1):
            writer.add_scalar("train/loss", loss, step)
    run = cvw.Run(tmp_path)
    findings = cvw.diagnose(run=run)
    assert rules(findings) == ["loss-surge", "slow-learning"]
    assert findings[0].step == 61
    for found in findings:
        assert found.select == {}
        assert value_of(found, run=run) == pytest.approx(found.value)


def test_a_sweep_counts_more_images_than_the_state_has(make_state, pictures):
    few = cvw.ImageSet(pictures[:100], [index % 3 for index in range(100)])
    state = make_state(Net(), Net(alive=2), images=few)
    assert by_rule(cvw.diagnose(state), "dead-layer") == []
    sweep = cvw.sweep(Net(alive=2), pictures, progress=False)
    (found,) = by_rule(cvw.diagnose(state, sweep=sweep), "dead-layer")
    assert (found.n, found.step) == (IMAGES, 100)


def test_cancelling_keeps_what_is_there_and_goes_on_later(tmp_path, pictures):
    for step in range(20):
        write_checkpoint(tmp_path / f"step-{step}.safetensors", Net().state_dict())
    series = cvw.CheckpointSeries.from_directory(tmp_path)
    state = cvw.ModelState(Net(), cvw.ImageSet(pictures), checkpoints=series)
    examination = Examination(state)
    examination.observe(examination.stop)
    examination.start()
    assert examination.wait(PATIENCE)
    assert not examination.progress.complete
    examination.unobserve(examination.stop)
    examination.start()
    assert examination.wait(PATIENCE)
    assert examination.progress.complete
    state.close()


def test_a_closed_state_is_told_in_one_line(make_state):
    state = make_state(Net(), Net())
    state.close()
    with pytest.raises(cvw.InputError, match="closed"):
        cvw.diagnose(state)


def test_a_broken_loader_is_a_line_and_not_an_error(pictures):
    class Broken(TensorDataset):
        def __getitem__(self, index):
            raise OSError("gone")

    examination = Examination(loader=DataLoader(Broken(pictures), batch_size=10))
    examination.start()
    assert examination.wait(PATIENCE)
    assert any("gone" in line for line in examination.progress.failures)
    assert np.isfinite(examination.progress.done)


def test_stopping_does_not_wait_for_the_other_batches_of_a_loader(pictures):
    class Counted(TensorDataset):
        reads = 0

        def __getitem__(self, index):
            self.reads += 1
            if self.reads == IMAGES + 10 + 15:  # all to compare them, a first batch, one and a half
                examination.stop()
            return super().__getitem__(index)

    data = Counted(pictures)
    examination = Examination(loader=DataLoader(data, batch_size=10))
    examination.start()
    assert examination.wait(PATIENCE)
    assert data.reads == IMAGES + 10 + 20
    assert examination.diagnosis.evidence().batches == ()
    assert examination.problem == ""
    examination.start()  # the look begins anew
    assert examination.wait(PATIENCE)
    assert len(examination.diagnosis.evidence().batches) == IMAGES / 10


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"loader": 3}, "loader: expected a DataLoader, got int"),
        ({"validation": 3}, "validation: expected an ImageSet"),
        ({"run": "runs/a"}, "run: expected a Run, got str"),
    ],
)
def test_an_argument_of_another_kind_is_refused_in_one_line(given, words):
    with pytest.raises(cvw.InputError, match=words):
        cvw.diagnose(**given)


# -- what cannot be measured -----------------------------------------------------------------------


class Unreadable(torch.utils.data.Dataset):
    """A data set of which no sample can be read."""

    def __len__(self):
        return 20

    def __getitem__(self, index):
        raise OSError("disk gone")


class OfTwo(Net):
    """Takes one or two images at a time."""

    def forward(self, x):
        if len(x) > 2:
            raise RuntimeError("takes one or two images")
        return super().forward(x)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"loader": DataLoader(Unreadable(), batch_size=4)}, "2 of 2 parts .*disk gone"),
        ({"images": Unreadable()}, "2 of 2 parts .*disk gone"),
        ({"validation": Unreadable()}, "nothing to hold validation= against"),
    ],
    ids=["loader", "images", "validation alone"],
)
def test_where_nothing_could_be_looked_at_nothing_is_called_healthy(given, line):
    with pytest.raises(cvw.InputError, match=line):
        cvw.diagnose(**given)


def test_validation_images_that_cannot_be_read_are_warned_about(pictures):
    line = "1 of 2 parts could not be measured: validation: no sample can be read: image 0: OSError"
    with pytest.warns(UserWarning, match=line):
        cvw.diagnose(images=pictures, validation=Unreadable())


def test_a_model_that_refuses_batches_is_warned_about_and_the_report_says_what_failed(pictures):
    state = cvw.ModelState(OfTwo(alive=0), cvw.ImageSet(pictures, [0, 1, 2] * (IMAGES // 3)))
    # Of weights, activations, gradients, the image set, the inputs and the copies.
    with pytest.warns(UserWarning, match="3 of 6 parts .*takes one or two images"):
        assert by_rule(cvw.diagnose(state), "dead-layer") == []
    examination = Examination(state)
    examination.start()
    assert examination.wait(PATIENCE)
    report = examination.latest
    assert "takes one or two images" in dict(report.unmeasured)["stuck-output"]
    assert {"dead-layer", "skewed-pre-activation"} <= {name for name, _ in report.unmeasured}
    assert "stuck-output" not in dict(report.unchecked)
    assert "loss-jump" in dict(report.unchecked)
    state.close()


def test_images_without_labels_lack_something_and_nothing_failed(make_state, pictures):
    cvw.diagnose(make_state(Net(), Net(), images=cvw.ImageSet(pictures)))  # a warning is an error


def test_samples_of_a_loader_that_only_streams_are_not_compared():
    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter([(torch.full((1, 4, 4), index / 20), 0) for index in range(20)])

    assert cvw.diagnose(loader=DataLoader(Stream(), batch_size=4)) == []
