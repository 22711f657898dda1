import dataclasses

import pytest

from convviz_widgets.demo import RECIPES

OTHER_VALUES = {"name": "other", "flip": False, "decay": 0.5}


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(RECIPES["demo"])])
def test_the_fingerprint_changes_with_every_field(field):
    recipe = RECIPES["demo"]
    value = OTHER_VALUES.get(field, 7)
    assert dataclasses.replace(recipe, **{field: value}).fingerprint != recipe.fingerprint


def test_equal_recipes_have_equal_fingerprints():
    recipe = RECIPES["demo"]
    assert dataclasses.replace(recipe).fingerprint == recipe.fingerprint


@pytest.mark.parametrize(("steps", "every", "expected"), [(4, 2, (0, 2, 4)), (5, 2, (0, 2, 4, 5))])
def test_checkpoints_are_written_from_the_start_to_the_end(steps, every, expected):
    recipe = dataclasses.replace(RECIPES["demo"], steps=steps, every=every)
    assert recipe.checkpoint_steps == expected


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_run_has_about_thirty_checkpoints(recipe):
    assert len(recipe.checkpoint_steps) == 31
