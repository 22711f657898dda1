"""The examples of the documentation: every public name has one, and each does what it says."""

import doctest
import inspect
import re

import numpy as np
import pytest
import torch
from ipywidgets.widgets.widget import _instances
from torch import nn

import convviz_widgets as cvw
from convviz_widgets.views.histograms import HistogramView
from convviz_widgets.widgets import View
from convviz_widgets.widgets.mosaic_view import MosaicView
from convviz_widgets.widgets.raster import Gestures, Raster

PUBLIC = [name for name in cvw.__all__ if callable(getattr(cvw, name))]

SHARED = [View, MosaicView, HistogramView, Raster, Gestures]
"""What views are read and acted on by; not exported, but every user has it in hand."""

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples():
    """Return the examples of classes and functions, and those of their methods, by name."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    things = [*SHARED, *(getattr(cvw, name) for name in PUBLIC)]
    found = (test for thing in things for test in finder.find(thing) if test.examples)
    return {test.name: test for test in found}


EXAMPLES = examples()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a short recorded training: three steps with a loss and an accuracy."""
    directory = tmp_path_factory.mktemp("run")
    with cvw.Recorder(nn.Linear(2, 1), directory, every=1) as recorder:
        for loss in (0.9, 0.5, 0.4):
            recorder.step(**{"loss/train": loss, "accuracy/train": 1 - loss})
    return cvw.Run(directory)


@pytest.fixture
def scope(state, images, series, make_net, run):
    """Return what examples find ready, as one would have it in a notebook.

    `state` is on five images, with three checkpoints of `model`; `sweep` is of the same.
    """
    before = set(_instances.values())
    model = make_net(9)
    swept = cvw.sweep(model, images, checkpoints=series, progress=False)
    ready = {"state": state, "images": images, "model": model, "run": run, "sweep": swept}
    yield {"cvw": cvw, "np": np, "nn": nn, "torch": torch, **ready}
    made = [each for each in _instances.values() if each not in before]
    for kind in (cvw.Explorer, cvw.Comparison, View):  # the first two close their views
        for each in made:
            if isinstance(each, kind):
                each.close()


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_an_example(name):
    documented = inspect.getdoc(getattr(cvw, name))
    assert re.search(r"^Examples\n-+\n+>>> ", documented, re.MULTILINE)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_does_what_it_says(name, scope):
    runner, said = doctest.DocTestRunner(optionflags=FLAGS), []
    example = EXAMPLES[name]
    example.globs = scope
    runner.run(example, out=said.append, clear_globs=False)
    assert not runner.failures, "".join(said)
