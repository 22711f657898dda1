import subprocess
import sys

SCRIPT = """
import torch
from torch import nn
import convviz_widgets as cvw

net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 5))
explorer = cvw.Explorer(cvw.ModelState(net, torch.rand(4, 3, 8, 8)))
"""


def test_a_script_that_leaves_an_explorer_open_ends_well():
    ended = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
