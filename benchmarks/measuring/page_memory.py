"""What a page holds: memory, nodes, canvases, object URLs, models of widgets."""

from __future__ import annotations

import psutil
from playwright.sync_api import BrowserContext, Page

COUNT_URLS = """
window.cvwUrls = new Set()
const { createObjectURL, revokeObjectURL } = URL
URL.createObjectURL = what => {
    const url = createObjectURL.call(URL, what)
    cvwUrls.add(url)
    return url
}
URL.revokeObjectURL = url => { cvwUrls.delete(url); revokeObjectURL.call(URL, url) }
"""

# The manager of the widgets is known to what renders them alone.
MODELS = """async () => {
    const { rendermime } = jupyterapp.shell.currentWidget.content
    const renderer = rendermime.createRenderer('application/vnd.jupyter.widget-view+json')
    const manager = await renderer._manager.promise
    renderer.dispose()
    return Object.keys(manager._models).length
}"""

# JupyterLab 4.6 connects each comm to its kernel's status and never lets go: a closed widget's
# model, and through its promises the last view and all of its elements, live as long as the kernel.
LET_GO = """() => {
    const { kernel } = jupyterapp.shell.currentWidget.sessionContext.session
    kernel.statusChanged.connect = () => false
}"""

MB = 2**20


def count_urls(context: BrowserContext) -> None:
    """Have the pages of a context count the object URLs that they make and revoke."""
    context.add_init_script(COUNT_URLS)


class PageMemory:
    """Asks Chromium what one page holds, when all garbage is collected.

    Parameters
    ----------
    page
        A page of a context that was given to `count_urls`.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._tools = page.context.new_cdp_session(page)
        self._tools.send("Runtime.enable")
        browser = page.context.browser
        assert browser is not None
        processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")
        renderers = [each for each in processes["processInfo"] if each["type"] == "renderer"]
        # There may be one in reserve, which has done nothing yet.
        self._process = psutil.Process(max(renderers, key=lambda each: each["cpuTime"])["id"])

    def let_go_of_comms(self) -> None:
        """Keep JupyterLab from holding on to widgets that will be made and closed from now on."""
        self._page.evaluate(LET_GO)

    def megabytes(self) -> dict[str, float]:
        """Return what JavaScript holds, with the bytes of its buffers, and the whole process."""
        self._collect_garbage()
        heap = self._tools.send("Runtime.getHeapUsage")
        held = heap["usedSize"] + heap.get("embedderHeapUsedSize", 0)
        return {
            "JavaScript's objects": held / MB,
            "buffers": heap.get("backingStorageSize", 0) / MB,
            "process": self._process.memory_info().rss / MB,
        }

    def counts(self) -> dict[str, int]:
        """Return how many there are of what a view may leave behind, in the document or not."""
        self._collect_garbage()
        counters = self._tools.send("Memory.getDOMCounters")
        return {
            "nodes": counters["nodes"],
            "listeners": counters["jsEventListeners"],
            "canvases": self._instances("HTMLCanvasElement"),
            "images": self._instances("HTMLImageElement"),
            "object URLs": self._page.evaluate("cvwUrls.size"),
            "models of widgets": self._page.evaluate(MODELS),
        }

    def _collect_garbage(self) -> None:
        for _ in range(2):  # what the first round sets free may hold more
            self._tools.send("HeapProfiler.collectGarbage")
            self._page.wait_for_timeout(50)

    def _instances(self, name: str) -> int:
        """Return how many objects of a class are alive."""
        prototype = self._tools.send(
            "Runtime.evaluate", {"expression": f"{name}.prototype", "objectGroup": "counted"}
        )
        found = self._tools.send(
            "Runtime.queryObjects",
            {"prototypeObjectId": prototype["result"]["objectId"], "objectGroup": "counted"},
        )
        length = self._tools.send(
            "Runtime.callFunctionOn",
            {
                "objectId": found["objects"]["objectId"],
                "functionDeclaration": "function () { return this.length }",
                "returnByValue": True,
            },
        )
        self._tools.send("Runtime.releaseObjectGroup", {"objectGroup": "counted"})
        return length["result"]["value"]
