"""Front door: read the settings, open the studio, show the page, and save what trains on the way out.

It is short because everything else has a place of its own: the engine in gan/, the page in gan/ui/.
"""

import ctypes
import logging
import os
import platform
import signal
import sys
import time

from gan.config import ServerSettings
from gan.errors import GanError
from gan.studio import Studio
from gan.ui.serve import free_port, network_address, serve

log = logging.getLogger("live-gan")


_M_ARENA_MAX = -8  # mallopt's number for it
_ARENAS = 2


def keep_memory_together() -> None:
    """Few heaps for all threads: with one for each of the dozens that serve pages, memory grows for hours.

    Only glibc has them; elsewhere this does nothing.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def main() -> int:
    """Serve until Ctrl-C or SIGTERM; returns the exit status."""
    keep_memory_together()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # Not an Event: its lock would stop a second signal that comes while the first is noted.
    ending: list[int] = []
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda received, _: ending.append(received))
    try:
        settings = ServerSettings.from_environment()
        port = free_port(settings)
        studio = Studio(settings)
    except GanError as error:
        print(f"Live GAN cannot start: {error}", file=sys.stderr)
        return 2
    if port != settings.port:
        print(f"Port {settings.port} is taken; using {port}.")
    page = serve(studio, port)
    print(f"Live GAN is at {page.local_url} (Ctrl-C to end)", flush=True)
    if (others := network_address(settings, port)) is not None:
        print(f"Others on this network open {others}", flush=True)
    studio.warm_up()
    while not ending:
        time.sleep(0.1)
    print("Saving ...", flush=True)
    saved = studio.close()
    page.close(verbose=False)
    if not saved:
        log.error("the running run could not be saved in time; its last autosave is kept")
    return 0 if saved else 1


if __name__ == "__main__":
    status = main()
    logging.shutdown()
    sys.stdout.flush()
    # A thread that draws or judges may be inside torch, which aborts if the interpreter ends around it.
    os._exit(status)
