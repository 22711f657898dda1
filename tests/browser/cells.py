"""Notebook cells for the tests: a network so small that everything on the page is quick."""

MODEL = """
from collections import OrderedDict
import torch
from torch import nn
import convviz_widgets as cvw

torch.set_num_threads(1)
torch.manual_seed(0)
model = nn.Sequential(OrderedDict(
    conv1=nn.Conv2d(3, 12, 5, padding=2), relu1=nn.ReLU(), pool1=nn.MaxPool2d(2),
    conv2=nn.Conv2d(12, 16, 3, padding=1), relu2=nn.ReLU(), average=nn.AdaptiveAvgPool2d(1),
    flatten=nn.Flatten(), linear=nn.Linear(16, 3),
))
with torch.no_grad():
    model.conv1.bias[5] = -100  # dead: hatched in the mosaic

def checkpoint(step):
    noise = torch.Generator().manual_seed(step)
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for name in ("conv1.weight", "conv2.weight", "linear.weight"):
        tensors[name] += 0.1 * torch.randn(tensors[name].shape, generator=noise)
    return step, tensors

steps = range(0, 600, 100)
checkpoints = cvw.CheckpointSeries.from_state_dicts([checkpoint(step) for step in steps])
images = cvw.ImageSet(
    torch.rand(20, 3, 24, 24), torch.arange(20) % 3, class_names=["coffee", "rocket", "cat"]
)
state = cvw.ModelState(model, images, checkpoints=checkpoints, layer="relu1", checkpoint=0)
"""

EXPLORER = """
explorer = cvw.Explorer(state)
explorer
"""
