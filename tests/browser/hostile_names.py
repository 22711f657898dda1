"""Thirty names that try to become more than text, and notebook cells in which all are used."""

PAYLOADS = (
    "<script cvw-trap>cvwPwned='script'</script>",
    "<ScRiPt cvw-trap>alert(1)//",
    "<img cvw-trap src=x onerror=cvwPwned='img'>",
    '"><img cvw-trap src=x onerror=cvwPwned="attribute">',
    "'><img cvw-trap src=x onerror=alert`1`>",
    '" cvw-trap onmouseover=cvwPwned=1 autofocus onfocus=cvwPwned=1 x="',
    "' cvw-trap onpointerenter='cvwPwned=1' style='animation:x",
    "<svg cvw-trap onload=cvwPwned='svg'>",
    "<svg><animate cvw-trap onbegin=cvwPwned='animate' attributeName=x dur=1s>",
    "<math cvw-trap><mtext><img cvw-trap src=x onerror=cvwPwned='math'>",
    "<iframe cvw-trap srcdoc='<script>parent&#46;cvwPwned=1</script>'></iframe>",
    "<details cvw-trap open ontoggle=cvwPwned='details'>",
    "<input cvw-trap autofocus onfocus=cvwPwned='input'>",
    "<a cvw-trap href=javascript:cvwPwned='link'>click",
    "javascript:cvwPwned='url'",
    "[click](javascript:cvwPwned='markdown')",
    "&lt;img cvw-trap src=x onerror=cvwPwned='entity'&gt;",
    "&#60;img cvw-trap src=x onerror=cvwPwned='number'&#62;",
    "</style><style cvw-trap>body{display:none}</style>",
    "</span></div><b cvw-trap>outside",
    "</select><option cvw-trap>another",
    "]]><b cvw-trap>--><!--",
    "<!--<b cvw-trap>-->",
    "<template cvw-trap><slot onslotchange=cvwPwned=1>",
    "${cvwPwned=1}{{cvwPwned=1}}<%=cvwPwned%>",
    "red;background:url(javascript:cvwPwned=1);x:expression(cvwPwned=1)",
    "$\\href{javascript:cvwPwned='maths'}{x}$ \\(\\unicode{60}\\) $$x$$",
    "control\x00\x07\x1b[31m\x7f\u0085<b cvw-trap>",
    "turned\u202e<b cvw-trap>\u2066\u200f\u2069 lines\nand\r\n\u2028\tmore",
    "half\ud800<b cvw-trap>\udc80 e" + "\u0301" * 30 + "<wbr cvw-trap>" * 40,
)
"""Each marks what it would add: by an attribute, by the global ``cvwPwned``, or by a dialog."""

MODEL = (
    f"PAYLOADS = {PAYLOADS!a}"
    + r"""
import os
from pathlib import Path
from tempfile import mkdtemp

import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter

import convviz_widgets as cvw

torch.set_num_threads(1)
torch.manual_seed(0)
count = len(PAYLOADS)

def whole(name):
    # Without the zeros and the halves of characters that some formats cannot hold.
    return name.replace("\0", "").encode("utf-8", "ignore").decode()

def layer(place, name):
    made = nn.ReLU() if place % 3 else nn.Conv2d(4 if place else 3, 4, 3, padding=1)
    if place % 3 != 1:  # some remain what can be dead
        made.__class__ = type(whole(name), (type(made),), {})
    return made

model = nn.Sequential()
for place, name in enumerate(PAYLOADS):
    model.add_module(name.replace(".", ""), layer(place, name))  # a dot parts names of modules
model.append(nn.AdaptiveAvgPool2d(1)).append(nn.Flatten()).append(nn.Linear(4, count))
with torch.no_grad():
    for convolution in model[:count:3]:
        nn.init.kaiming_normal_(convolution.weight)  # alive, however deep
    model[9].bias[1] = -1000  # which a finding says of a layer, by its name

def file_name(name):
    # What a file may be called: no slash, no zero, 255 bytes at most.
    plain = name.replace("/", "").replace("\0", "").replace("\ud800", "")
    return os.fsdecode(os.fsencode(plain)[:200])

folder = Path(mkdtemp()) / "<b cvw-trap>" / "'onload=alert(1) <" / "script>"
folder.mkdir(parents=True)
for place, name in enumerate(PAYLOADS):
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    weights["0" if "0" in weights else next(iter(weights))] += 0.01 * place
    torch.save(weights, folder / f"{file_name(name)}.pt")
(folder / f"{file_name(PAYLOADS[2])}-broken.pt").write_bytes(b"<b cvw-trap>")
strange = {name: torch.zeros(2) for name in PAYLOADS}
torch.save(strange, folder / f"{file_name(PAYLOADS[7])}-other.pt")
with SummaryWriter(folder / file_name(PAYLOADS[3])) as writer:
    for place, name in enumerate(PAYLOADS):
        for step in range(3):
            writer.add_scalar(f"loss/{whole(name)}", 1 / (1 + step + place), step)
            writer.add_scalar(f"acc {whole(name)}", 1 - 1 / (1 + step + place), step)

failing = []

def loss(output, target):
    if failing:
        raise RuntimeError(failing[-1])
    return nn.functional.cross_entropy(output, target)

named = dict(class_names=PAYLOADS, names=PAYLOADS, groups=PAYLOADS)
images = cvw.ImageSet(torch.rand(count, 3, 8, 8), range(count), **named)
held_out = cvw.ImageSet(torch.rand(count, 3, 8, 8), range(count), **named)
run = cvw.Run(folder)
state = cvw.ModelState(model, images, checkpoints=run.checkpoints, loss=loss)
found = cvw.sweep(model, images, progress=False)
"""
)
"""A network, its images, its run and a sweep; also ``failing``: what its loss raises, if any."""

EXPLORER = """
from convviz_widgets.widgets.text import Text
from convviz_widgets.widgets.widget_tree import widget_tree

def show(place):
    state.select(
        layer=state.layers[place % len(state.layers)].name,
        image=place % count,
        checkpoint=place % len(state.steps),
        target=place % count,
    )

def texts_of(views):
    return [part.text for view in views for part in widget_tree(view) if isinstance(part, Text)]

def seen():
    return texts_of(view for view in explorer.views() if view.awake)

explorer = cvw.Explorer(state, run=run, sweep=found, validation=held_out)
explorer
"""

BESIDE = """
from ipywidgets import VBox

def decode(codes):
    raise RuntimeError(PAYLOADS[2])

other = cvw.ModelState(model, held_out, checkpoints=run.checkpoints, loss=loss)
failing.append(PAYLOADS[3])
views = [
    cvw.Comparison(state, other, cvw.ActivationMap, names=(PAYLOADS[4], PAYLOADS[9])),
    cvw.Sketchpad(state),
    cvw.LatentTraversal(state, decode=decode, size=3),
    cvw.GradientFlow(other),
]
VBox(views)
"""
