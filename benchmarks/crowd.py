"""Many visitors as real HTTP clients on this machine, in a process of their own.

    python -m benchmarks.crowd ADDRESS watch|drag VISITORS SECONDS

Ends by itself and prints one line of JSON: `latencies`, in seconds, and `errors`.
"""

import asyncio
import json
import random
import sys
import time

import httpx

POLL_SECONDS = 0.5  # as gan/ui/live.js
MOST_VISITORS, MOST_SECONDS = 200, 600


class Crowd:
    """Visitors of one server, and what they saw."""

    def __init__(self, address: str, seconds: float) -> None:
        self.base = f"{address}gradio_api"
        self.deadline = time.monotonic() + seconds
        self.latencies: list[float] = []
        self.errors: list[str] = []

    async def run(self, what: str, visitors: int) -> None:
        """Let all of them do it until the time is over."""
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=visitors)
        async with httpx.AsyncClient(timeout=30, limits=limits) as client:
            act = {"watch": self.watch, "drag": self.drag}[what]
            await client.get(f"{self.base}/gan/health")  # the connection is not what is measured
            await asyncio.gather(*(act(client) for _ in range(visitors)))

    async def token(self, client: httpx.AsyncClient) -> str:
        """A new visitor's."""
        call = f"{self.base}/call/visitor"
        called = (await client.post(call, json={"data": []})).raise_for_status().json()
        answer = (await client.get(f"{call}/{called['event_id']}")).raise_for_status().text
        return str(json.loads(answer.split("data: ", 1)[1])[0]["token"])

    async def watch(self, client: httpx.AsyncClient) -> None:
        """Poll the token as a page does, and fetch each picture whose address has changed."""
        await asyncio.sleep(POLL_SECONDS * random.random())
        seen: dict[str, str] = {}
        while time.monotonic() < self.deadline:
            started = time.monotonic()
            try:
                token = (await client.get(f"{self.base}/gan/live?lang=en")).raise_for_status().json()
                self.latencies.append(time.monotonic() - started)
                for name, url in token["pictures"].items():
                    if url and seen.get(name) != url:
                        (
                            await client.get(f"{self.base}/{url.removeprefix('gradio_api/')}")
                        ).raise_for_status()
                        seen[name] = url
            except httpx.HTTPError as error:
                self.errors.append(repr(error))
            await asyncio.sleep(max(0.0, POLL_SECONDS - (time.monotonic() - started)))

    async def drag(self, client: httpx.AsyncClient) -> None:
        """Ask for one picture after the other, each at a new seed, as a dragged slider does."""
        seed, headers = 100 * random.random(), {"X-Gan-Visitor": await self.token(client)}
        while time.monotonic() < self.deadline:
            seed = (seed + 0.1) % 100
            started = time.monotonic()
            try:
                address = f"{self.base}/gan/sample?source=live&seed={seed:.2f}&count=64"
                answer = await client.get(address, headers=headers)
                picture = answer.raise_for_status().json()["picture"]
                (await client.get(f"{self.base}/{picture.removeprefix('gradio_api/')}")).raise_for_status()
                self.latencies.append(time.monotonic() - started)
            except httpx.HTTPError as error:
                self.errors.append(repr(error))
                await asyncio.sleep(0.1)


def main(address: str, what: str, visitors: int, seconds: float) -> int:
    """Run the crowd and print what it saw."""
    if not (1 <= visitors <= MOST_VISITORS and 0 < seconds <= MOST_SECONDS):
        print(f"1 to {MOST_VISITORS} visitors, at most {MOST_SECONDS} seconds", file=sys.stderr)
        return 2
    crowd = Crowd(address, seconds)
    asyncio.run(crowd.run(what, visitors))
    print(json.dumps({"latencies": crowd.latencies, "errors": crowd.errors}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
