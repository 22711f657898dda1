import subprocess
import sys
from pathlib import Path

TORTURE = Path(__file__).with_name("torture.py")


def test_fifty_kills_lose_nothing_and_leave_nothing_torn():
    done = subprocess.run(
        [sys.executable, TORTURE, "50"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "50 kills" in done.stdout
