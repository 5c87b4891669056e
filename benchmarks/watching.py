"""What one open page costs the training: speed with and without it, in turns, in one run."""

import time

from gradio_client import Client

from benchmarks.server import running_app, running_browser

PAIRS = 6
WINDOW_SECONDS = 12
SETTLE_SECONDS = 3  # opening and closing a page is not watching


def measure() -> dict[str, list[float]]:
    """Percent of the training speed that one watcher takes, one value for each pair of windows.

    The browser draws on the same cores, which a visitor's own machine would do: this is an upper bound.
    """
    with running_app() as server, running_browser() as browser:
        client = Client(server.address, verbose=False)
        client.predict("classic", "bench", 100_000, "seconds", api_name="/start")
        costs = []
        for _ in range(PAIRS):
            before = _speed(client)
            page = browser.new_page()
            page.goto(server.address)
            page.wait_for_selector("#train-pause", state="visible")
            watched = _speed(client)
            page.close()
            after = _speed(client)
            costs.append(100 * (1 - watched / ((before + after) / 2)))
    return {"one watcher takes, % of speed": costs}


def _speed(client: Client) -> float:
    """Steps a second."""
    time.sleep(SETTLE_SECONDS)
    first, started = client.predict(api_name="/status")["step"], time.perf_counter()
    time.sleep(WINDOW_SECONDS)
    last = client.predict(api_name="/status")["step"]
    return float(last - first) / (time.perf_counter() - started)
