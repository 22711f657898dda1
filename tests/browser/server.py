"""One JupyterLab server of our own; it serves Lab, Notebook 7 and Voila pages alike."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import psutil

START_SECONDS = 180.0
STOP_SECONDS = 10.0


class Server:
    """A JupyterLab server on a free port that shares no settings with the user's own.

    Parameters
    ----------
    directory
        An empty folder; settings, workspaces and the log go beside ``directory / "root"``, in
        which the notebooks are.
    """

    def __init__(self, directory: Path) -> None:
        self.root = directory / "root"
        self.root.mkdir(parents=True)
        self._log = directory / "server.log"
        self._settings = directory / "settings"
        _write_settings(self._settings)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                _command(self.port, self.root, self._settings),
                env=_environment(self._settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.root,
            )

    def wait(self) -> None:
        """Return when the server answers; RuntimeError with the end of its log if it does not."""
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                self.request("GET", "/api/status")
            except (URLError, OSError):
                time.sleep(0.1)
            else:
                return
        self.stop()
        raise RuntimeError(f"JupyterLab did not start:\n{self.log_tail()}")

    def request(self, method: str, path: str) -> bytes:
        """Return the body of the server's answer."""
        with urlopen(Request(self.url + path, method=method), timeout=START_SECONDS) as answer:
            return answer.read()

    def sessions(self) -> list[dict]:
        """Return the sessions that the server has, each with its kernel."""
        return json.loads(self.request("GET", "/api/sessions"))

    def kernels(self) -> list[dict]:
        """Return the kernels that run, those of Voila pages included."""
        return json.loads(self.request("GET", "/api/kernels"))

    def delete_sessions(self) -> None:
        """End every session and every kernel, so that the next test starts from nothing."""
        for session in self.sessions():
            self.request("DELETE", f"/api/sessions/{session['id']}")
        for kernel in self.kernels():
            self.request("DELETE", f"/api/kernels/{kernel['id']}")

    def log_tail(self, lines: int = 30) -> str:
        """Return the last lines that the server wrote."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """End the server and the kernels that it started, each by its own process id."""
        if self._process.poll() is not None:
            return
        family = psutil.Process(self._process.pid).children(recursive=True)
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _, alive = psutil.wait_procs(family, timeout=1.0)
        for process in alive:
            process.kill()
        psutil.wait_procs(alive, timeout=STOP_SECONDS)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _command(port: int, root: Path, settings: Path) -> list[str]:
    return [
        sys.executable,
        *("-m", "jupyterlab", "--no-browser", "--allow-root"),
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={root}",
        "--IdentityProvider.token=",
        "--ServerApp.disable_check_xsrf=True",
        "--ServerApp.terminals_enabled=False",
        "--LabApp.expose_app_in_browser=True",
        "--JupyterNotebookApp.expose_app_in_browser=True",
        f"--LabApp.workspaces_dir={settings / 'workspaces'}",
        f"--LabApp.user_settings_dir={settings / 'user'}",
        "--LanguageServerManager.autodetect=False",  # it looks for a dozen of them, for seconds
        "--VoilaConfiguration.show_tracebacks=True",
    ]


def _environment(settings: Path) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("JUPYTER", "IPYTHON", "JPY_"))
    }
    return inherited | {
        "JUPYTER_CONFIG_DIR": str(settings / "config"),
        "JUPYTER_DATA_DIR": str(settings / "data"),
        "JUPYTER_RUNTIME_DIR": str(settings / "runtime"),
        "IPYTHONDIR": str(settings / "ipython"),
        "OMP_NUM_THREADS": "1",
    }


def _write_settings(settings: Path) -> None:
    """Write what has no command-line option: no news toast, and the kernel that runs this."""
    _write_json(
        settings / "config" / "labconfig" / "page_config.json",
        {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}},
    )
    _write_json(
        settings / "data" / "kernels" / "python3" / "kernel.json",
        {
            "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": "Python 3 (the interpreter of the tests)",
            "language": "python",
        },
    )
    (settings / "runtime").mkdir(parents=True)


def _write_json(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(content))
