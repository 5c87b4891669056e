"""Install requirement files into .venv, making or repairing it first: python3 tools/install.py FILE...

Needs only the standard library, and a syntax that old Pythons read too, so that they can be told apart.
"""

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TextIO

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
# Exists while an installation runs, and afterwards if it was cut short: packages may then be half unpacked.
UNFINISHED = VENV / ".unfinished"


def is_usable() -> bool:
    """Whether .venv holds a recent enough Python, with pip, not left by an interrupted installation."""
    if UNFINISHED.exists() or not PYTHON.exists():
        return False
    probe = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    return subprocess.run([str(PYTHON), "-c", probe], stderr=subprocess.DEVNULL).returncode == 0


def make_venv() -> None:
    if sys.version_info < (3, 11):
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit(f"Python 3.11 or newer is needed, and this is {found}: name another with PYTHON=python3.12")
    try:
        import ensurepip  # noqa: F401
        import venv
    except ImportError:
        sys.exit("This Python has no venv module; Debian and Ubuntu have it in python3-venv")
    if VENV.exists():
        print("Making .venv anew: it is unfinished or not usable", flush=True)
        # bin goes first, so that a half removed .venv is not taken for a whole one.
        shutil.rmtree(VENV / "bin", ignore_errors=True)
        shutil.rmtree(VENV)
    VENV.mkdir()
    UNFINISHED.touch()
    venv.create(VENV, with_pip=True)


def install(files: "list[str]", lock: TextIO) -> None:
    UNFINISHED.touch()
    for name in files:
        print(f"Installing {name} into .venv (the first time takes minutes)", flush=True)
        pip = [str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "-r", name]
        # pip inherits the lock, which so outlasts this process if it is killed alone.
        result = subprocess.run(pip, cwd=ROOT, stdin=subprocess.DEVNULL, pass_fds=[lock.fileno()])
        if result.returncode < 0:
            sys.exit(f"pip was killed while installing {name}")
        if result.returncode > 0:
            UNFINISHED.unlink()  # pip gave up by itself and has put back what it had replaced
            sys.exit(f"pip could not install {name}")
    UNFINISHED.unlink()


def main() -> None:
    with (ROOT / "requirements.txt").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another installation into .venv to end", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_usable():
            make_venv()
        install(sys.argv[1:], lock)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("Interrupted: the next call starts .venv afresh")
