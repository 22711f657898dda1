"""Views that have a page of their own, one notebook for all: each is run when its tests begin."""

import re
from math import cos, pi, sin

import pytest
from playwright.sync_api import expect

from .cells import MODEL

EMBEDDING = """
placed = cvw.ModelState(model, images, checkpoints=checkpoints, layer="relu1", checkpoint=0)
view = cvw.EmbeddingScatter(placed)
view
"""

TOP = """
swept = cvw.ModelState(model, images, checkpoints=checkpoints, layer="relu1", checkpoint=0)
top = cvw.TopImages(swept)
top
"""

PANEL = """
patient = torch.rand(256, 3, 24, 24)
weights = [checkpoint(0), checkpoint(100)]
weights[1][1]["conv2.weight"][3, 0, 0, 0] = 12.5
ill = cvw.ModelState(
    model,
    cvw.ImageSet(patient, torch.arange(256) % 3),
    checkpoints=cvw.CheckpointSeries.from_state_dicts(weights),
    layer="relu1",
    checkpoint=0,
)
panel = cvw.DiagnosisPanel(ill)
panel
"""

INPUTS = """
inputs = torch.arange(100_000, dtype=torch.int32).view(torch.uint8).reshape(-1, 1, 2, 2) / 255
inputs[9] = inputs[4]
many = cvw.ModelState(nn.Sequential(nn.Conv2d(1, 2, 2)), cvw.ImageSet(inputs, mean=0.0, std=1.0))
gallery = cvw.InputGallery(many)
gallery
"""

ANSWERS = """
lights = 9 * torch.eye(3)[[0, 1, 2, 2]].reshape(4, 1, 1, 3)
net = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Flatten())
nn.init.ones_(net[0].weight)
named = cvw.ImageSet(lights, [0, 1, 2, 0], class_names=["cat", "dog", "owl"])
answers = cvw.ModelState(net, named)
matrix = cvw.ConfusionMatrix(answers)
matrix
"""

WRONG = "cvw.OutputGallery(answers)"

PICTURES = """
pictures = torch.rand(11, 1, 4, 4)
noisy = cvw.ModelState(nn.Sequential(nn.Conv2d(1, 1, 1)), cvw.ImageSet(pictures, targets=pictures))
cvw.OutputGallery(noisy)
"""

CELLS = [MODEL, EMBEDDING, TOP, PANEL, INPUTS, ANSWERS, WRONG, PICTURES]


@pytest.fixture(scope="module")
def opened(lab):
    opened = lab(CELLS, "dark", run=False)
    opened.run_cell(0)
    return opened


@pytest.fixture(scope="module")
def show(opened):
    """``show(cell, text)`` runs a cell and returns its view, which has this text."""

    def show(cell, text):
        opened.run_cell(CELLS.index(cell))
        return opened.page.locator(f".cvw-view:has-text('{text}')").last

    return show


# -- the embedding ---------------------------------------------------------------------------------


SIDE = 396


@pytest.fixture(scope="module")
def embedding(show):
    found = show(EMBEDDING, "Embedding")
    expect(found.get_by_text("6 of 6 measured")).to_be_visible()
    return found


@pytest.fixture(scope="module")
def corner(embedding):
    canvas = embedding.locator("canvas[tabindex]").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert (box["width"], box["height"]) == (SIDE, SIDE)
    return box["x"], box["y"]


def points(opened):
    """Return where the images are, in pixels of the plot."""
    return [tuple(map(float, each)) for each in opened.ask("view.plot.places.tolist()")]


def test_every_image_has_a_point_where_the_kernel_says(opened, embedding):
    drawn = opened.pixels(embedding.locator(".cvw-frame img").first)
    assert drawn.shape[:2] == (SIDE, SIDE)
    for x, y in points(opened):
        assert drawn[int(y), int(x), 3] > 200


