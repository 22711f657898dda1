"""A script that leaves views open ends soon after its last line, whatever is under way."""

import subprocess
import sys

import pytest

NET = """
import time
import torch
from torch import nn
import convviz_widgets as cvw

net = nn.Sequential(
    nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)
)
labels = [index % 5 for index in range(2000)]
"""

CHECKPOINTS = """
weights = [(step, {k: v * (1 + step / 100) for k, v in net.state_dict().items()})
           for step in range(200)]
series = cvw.CheckpointSeries.from_state_dicts(weights)
state = cvw.ModelState(net, cvw.ImageSet(torch.rand(2000, 3, 32, 32), labels), checkpoints=series)
"""

# Each is under way once the script has come to its end: two hundred checkpoints take long.
WORK = {
    "an Explorer": "views = [cvw.Explorer(state)]",
    "a DiagnosisPanel": "views = [cvw.DiagnosisPanel(state)]",
    "an Explorer on its Diagnosis tab": """
explorer = cvw.Explorer(state)
tabs = explorer.tabs
tabs.selected_index = list(tabs.titles).index("Diagnosis")
""",
    "a diagnosis of data that are slow to read": """
class Slow(torch.utils.data.Dataset):
    def __len__(self):
        return 2000

    def __getitem__(self, index):
        time.sleep(0.02)
        return torch.full((3, 8, 8), index / 2000), index % 5

loader = torch.utils.data.DataLoader(Slow(), batch_size=16)
views = [cvw.DiagnosisPanel(state, images=cvw.ImageSet(Slow()), loader=loader)]
""",
    "views that ask for everything": """
views = [
    cvw.DistributionHistory(state), cvw.GradientFlow(state), cvw.SparsityHistory(state),
    cvw.EmbeddingScatter(state), cvw.Predictions(state), cvw.ConfusionMatrix(state),
    cvw.TopImages(state), cvw.DeadFilters(state), cvw.DiagnosisPanel(state),
]
state.sweeps.ask(*range(200))
""",
}

# Exit handlers run once every thread has ended. What Python and torch then take to be taken down, a
# second and on a busy machine three, has nothing to do with what was left open.
LAST_LINES = """
import atexit
atexit.register(lambda: print(time.time(), flush=True))
time.sleep({seconds})
print(time.time(), flush=True)
"""


def ended(script):
    """Run a script; return its exit status, what is on stderr, and how long its threads went on."""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    last_line, all_ended = map(float, done.stdout.split())
    return done.returncode, done.stderr, all_ended - last_line


def test_a_script_that_leaves_an_explorer_open_ends_well():
    script = NET + "explorer = cvw.Explorer(cvw.ModelState(net, torch.rand(4, 3, 8, 8)))"
    status, stderr, _ = ended(script + LAST_LINES.format(seconds=0))
    assert (status, stderr) == (0, "")


@pytest.mark.parametrize("seconds", [0, 0.5])
@pytest.mark.parametrize("work", WORK)
def test_a_script_ends_within_two_seconds_while_something_is_measured(work, seconds):
    script = NET + CHECKPOINTS + WORK[work] + LAST_LINES.format(seconds=seconds)
    status, stderr, taken = ended(script)
    assert (status, stderr) == (0, "")
    assert taken < 2


# A thread of the user's own outlives the main one and asks for a diagnosis then.
TOO_LATE = """
import threading

def work():
    threading.main_thread().join()
    print(cvw.diagnose(state))

state = cvw.ModelState(net, cvw.ImageSet(torch.rand(64, 3, 8, 8), labels[:64]))
threading.Thread(target=work).start()
"""


def test_a_diagnosis_after_the_last_line_raises_instead_of_finding_nothing():
    command = [sys.executable, "-c", NET + TOO_LATE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == ""
    assert "the script has come to its end, so nothing more is measured" in done.stderr


# The script ends amid the steps of t-SNE, which would go on for several seconds.
LAYING_OUT = """
import sys, traceback

state = cvw.ModelState(net, cvw.ImageSet(torch.rand(2000, 3, 8, 8), labels))
scatter = cvw.EmbeddingScatter(state, method="t-sne", images=2000)

def is_under_way():
    stacks = map(traceback.extract_stack, sys._current_frames().values())
    return any(frame.name == "_gradient_descent" for stack in stacks for frame in stack)

while not is_under_way():
    time.sleep(0.01)
"""


def test_a_script_ends_within_two_seconds_while_a_t_sne_is_under_way():
    status, stderr, taken = ended(NET + LAYING_OUT + LAST_LINES.format(seconds=0))
    assert (status, stderr) == (0, "")
    assert taken < 2


# Each layer is as slow as can be: whoever looks at its weight waits for the end of the main thread.
SLOW_LAYERS = """
import threading

looks = []

class Slow(nn.Conv2d):
    def __getattr__(self, name):
        if name == "weight" and threading.current_thread().name == "convviz-background" and waits:
            looks.append(name)
            begun.set()
            threading.main_thread().join()
        return super().__getattr__(name)

waits, begun = [], threading.Event()
layers = [nn.Conv2d(3, 4, 3, padding=1), *(Slow(4, 4, 3, padding=1) for _ in range(20))]
net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))
weights = [(step, net.state_dict()) for step in range(3)]
series = cvw.CheckpointSeries.from_state_dicts(weights)
images = cvw.ImageSet(torch.rand(8, 3, 8, 8), labels[:8])
state = cvw.ModelState(net, images, checkpoints=series)
state.history.ask("first", "activations")
state.history.wait()
waits.append(True)
state.history.ask("second", {part!r})
begun.wait()
import atexit
atexit.register(lambda: print(len(looks)))
"""


@pytest.mark.parametrize("part", ["parameters", "updates", "filters"])
def test_a_script_waits_for_one_layer_of_a_large_model_at_most(part):
    command = [sys.executable, "-c", NET + SLOW_LAYERS.format(part=part)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "1\n"
