""" "Show me" leads to what the finding was judged by: one row of the table for each kind of it."""

from contextlib import closing

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import convviz_widgets as cvw
from convviz_widgets.apps.pages import CHAPTERS, PAGES
from convviz_widgets.apps.show_me import EVIDENCE
from convviz_widgets.diagnosis import RULES, Finding, Report
from convviz_widgets.record.event_files import EventFileWriter
from convviz_widgets.widgets import View
from convviz_widgets.widgets.widget_tree import widget_tree

PATIENCE = 60
COUNT = 300

METRICS = {
    "train/loss": lambda step: 2.0 / step,
    "val/loss": lambda step: 2.5 / step,
    "train/accuracy": lambda step: 1 - 1 / step,
    "val/accuracy": lambda step: 0.5,
    "lr": lambda step: 0.1,
    "gradient_norm/0.weight": lambda step: 1.0 if step < 30 else np.nan,
    "gradient_norm/5.weight": lambda step: 1.0,
}


def net():
    made = nn.Sequential(
        nn.Conv2d(3, 4, 5, padding=2),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.rand(parameter.shape, generator=generator) * 0.2)
        made[0].bias[2] = -100.0
    return made


def ill():
    tensors = {name: tensor.clone() for name, tensor in net().state_dict().items()}
    tensors["2.bias"][1] = float("nan")
    return tensors


def write(folder, metrics):
    with closing(EventFileWriter(folder)) as log:
        for step in range(1, 61):
            log.write(step, {name: float(value(step)) for name, value in metrics.items()})
    return cvw.Run(folder)


def explorer_of(model, images, weights, run, **more):
    series = cvw.CheckpointSeries.from_state_dicts(weights)
    state = cvw.ModelState(model, images, checkpoints=series, checkpoint=0)
    return cvw.Explorer(state, run=run, **more)


