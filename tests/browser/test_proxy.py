"""The page below a sub-path, behind a reverse proxy such as docs/deploy.md describes."""

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from playwright.sync_api import Page, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route
from test_page import step, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

PORT = 18970


def proxy(upstream: str, prefix: str) -> Starlette:
    """Hands everything below `prefix` on to `upstream`, without the prefix."""
    client = httpx.AsyncClient(timeout=60)

    async def forward(request: Request) -> StreamingResponse:
        path = request.url.path.removeprefix(prefix).lstrip("/")
        headers = dict(request.headers) | {"x-forwarded-for": "198.51.100.7", "x-forwarded-proto": "http"}
        asked = client.build_request(
            request.method,
            f"{upstream}{path}",
            params=request.query_params,
            headers=headers,
            content=await request.body(),
        )
        answer = await client.send(asked, stream=True)

        async def body() -> AsyncIterator[bytes]:
            async for chunk in answer.aiter_raw():
                yield chunk
            await answer.aclose()

        return StreamingResponse(body(), answer.status_code, dict(answer.headers))

    methods = ["GET", "POST"]
    return Starlette(routes=[Route(f"{prefix}/{{path:path}}", forward, methods=methods)])


@contextmanager
def serving(app: Starlette) -> Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, port=PORT, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield
    server.should_exit = True
    server.force_exit = True  # the page's event streams stay open
    thread.join(10)


def test_the_page_trains_and_samples_below_a_sub_path(
    open_server: Callable[..., Any], visit: Callable[[str], Page]
) -> None:
    server = open_server(GRADIO_ROOT_PATH="/gan")
    with serving(proxy(server.address, "/gan")):
        page = visit(f"http://127.0.0.1:{PORT}/gan/")
        page.locator("#train-length input").fill("600")
        page.click("#train-start")
        wait_for(lambda: step(page) > 0)
        expect(page.locator("#train-runs")).to_contain_text("yours")  # strangers may come this way
        for panel in ("#train-grid", "#train-loss-plot"):
            wait_for(lambda panel=panel: natural_width(page, panel) > 100)
        page.get_by_role("tab", name="Sample").click()
        expect(page.locator("#sample-grid figcaption")).to_contain_text("fast-1 · seed 0")
        page.get_by_role("tab", name="Train").click()
        page.click("#train-stop")
        expect(page.locator("#train-sentence")).to_have_text("fast-1 is stopped and saved")
        page.close()


def natural_width(page: Page, panel: str) -> int:
    return int(page.locator(f"{panel} img").first.evaluate("image => image.naturalWidth"))