def test_pointing_shows_an_image_and_a_click_selects_it(opened, embedding, corner):
    x, y = points(opened)[7]
    opened.page.mouse.move(corner[0] + x, corner[1] + y)
    expect(embedding.get_by_text("under the pointer")).to_be_visible()
    opened.page.mouse.click(corner[0] + x, corner[1] + y)
    opened.until(lambda: opened.ask("placed.image") != 0, "no image is selected")


def test_a_line_around_points_lists_their_images(opened, embedding, corner):
    mouse = opened.page.mouse
    ring = [(SIDE / 2 * (1 + 0.96 * cos(a)), SIDE / 2 * (1 + 0.96 * sin(a))) for a in circle()]
    mouse.move(corner[0] + ring[0][0], corner[1] + ring[0][1])
    mouse.down()
    for x, y in ring:
        mouse.move(corner[0] + x, corner[1] + y)
    mouse.up()
    expect(embedding.get_by_text("20 chosen: coffee 7, rocket 7, cat 6")).to_be_visible()
    opened.screenshot("embedding-dark")
    assert opened.too_wide() == []


def test_a_group_can_be_chosen_and_cleared_without_a_pointer(embedding):
    embedding.get_by_role("combobox", name="Choose").select_option("rocket")
    expect(embedding.get_by_text("7 chosen: rocket 7")).to_be_visible()
    embedding.get_by_role("button", name="Clear").click()
    expect(embedding.get_by_text("No images are listed")).to_be_visible()


def circle(corners=40):
    return [2 * pi * corner / corners for corner in range(corners + 1)]


# -- the top images --------------------------------------------------------------------------------


NINTH = {"x": 240, "y": 260}
"""A pixel of the last patch."""


@pytest.fixture(scope="module")
def tops(show):
    return show(TOP, "Top images")


def test_a_button_sweeps_and_the_patches_appear(opened, tops):
    expect(tops.get_by_text("step 0: not swept yet")).to_be_visible()
    tops.get_by_role("button", name="Sweep this step").click()
    expect(tops.get_by_text("20 of 20 images swept")).to_be_visible()
    expect(tops.get_by_text("relu1, channel 0: top 9 of n = 20 images")).to_be_visible()
    opened.screenshot("top-images-dark")
    assert opened.too_wide() == []


def test_a_click_on_a_patch_selects_its_image(opened, tops):
    tops.locator(".cvw-room").click(position=NINTH)
    expect(tops.get_by_role("combobox").last).to_have_value("9: image " + _ninth(opened))


def _ninth(opened):
    return opened.ask("str(top.painted.patches[8].image)").strip("'")


def test_a_dead_channel_is_called_dead(opened, tops):
    opened.ask("str(swept.select(channel=5))")
    expect(tops.get_by_text("dead at step 0: zero everywhere on all 20 images")).to_be_visible()


# -- the diagnosis ---------------------------------------------------------------------------------


def test_a_finding_leads_to_its_evidence_and_gives_its_code(opened, show):
    view = show(PANEL, "Diagnosis")
    view.get_by_text("Not checked (").wait_for()
    summary = view.locator(".cvw-wrap", has_text="Not checked (")
    tall, cut = summary.evaluate(
        "(box) => [box.scrollHeight, box.querySelector('.widget-html-content').scrollHeight]"
    )
    assert tall >= cut  # the rest of the text can be scrolled to
    findings = view.get_by_role("listbox", name="Findings")
    lines = findings.locator("option").all_text_contents()
    findings.select_option(index=next(i for i, line in enumerate(lines) if "abnormal" in line))
    expect(view.get_by_text("conv2: a weight of size 12.5")).to_be_visible()
    view.get_by_role("button", name="Show code").click()
    code = view.get_by_label("Code of the finding")
    expect(code).to_have_value(re.compile(r"state\.weight\('conv2'\)"))
    run = f"(lambda given: exec({code.input_value()!r}, given) or given['value'])(dict(state=ill))"
    assert opened.ask(run) == 12.5
    view.get_by_role("button", name="Show me").click()
    opened.until(lambda: opened.ask("[ill.checkpoint, ill.layer]") == [1, "conv2"], "it moves")
    assert opened.too_wide() == []
    opened.screenshot("diagnosis-dark")