@pytest.fixture(scope="module")
def material():
    """Return images with a copy among them, validation images that leak, a loader that repeats."""
    pictures = torch.rand(COUNT, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    pictures[7] = pictures[3]
    labels = torch.arange(COUNT) % 3
    images = cvw.ImageSet(pictures, labels, mean=(0.5,) * 3, std=(0.25,) * 3)
    batch = TensorDataset(pictures[:8], labels[:8])
    loader = DataLoader(batch, sampler=[*range(4), *range(4)], batch_size=4)
    return images, torch.cat([pictures[3:4], 1 - pictures[:5]]), loader


@pytest.fixture(scope="module")
def bare(material, tmp_path_factory):
    """An explorer with a run that recorded no update ratios, and without a loader."""
    images, validation, _ = material
    run = write(tmp_path_factory.mktemp("bare"), METRICS)
    weights = [(0, net().state_dict()), (50, net().state_dict()), (60, ill())]
    made = explorer_of(net(), images, weights, run, validation=validation)
    yield made
    made.close()
    made.state.close()


@pytest.fixture(scope="module")
def full(material, tmp_path_factory):
    """An explorer with a run that recorded update ratios, and a loader."""
    images, validation, loader = material
    ratios = {f"update_ratio/{name}.weight": lambda step: 0.5 for name in (0, 5)}
    run = write(tmp_path_factory.mktemp("full"), METRICS | ratios)
    weights = [(0, net().state_dict()), (50, net().state_dict())]
    made = explorer_of(net(), images, weights, run, validation=validation, loader=loader)
    yield made
    made.close()
    made.state.close()


@pytest.fixture(scope="module")
def pictures():
    """An explorer of a model that puts out pictures, paler than their targets."""
    targets = torch.rand(20, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    images = cvw.ImageSet(TensorDataset(targets, targets))
    model = nn.Sequential(nn.Conv2d(3, 3, 1))
    made = explorer_of(model, images, [(0, model.state_dict())], None)
    yield made
    made.close()
    made.state.close()


def find(rule, **where):
    """Return a finding as an examination places it."""
    select = {"checkpoint": where.pop("checkpoint", 1)}
    names = ("layer", "channel", "image")
    select |= {name: where[name] for name in names if name in where}
    where.pop("image", None)
    return Finding(rule, "warning", "planted", select=select, **where)


DISTRIBUTION = ("History", "Distributions", "DistributionHistory")
GRADIENTS = ("History", "Gradients", "GradientFlow")
DEAD = ("Units", "Dead filters", "DeadFilters")
CURVES = ("Training", "", "TrainingCurves")
VALUES = ("Inputs", "Values", "InputHistogram")
IMAGES = ("Inputs", "Images", "InputGallery")

TABLE = [
    # The explorer, the finding, the place, the options of its view, and what can be read there.
    (
        "bare",
        find("non-finite", layer="0", step=30, checkpoint=0),
        CURVES,
        {"tags": ("gradient_norm/0.weight",), "smoothing": 0.0},
        "gradient_norm/0.weight n = 60",
    ),
    (
        "bare",
        find("non-finite", layer="2", step=60, checkpoint=2),
        DISTRIBUTION,
        {"quantity": "biases"},
        "NaN or infinite 1",
    ),
    (
        "bare",
        find("train-validation-leak", image=3),
        IMAGES,
        {"source": "images", "only": True},
        "",
    ),
    ("full", find("repeated-batch"), IMAGES, {"source": "loader", "only": False}, ""),
    ("bare", find("duplicate-sample", image=3), IMAGES, {"source": "images", "only": True}, ""),
    ("full", find("duplicate-sample", image=3), IMAGES, {"source": "images", "only": False}, ""),
    ("bare", find("wrong-preprocessing"), VALUES, {"side": "preprocessing undone"}, "256 bins"),
    (
        "bare",
        find("input-scale"),
        VALUES,
        {"side": "as the model takes them", "channel": "all channels"},
        "RMS 0.5",
    ),
    (
        "bare",
        find("input-not-centred"),
        VALUES,
        {"side": "as the model takes them", "channel": "all channels"},
        "mean 0.5",
    ),
    ("bare", find("unequal-input-scales"), VALUES, {"channel": "channel 0"}, "channel 0 of n = "),
    (
        "bare",
        find("exploding-gradient", layer="0", step=50),
        GRADIENTS,
        {"of": "output gradients", "over": "slope over depth"},
        "decades a layer",
    ),
    (
        "full",
        find("exploding-gradient", step=50),
        CURVES,
        {"tags": ("gradient_norm/0.weight", "gradient_norm/5.weight")},
        "gradient_norm/5.weight n = 60",
    ),
    (
        "bare",
        find("vanishing-gradient", layer="0", step=50),
        GRADIENTS,
        {"of": "output gradients", "over": "slope over depth"},
        "step 50",
    ),
    ("bare", find("loss-jump", step=55), CURVES, {"tags": ("train/loss",), "smoothing": 0.9}, ""),
    (
        "bare",
        find("loss-surge", step=55),
        CURVES,
        {"tags": ("train/loss",), "smoothing": 0.0},
        "train/loss n = 60",
    ),
    ("bare", find("slow-learning", step=55), CURVES, {"tags": ("train/loss",)}, "cursor: step 50"),
    (
        "bare",
        find("overfit", step=55),
        CURVES,
        {"tags": ("train/loss", "val/loss")},
        "val/loss n =",
    ),
    (
        "full",
        find("update-ratio", layer="5", step=50),
        CURVES,
        {"tags": ("update_ratio/5.weight",)},
        "update_ratio/5.weight n = 60",
    ),
    (
        "bare",
        find("update-ratio", layer="5", step=50),
        GRADIENTS,
        {"over": "update ratios"},
        "between neighbouring checkpoints",
    ),
    (
        "bare",
        find("dead-layer", layer="1", channel=2, step=50),
        DEAD,
        {},
        "dead (never fired): 1 of",
    ),
    ("full", find("dead-filter", layer="1", channel=2, step=50), DEAD, {}, "n = 300 images"),
    ("bare", find("dying-filter", layer="1", channel=2, checkpoint=0), DEAD, {}, "step 0 · dead"),
    (
        "bare",
        find("stuck-output", step=50),
        ("Outputs", "Confusion", "ConfusionMatrix"),
        {},
        "step 50",
    ),
    (
        "bare",
        find("abnormal-weight", layer="5", step=50),
        DISTRIBUTION,
        {"quantity": "weights", "values": "whole run"},
        "weights of 5 · step 50",
    ),
    (
        "bare",
        find("abnormal-bias", layer="0", step=50),
        DISTRIBUTION,
        {"quantity": "biases", "values": "whole run"},
        "biases of 0 · step 50",
    ),
    (
        "bare",
        find("skewed-pre-activation", layer="1", step=50),
        DISTRIBUTION,
        {"quantity": "pre-activations", "values": "this step", "normal": True},
        "pre-activations of 1 · step 50",
    ),
    (
        "bare",
        find("noisy-filter", layer="0", step=50),
        ("Filters", "", "FilterMosaic"),
        {"stopped": False},
        "step 50",
    ),
    (
        "pictures",
        find("washed-out-output", image=4, checkpoint=0),
        ("Outputs", "Gallery", "OutputGallery"),
        {},
        "step 0",
    ),
]


def test_the_table_and_the_explorer_know_every_rule():
    rules = {rule.name for rule in RULES}
    assert set(EVIDENCE) <= rules  # one that is missing is led to by what its findings are about
    assert {finding.rule for _, finding, *_ in TABLE} == set(EVIDENCE)
    for _, _, (tab, chapter, _), *_ in TABLE:
        assert tab in PAGES
        assert chapter in CHAPTERS.get(tab, ("",))


@pytest.mark.parametrize(
    ("which", "finding", "place", "options", "caption"),
    TABLE,
    ids=[f"{which}-{finding.rule}-{index}" for index, (which, finding, *_) in enumerate(TABLE)],
)
def test_show_me_leads_to_what_the_rule_has_judged(
    request, which, finding, place, options, caption
):
    check_that_it_leads_to(request.getfixturevalue(which), finding, place, options, caption)


@pytest.mark.parametrize(
    ("where", "place", "options", "caption"),
    [
        (
            {"layer": "1", "channel": 2},
            ("Activations", "", "ActivationMosaic"),
            {},
            "1 · 4 channels of 8×8 · step 50",
        ),
        (
            {"layer": "1"},
            DISTRIBUTION,
            {"quantity": "outputs", "values": "whole run"},
            "outputs of 1 · step 50",
        ),
        ({}, CURVES, {"tags": ("train/loss",)}, "cursor: step 50"),
    ],
    ids=["channel", "layer", "run"],
)
def test_a_finding_of_an_unknown_rule_is_seen_by_what_it_is_about(
    bare, where, place, options, caption
):
    finding = find("rule-of-tomorrow", step=50, **where)
    check_that_it_leads_to(bare, finding, place, options, caption)


def check_that_it_leads_to(explorer, finding, place, options, caption):
    state = explorer.state
    disarrange(explorer)
    press_show_me(explorer, finding)
    tab, chapter, kind = place
    page = explorer.pages[tab]
    assert list(explorer.pages)[explorer.tabs.selected_index] == tab
    assert page.chapters is None or page.chapters.value == chapter
    view = next(v for v in page.views() if type(v).__name__ == kind and v.visible)
    for background in (state.history, state.sweeps, state.output_history):
        assert background.wait(PATIENCE)
    assert view.problem == ""
    for name, value in options.items():
        assert getattr(view, name) == value, name
    for name, value in finding.select.items():
        assert getattr(state.selection, name) == value, name
    assert caption in view.caption


def disarrange(explorer):
    """Leave the explorer as somebody did who looked at something else, and closer."""
    explorer.state.select(checkpoint=0, image=0, layer=explorer.state.layers[0].name, channel=0)
    views = [each for view in explorer.views() for each in widget_tree(view)]
    for view in filter(lambda each: isinstance(each, View), views):
        for name, value in {
            "stopped": True,
            "quantity": "outputs",
            "values": "middle 99 %",
            "only": True,
            "over": "gradient norms",
            "of": "weight gradients",
            "colour": "errors only",
            "channel": "channel 2",
        }.items():
            if view.has_trait(name) and view.trait_metadata(name, "option"):
                if type(view).__name__ != "TrainingCurves":
                    setattr(view, name, value)
                else:
                    view.tags, view.smoothing = ("lr",), 0.99


def press_show_me(explorer, finding):
    explorer.tabs.selected_index = list(explorer.pages).index("Diagnosis")
    (panel,) = explorer.pages["Diagnosis"].views()
    assert panel.examination.wait(PATIENCE)
    panel.examination.latest = Report((finding,))
    panel.redraw()
    assert not panel.control("Show me").disabled
    panel.control("Show me").click()
    assert panel.problem == ""


def test_a_curve_that_was_zoomed_to_shows_the_whole_run_again(bare):
    press_show_me(bare, find("loss-surge", step=55))
    curves, _ = bare.pages["Training"].views()
    curves.overlay.drag(*((curves.plot.to_pixel(step), 50) for step in (1, 5)))
    assert curves.plot.x.max < 6
    press_show_me(bare, find("loss-surge", step=55))
    assert curves.plot.x.max == 60


def test_the_noise_of_the_filters_is_measured_although_it_was_cancelled_before(bare):
    finding = find("noisy-filter", layer="0", step=50)
    press_show_me(bare, finding)
    mosaic = next(v for v in bare.pages["Filters"].views() if type(v).__name__ == "FilterMosaic")
    mosaic.noise.stopped = True
    press_show_me(bare, finding)
    assert not mosaic.noise.stopped
    assert bare.state.history.wait(PATIENCE)
    mosaic.noise.redraw()
    assert "not measured yet" not in mosaic.noise.caption


def test_the_second_plot_shows_both_accuracies_of_an_overfitting_run(bare):
    press_show_me(bare, find("overfit", step=55))
    _, accuracies = bare.pages["Training"].views()
    assert accuracies.tags == ("train/accuracy", "val/accuracy")


def test_the_dead_filter_is_the_first_row_of_the_grid_that_was_swept_for_it(bare):
    press_show_me(bare, find("dead-filter", layer="1", channel=2, step=50))
    assert bare.state.sweeps.wait(PATIENCE)
    view = next(v for v in bare.pages["Units"].views() if type(v).__name__ == "DeadFilters")
    assert view.painted.order[0] == 2
    assert view.painted.channel == 2


@pytest.mark.parametrize("rule", sorted(EVIDENCE))
def test_whatever_has_a_place_can_be_shown_although_there_is_nothing_to_select(full, rule):
    press_show_me(full, Finding(rule, "warning", "planted"))
    assert list(full.pages)[full.tabs.selected_index] != "Diagnosis"


def test_a_panel_alone_shows_only_what_can_be_selected(bare):
    with closing(cvw.DiagnosisPanel(bare.state)) as panel:
        assert panel.examination.wait(PATIENCE)
        for select, is_shown in (({}, False), ({"checkpoint": 1}, True)):
            finding = Finding("input-scale", "warning", "planted", select=select)
            panel.examination.latest = Report((finding,))
            panel.redraw()
            assert panel.control("Show me").disabled != is_shown


def test_a_place_that_the_explorer_lacks_leaves_it_where_it_is(pictures):
    press_show_me(pictures, find("loss-surge", step=0, checkpoint=0))
    assert list(pictures.pages)[pictures.tabs.selected_index] == "Diagnosis"


def test_the_copied_samples_alone_are_on_the_page_and_the_first_is_selected(bare):
    press_show_me(bare, find("duplicate-sample", image=3))
    gallery = next(v for v in bare.pages["Inputs"].views() if type(v).__name__ == "InputGallery")
    assert gallery.search.wait(PATIENCE)
    tiles = gallery.painted.tiles
    assert tiles.numbers == (3, 7)
    assert "equals image 7" in tiles.labels[0]
    assert bare.state.image == 3


def test_a_step_between_checkpoints_and_a_threshold_are_marked_until_other_curves_are_shown(full):
    press_show_me(full, find("update-ratio", layer="5", step=55, threshold=0.1))
    curves, _ = full.pages["Training"].views()
    assert "cursor: step 50, grey: step 55 of the finding" in curves.caption
    assert [each.tag for each in curves.curves] == ["update_ratio/5.weight", "threshold 0.1"]
    assert curves.plot.y.min < 0.1 < curves.plot.y.max  # although each ratio is 0.5
    full.state.select(checkpoint=0)
    assert "cursor: step 0, grey: step 55" in curves.caption
    curves.control("Metrics to show").value = ("lr",)
    assert curves.tags == ("lr",)
    assert "finding" not in curves.caption
    press_show_me(full, find("loss-surge", step=55, threshold=3.0))
    assert "grey: step 55 of the finding" in curves.caption
    assert [each.tag for each in curves.curves] == ["train/loss"]  # its threshold is no loss
