"""The README's examples run as they are printed, and its table names every photograph."""

import re
from pathlib import Path

import torch
from PIL import Image
from torch import nn

from convviz_widgets.checkpoints import write_checkpoint
from convviz_widgets.demo import PHOTOGRAPHS

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def test_the_examples_run(tmp_path, monkeypatch):
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 2))
    run = tmp_path / "runs" / "first"
    run.mkdir(parents=True)
    for step in (0, 100):
        write_checkpoint(run / f"step-{step}.safetensors", model.state_dict())
    monkeypatch.chdir(tmp_path)
    names = {
        "model": model,
        "inputs": torch.rand(2, 3, 6, 6),
        "labels": [0, 1],
        "names": ["cat", "dog"],
        "mean": 0.0,
        "std": 1.0,
        "size": 6,
    }
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (9, 7)).save(tmp_path / "photos" / "a.png")
    examples = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    front, on_disk, by_code, on_a_view, live = examples
    exec(front, names)
    exec(on_disk, names)
    assert names["state"].steps == (0, 100)
    exec(by_code, names)
    assert names["maps"].shape == (2, 4, 4)
    exec(on_a_view, names)
    assert names["view"].colormap == "magma"
    assert "step 0 · n = 1 image" in names["view"].caption
    exec(live, {**names, "step": 7}, live_names := {})
    live_names["state"].refresh()
    assert live_names["state"].steps == (0, 7)


def test_every_photograph_is_listed_with_its_licence():
    rows = dict(re.findall(r"^\| (\w+) \|.*\| ([^|]+) \|$", README, flags=re.MULTILINE))
    rows.pop("class")
    assert rows == {photograph.name: photograph.licence for photograph in PHOTOGRAPHS}
