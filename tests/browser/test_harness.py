"""The harness itself, on widgets that are not ours: does it see what a user would see?"""

import numpy as np
import pytest

WIDGETS = """
import io, numpy as np, bqplot, ipywidgets as widgets
from ipycanvas import Canvas, hold_canvas
from PIL import Image

def grey(level):
    file = io.BytesIO()
    Image.fromarray(np.full((20, 30), level, np.uint8)).save(file, "PNG")
    return file.getvalue()

slider = widgets.IntSlider(description="Step", max=10)
picture = widgets.Image(value=grey(0))
slider.observe(lambda change: picture.set_trait("value", grey(20 * slider.value)), "value")

canvas, scratch = Canvas(width=40, height=20), Canvas(width=1, height=1)

def paint():
    with hold_canvas(canvas):
        canvas.fill_style = "#ff0000"
        canvas.fill_rect(10, 0, 10, 20)
        scratch.clear()

canvas.on_client_ready(paint)
scales = {"x": bqplot.LinearScale(), "y": bqplot.LinearScale()}
bars = bqplot.Bars(x=[1, 2, 3], y=[2, 1, 3], scales=scales)
figure = bqplot.Figure(marks=[bars], layout={"height": "150px", "width": "300px"})
widgets.VBox([slider, picture, canvas, figure])
"""


@pytest.fixture(scope="module", params=["lab", "notebook7", "voila"])
def opened(request, frontends):
    return getattr(frontends, request.param)([WIDGETS])


def test_a_slider_moved_by_key_changes_the_image_bytes(opened):
    image = opened.page.locator("img.widget-image")
    before = opened.pixels(image)
    opened.page.get_by_role("slider").press("PageUp")  # Notebook 7 keeps the arrow keys
    after = opened.changed(image, before)
    assert (before.shape, before[0, 0, 0], after[0, 0, 0]) == ((20, 30, 4), 0, 100)


def test_a_canvas_drawn_when_ready_has_its_pixels(opened):
    canvas = opened.page.locator(".jupyter-widgets canvas, canvas.jupyter-widgets").first
    opened.until(lambda: opened.pixels(canvas).any(), "nothing was drawn")
    red = np.argwhere(opened.pixels(canvas)[..., 0] == 255)
    assert (red.min(0).tolist(), red.max(0).tolist()) == ([0, 10], [19, 19])
