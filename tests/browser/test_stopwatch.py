"""The benchmarks' stopwatch says when a page shows other pixels, by a page that is told when."""

import pytest

from benchmarks.measuring.stopwatch import Stopwatch

PAGE = """
<button>press</button>
<div id="drawn"><canvas width="20" height="20"></canvas></div>
<div id="file"><img></div>
<div id="words">nothing</div>
<script>
const context = document.querySelector('canvas').getContext('2d')
const spare = new OffscreenCanvas(20, 20)
function draw(colour) {
    const on = spare.getContext('2d')
    on.fillStyle = colour
    on.fillRect(0, 0, 20, 20)
    context.drawImage(spare, 0, 0)
}
async function load(colour) {
    const on = spare.getContext('2d')
    on.fillStyle = colour
    on.fillRect(0, 0, 20, 20)
    document.querySelector('img').src = URL.createObjectURL(await spare.convertToBlob())
}
const say = words => { document.querySelector('#words').textContent = words }
draw('red')
const ready = load('red').then(() => document.querySelector('img').decode())
</script>
"""


@pytest.fixture(scope="module")
def page(browser):
    page = browser.new_page()
    page.set_content(PAGE)
    page.evaluate("ready")
    yield page
    page.close()


@pytest.fixture
def press(page):
    """``press(act, *watched)`` presses a key, upon which the page acts."""
    stopwatch = Stopwatch(page)

    def pressed(act, *watched):
        page.evaluate(f"() => {{ document.onkeydown = () => {{ {act} }} }}")
        watched = [(page.locator(selector), kind) for selector, kind in watched]
        return stopwatch.press(page.locator("button"), "a", watched)

    return pressed


def test_what_is_drawn_at_once_is_seen_in_the_next_frame(press):
    taken = press("draw('green')", ("#drawn", "picture"))
    assert taken.frames == 0


def test_with_nothing_to_watch_it_is_the_next_frame(press):
    taken = press("draw('olive')")
    assert (taken.frames, taken.looks) == (0, ())


def test_what_is_drawn_in_an_animation_frame_is_seen_in_that_frame(press):
    act = "requestAnimationFrame(() => requestAnimationFrame(() => draw('blue')))"
    assert press(act, ("#drawn", "picture")).frames == 1


def test_the_same_pixels_drawn_again_are_no_change(press):
    press("draw('white')", ("#drawn", "picture"))
    taken = press(
        "draw('white'); setTimeout(() => draw('black'), 100)",
        ("#drawn", "picture"),
    )
    assert taken.milliseconds >= 100


def test_a_file_is_seen_when_it_is_there(press):
    taken = press("setTimeout(() => load('green'), 100)", ("#file", "picture"))
    assert taken.milliseconds >= 100


def test_the_same_pixels_look_the_same_on_a_canvas_and_in_a_file(press):
    act = "draw('orange'); load('orange')"
    drawn, loaded = press(act, ("#drawn", "picture"), ("#file", "picture")).looks
    assert drawn == loaded


def test_the_last_of_all_that_is_watched_counts(press):
    act = "draw('navy'); setTimeout(() => say('something'), 100)"
    taken = press(act, ("#drawn", "picture"), ("#words", "text"))
    assert taken.milliseconds >= 100


def test_a_film_has_every_picture_once(page):
    stopwatch = Stopwatch(page)
    page.evaluate("draw('teal')")
    stopwatch.film(page.locator("#drawn"))
    for colour in ("lime", "lime", "aqua", "teal"):
        page.wait_for_timeout(50)
        page.evaluate("colour => draw(colour)", colour)
    page.wait_for_timeout(50)
    first, second, third, last = (look for _, look in stopwatch.cut())
    assert first == last
    assert len({first, second, third}) == 3
