"""Small networks, trained once on real photographs and digits, to look at."""

from convviz_widgets.demo import ward
from convviz_widgets.demo.digits import (
    DigitClassifierRun,
    DigitNet,
    DigitRun,
    DigitVae,
    load_digit_classifier,
    load_digits,
)
from convviz_widgets.demo.patches import RECIPES, DemoRun, PatchNet, Recipe, load
from convviz_widgets.demo.photographs import PHOTOGRAPHS, Photograph

__all__ = [
    "PHOTOGRAPHS",
    "RECIPES",
    "DemoRun",
    "DigitClassifierRun",
    "DigitNet",
    "DigitRun",
    "DigitVae",
    "PatchNet",
    "Photograph",
    "Recipe",
    "load",
    "load_digit_classifier",
    "load_digits",
    "ward",
]
