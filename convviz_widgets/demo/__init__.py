"""A small convnet, trained once on patches of real photographs, to look at."""

from convviz_widgets.demo.network import PatchNet
from convviz_widgets.demo.photographs import PHOTOGRAPHS, Photograph
from convviz_widgets.demo.recipe import RECIPES, Recipe
from convviz_widgets.demo.runs import DemoRun, load

__all__ = ["PHOTOGRAPHS", "RECIPES", "DemoRun", "PatchNet", "Photograph", "Recipe", "load"]
