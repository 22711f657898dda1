"""Six architectures of timm, each layer checked from outside; `make zoo` looks into all of them."""

import subprocess
import sys
from pathlib import Path

ZOO = Path(__file__).parent / "zoo.py"

SIX = (
    "resnet18",
    "convnext_atto",
    "vit_tiny_patch16_224",
    "swin_tiny_patch4_window7_224",
    "mixer_s32_224",
    "mobilenetv3_small_050",
)


def test_every_layer_of_six_architectures_is_shown_with_its_own_channels():
    looked = subprocess.run([sys.executable, ZOO, *SIX], capture_output=True, text=True)
    assert looked.returncode == 0, looked.stdout + looked.stderr
    assert looked.stdout.splitlines()[-1] == "0 of 6 are not as they should be"