# -- the gallery of inputs -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gallery(show):
    return show(INPUTS, "Inputs")


def test_the_page_lets_the_search_go_on_to_its_end(opened, gallery):
    found = gallery.locator(".cvw-quiet:has-text('duplicates in 100,000 images: 1 surplus')")
    expect(found.first).to_be_visible()
    assert opened.ask("gallery.painted.tiles.labels[4]").endswith("equals image 9")


def test_a_click_and_the_slider_select_and_turn_pages(opened, gallery):
    picture = gallery.locator("canvas.cvw-picture")
    before = opened.pixels(picture)
    gallery.locator(".cvw-room").click(position={"x": 2 + 49 * 9 + 20, "y": 20})
    opened.until(lambda: opened.ask("many.selection.image") == 9, "image 9 was not selected")
    gallery.get_by_role("slider").press("PageUp")
    opened.changed(picture, before)
    expect(gallery.get_by_text("of 100,000", exact=False).first).to_be_visible()
    opened.screenshot("inputs-dark", height=900)
    assert opened.too_wide() == []


# -- what comes out --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def matrix(show):
    return show(ANSWERS, "Confusion matrix")


def test_a_click_on_a_cell_lists_its_images_and_one_on_an_image_selects_it(opened, matrix):
    expect(matrix.get_by_text("cat, answered owl: 1 image").first).to_be_visible()
    rasters = matrix.locator(".cvw-room")
    rasters.nth(0).click(position={"x": 250, "y": 250})  # the last of 3 × 3 cells of 100 pixels
    expect(matrix.get_by_text("owl, answered owl: 1 image").first).to_be_visible()
    rasters.nth(1).click(position={"x": 20, "y": 20})
    opened.until(lambda: opened.ask("answers.selection.image") == 2, "image 2 was not selected")


def test_keys_lead_among_cells_that_have_names(matrix):
    cells = matrix.get_by_role("grid", name="Confusion matrix")
    cells.press("Home")
    expect(matrix.get_by_text("cat, answered cat: 1 image").first).to_be_visible()
    cells.press("ArrowDown")
    expect(matrix.get_by_text("dog, answered cat: 0 images").first).to_be_visible()
    cells.press("ArrowRight")
    selected = cells.get_by_role("gridcell", name="dog, answered dog: 1 image", selected=True)
    expect(selected).to_have_count(1)
    cells.press("Tab")
    expect(matrix.get_by_role("grid", name="images of the cell")).to_be_focused()
    cells.press("Escape")
    expect(cells).not_to_be_focused()


def test_the_wrong_answer_comes_first(opened, show):
    view = show(WRONG, "answered wrong: first")
    expect(view).to_contain_text("1 of 4 labelled images")
    view.locator(".cvw-room").click(position={"x": 20, "y": 20})
    opened.until(lambda: opened.ask("answers.selection.image") == 3, "image 3 was not selected")
    assert opened.too_wide() == []


@pytest.fixture(scope="module")
def pictures(show):
    view = show(PICTURES, "difference: output − target")
    return view.get_by_role("grid", name="the images of this page")


def test_an_arrow_leads_over_the_edge_to_the_next_page(opened, pictures):
    pictures.press("End")
    opened.until(lambda: opened.ask("noisy.image") == 7, "the last of the page was not selected")
    pictures.press("ArrowRight")
    opened.until(lambda: opened.ask("noisy.image") == 8, "the next page was not reached")
    expect(pictures.get_by_role("gridcell")).to_have_count(3)


def test_the_image_that_is_selected_is_told_on_another_page_at_the_same_place(opened, pictures):
    for image in (0, 8):
        opened.ask(f"str(noisy.select(image={image}))")
        expect(pictures.get_by_role("gridcell", name=f"image {image}: ")).to_have_count(1)
        selected = pictures.get_by_role("gridcell", selected=True)
        expect(selected).to_have_attribute("aria-label", re.compile(f"^image {image}: "))
