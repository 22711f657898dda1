"""From the press of a key to the frame that shows new pixels, by the page's own clock."""

from __future__ import annotations

from playwright.sync_api import Locator, Page

# Each watcher settles when what it watches has been replaced; the time is taken in the next
# animation frame, which is the first to show it. A canvas of ipycanvas is repainted by drawImage.
STOPWATCH = """() => {
    const watchers = {
        image: root => new Promise(done => {
            const image = root.querySelector('img')
            image.addEventListener('load', () => image.decode().then(done, done), { once: true })
        }),
        output: root => new Promise(done => {
            const observer = new MutationObserver(() => {
                const image = root.querySelector('.jp-OutputArea img:not([data-timed])')
                if (!image) return
                image.dataset.timed = 'yes'
                observer.disconnect()
                image.decode().then(done, done)
            })
            root.querySelectorAll('img').forEach(image => { image.dataset.timed = 'yes' })
            observer.observe(root, { childList: true, subtree: true })
        }),
        canvas: root => new Promise(done => {
            const canvas = root.querySelector('canvas')
            const context = canvas.getContext('2d')
            context.drawImage = function (...args) {
                CanvasRenderingContext2D.prototype.drawImage.apply(this, args)
                delete context.drawImage
                done()
            }
        }),
        bars: root => new Promise(done => {
            const observer = new MutationObserver(() => { observer.disconnect(); done() })
            const svg = root.querySelector('svg.svg-figure')
            observer.observe(svg, { attributes: true, childList: true, subtree: true })
        }),
    }
    window.cvwStopwatch = { parts: [], started: 0 }
    window.cvwArm = (root, kind) => {
        window.cvwStopwatch.parts.push(watchers[kind](root))
    }
    window.cvwReady = () => {
        const parts = window.cvwStopwatch.parts
        const watch = window.cvwStopwatch = { parts: [], started: 0 }
        const start = () => { watch.started = performance.now() }
        document.addEventListener('keydown', start, { capture: true, once: true })
        watch.elapsed = Promise.all(parts).then(() => new Promise(done => {
            requestAnimationFrame(() => done(performance.now() - watch.started))
        }))
    }
}"""


class Stopwatch:
    """Times key presses in one page; made anew after a reload."""

    def __init__(self, page: Page) -> None:
        self._page = page
        page.evaluate(STOPWATCH)

    def time(self, slider: Locator, key: str, watched: list[tuple[Locator, str]]) -> float:
        """Press a key on a slider; return the milliseconds until all that is watched is new.

        ``watched`` holds elements and what to look for below each: "image" (one <img> whose
        source changes), "output" (an <img> that replaces another), "canvas" or "bars".
        """
        slider.focus()
        for root, kind in watched:
            root.evaluate("(root, kind) => window.cvwArm(root, kind)", kind)
        self._page.evaluate("() => window.cvwReady()")
        self._page.keyboard.press(key)
        return self._page.evaluate("() => window.cvwStopwatch.elapsed")
