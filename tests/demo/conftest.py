import dataclasses

import pytest

from convviz_widgets.demo import RECIPES, patches


@pytest.fixture(scope="session")
def tiny():
    """The demonstration's recipe, cut down to four steps."""
    return dataclasses.replace(
        RECIPES["demo"], name="tiny", steps=4, every=2, patches=6, batch_size=8
    )


@pytest.fixture(scope="session")
def image_sets(tiny):
    return patches.image_sets(tiny)
