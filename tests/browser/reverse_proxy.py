"""A reverse proxy such as docs/deploy.md describes, as a program: UPSTREAM PREFIX PORT."""

import sys
from collections.abc import AsyncIterator

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route


def proxy(upstream: str, prefix: str) -> Starlette:
    """Hands everything below `prefix` on to `upstream`, without the prefix, and streams the answers."""
    client = httpx.AsyncClient(timeout=60)

    async def forward(request: Request) -> StreamingResponse:
        asked = client.build_request(
            request.method,
            upstream + request.path_params["path"],
            params=request.query_params,
            headers=dict(request.headers) | {"x-forwarded-for": "198.51.100.7", "x-forwarded-proto": "http"},
            content=await request.body(),
        )
        answer = await client.send(asked, stream=True)

        async def body() -> AsyncIterator[bytes]:
            async for chunk in answer.aiter_raw():
                yield chunk
            await answer.aclose()

        return StreamingResponse(body(), answer.status_code, dict(answer.headers))

    return Starlette(routes=[Route(f"{prefix}/{{path:path}}", forward, methods=["GET", "POST"])])


if __name__ == "__main__":
    uvicorn.run(proxy(*sys.argv[1:3]), port=int(sys.argv[3]), log_level="error")
