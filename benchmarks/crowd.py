"""Many visitors as real HTTP clients on this machine, in a process of their own.

    python -m benchmarks.crowd ADDRESS watch|drag VISITORS SECONDS

Ends by itself and prints one line of JSON: `latencies`, in seconds, and `errors`. The requests are written by
hand: a client library takes more time than the server, on the cores that are measured.
"""

import asyncio
import json
import random
import sys
import time
from urllib.parse import urlsplit

from gradio_client import Client

POLL_SECONDS = 0.5  # as gan/ui/live.js
MOST_VISITORS, MOST_SECONDS = 200, 1500


class Connection:
    """One kept HTTP/1.1 connection."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._host, self._port = parts.hostname, parts.port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def get(self, path: str, token: str = "") -> bytes:
        """The body of the answer.

        Raises:
            OSError: another status than 200, or the connection is gone.
        """
        if self._writer is None or self._reader is None:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        head = f"GET /{path} HTTP/1.1\r\nHost: {self._host}\r\nX-Gan-Visitor: {token}\r\n\r\n"
        self._writer.write(head.encode())
        status, *headers = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        lengths = [line.split(":")[1] for line in headers if line.lower().startswith("content-length:")]
        body = await self._reader.readexactly(int(lengths[0]))
        if " 200 " not in status:
            raise OSError(f"{path}: {status} {body[:80]!r}")
        return body


class Crowd:
    """Visitors of one server, and what they saw."""

    def __init__(self, address: str, seconds: float) -> None:
        self.address = address
        self.deadline = time.monotonic() + seconds
        self.latencies: list[float] = []
        self.errors: list[str] = []

    async def run(self, what: str, tokens: list[str]) -> None:
        """Let all of them do it until the time is over."""
        act = {"watch": self.watch, "drag": self.drag}[what]
        await asyncio.gather(*(act(Connection(self.address), token) for token in tokens))

    async def watch(self, server: Connection, _: str) -> None:
        """Poll the token as a page does, and fetch each picture whose address has changed."""
        await asyncio.sleep(POLL_SECONDS * random.random())
        seen: dict[str, str] = {}
        while time.monotonic() < self.deadline:
            started = time.monotonic()
            try:
                token = json.loads(await server.get("gradio_api/gan/live?lang=en"))
                self.latencies.append(time.monotonic() - started)
                for name, url in token["pictures"].items():
                    if url and seen.get(name) != url:
                        await server.get(url)
                        seen[name] = url
            except OSError as error:
                self.errors.append(repr(error))
            await asyncio.sleep(max(0.0, POLL_SECONDS - (time.monotonic() - started)))

    async def drag(self, server: Connection, token: str) -> None:
        """Ask for one picture after the other, each at a new seed, as a dragged slider does."""
        seed = 100 * random.random()
        while time.monotonic() < self.deadline:
            seed = (seed + 0.1) % 100
            started = time.monotonic()
            try:
                answer = await server.get(
                    f"gradio_api/gan/sample?source=live&seed={seed:.2f}&count=64", token
                )
                await server.get(json.loads(answer)["picture"])
                self.latencies.append(time.monotonic() - started)
            except OSError as error:
                self.errors.append(repr(error))
                await asyncio.sleep(0.1)


def main(address: str, what: str, visitors: int, seconds: float) -> int:
    """Run the crowd and print what it saw."""
    if not (1 <= visitors <= MOST_VISITORS and 0 < seconds <= MOST_SECONDS):
        print(f"1 to {MOST_VISITORS} visitors, at most {MOST_SECONDS} seconds", file=sys.stderr)
        return 2
    client = Client(address, verbose=False)
    tokens = [client.predict(api_name="/visitor")["token"] if what == "drag" else "" for _ in range(visitors)]
    crowd = Crowd(address, seconds)
    asyncio.run(crowd.run(what, tokens))
    print(json.dumps({"latencies": crowd.latencies, "errors": crowd.errors}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
