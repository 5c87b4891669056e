"""Finds an installed browser for the tests; as a program it prints the path, for tools/browser.sh."""

import os
import shutil
import subprocess

PROGRAMS = (
    "google-chrome",
    "google-chrome-stable",
    "chromium",
    "chromium-browser",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)


def find_chromium() -> str | None:
    """The browser that CHROMIUM names, or the first one installed; None leaves Playwright to use its own."""
    for program in (os.environ.get("CHROMIUM", ""), *PROGRAMS):
        path = shutil.which(program)
        if path and _runs(path):
            return path
    return None


def _runs(path: str) -> bool:
    """Ubuntu's chromium-browser can be a stub that only asks for a snap to be installed."""
    try:
        answer = subprocess.run(
            [path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0


if __name__ == "__main__":
    print(find_chromium() or "")
