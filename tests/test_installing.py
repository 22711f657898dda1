"""`make` installs with .ci/pip: progress on a terminal, few lines in a log."""

import os
import pty
import subprocess
import sys
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

PIP = Path(__file__).parents[1] / ".ci" / "pip"
BAR = "━"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def index(tmp_path):
    """The address of a page with one package, large enough for a bar of progress."""
    about = "large-1.0.dist-info"
    with zipfile.ZipFile(tmp_path / "large-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("large.bin", os.urandom(2**20))
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: large\nVersion: 1.0\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def installing(index, *packages):
    """Return the command that would install packages, of which numpy is there already."""
    options = ["--dry-run", "--no-deps", "--no-cache-dir", "--no-index", "--find-links", index]
    return [sys.executable, PIP, *options, "numpy", *packages]


def on_a_terminal(command):
    """Return what a command writes on a terminal of its own."""
    reading, writing = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    process = subprocess.Popen(command, stdout=writing, stderr=writing, env=environment)
    os.close(writing)
    said = b""
    while True:
        try:
            part = os.read(reading, 2**16)
        except OSError:  # Linux's way to say that nobody writes any more
            break
        if not part:
            break
        said += part
    os.close(reading)
    assert process.wait() == 0, said
    return said.decode()


def test_a_terminal_sees_progress_and_not_what_is_there_already(index):
    said = on_a_terminal(installing(index, "large"))
    assert BAR in said
    assert "Would install large-1.0" in said
    assert "already satisfied" not in said


def test_a_log_gets_no_line_of_what_went_well(index):
    done = subprocess.run(installing(index, "large"), capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_what_fails_is_said_and_ends_make(index):
    done = subprocess.run(installing(index, "missing"), capture_output=True, text=True)
    assert done.returncode == 1
    assert "No matching distribution found for missing" in done.stderr
