"""Puts the page on the network with what Gradio's launch() needs to know."""

import os
import socket
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gan.config import ServerSettings
from gan.errors import RunError
from gan.studio import Studio
from gan.ui.desk import Desk
from gan.ui.live import Live, PictureStore
from gan.ui.page import build_page
from gan.ui.parts import I18N
from gan.ui.reception import Reception
from gan.ui.routes import routes

_HERE = Path(__file__).parent
_PORTS_TRIED = 100
_SESSIONS_KEPT = 300  # Gradio keeps each session's values; its own default is 10,000


class PageHead:
    """ASGI middleware: puts language.js and style.css at the top of the page.

    launch(head=...) would come too late for the script, which must run before Gradio reads the browser's
    language, and launch(css=...) confines every rule to Gradio's container, where the page's state, kept on
    the root element, cannot be seen.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        script, style = (_HERE / "language.js").read_text(), (_HERE / "style.css").read_text()
        self._head = f"<head><script>{script}</script><style>{style}</style>".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or "/gradio_api/" in scope["path"] or scope["path"].startswith("/assets/"):
            await self._app(scope, receive, send)
            return
        start: Message = {}
        body = b""

        async def insert(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            if message["type"] != "http.response.body" or not _is_html(start):
                if start:
                    await send(start)
                    start = {}
                await send(message)
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            body = body.replace(b"<head>", self._head, 1)
            headers = [(k, v) for k, v in start["headers"] if k.lower() != b"content-length"]
            await send({**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
            await send({"type": "http.response.body", "body": body})

        await self._app(scope, receive, insert)


def _is_html(start: Message) -> bool:
    return any(
        k.lower() == b"content-type" and v.startswith(b"text/html") for k, v in start.get("headers", [])
    )


def free_port(settings: ServerSettings) -> int:
    """The port that was asked for, or the next free one.

    Raises:
        RunError: a hundred ports from there on are taken, or the host is not this machine's.
    """
    last = min(settings.port + _PORTS_TRIED, 65_535)
    for port in range(settings.port, last + 1):
        with socket.socket() as probe:
            probe.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # a port that just closed counts as free
            try:
                probe.bind((settings.host, port))
                return port
            except OSError:
                continue
    raise RunError("no-port", first=settings.port, last=last)


def network_address(settings: ServerSettings, port: int) -> str | None:
    """What others on this network open, where the page listens to all; None where that is not known."""
    if settings.host not in ("0.0.0.0", "::"):
        return None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only asks which way packets would leave
        except OSError:
            return None
        return f"http://{probe.getsockname()[0]}:{port}/"


def serve(studio: Studio, port: int) -> gr.Blocks:
    """Launch the page in background threads; `page.local_url` is its address."""
    pictures, reception, desk = PictureStore(), Reception(studio), Desk()
    page = build_page(studio, reception, pictures, desk)
    options: dict[str, Any] = {
        "server_name": studio.settings.host,
        "server_port": port,
        "app_kwargs": {
            "routes": routes(studio, reception, Live(studio), pictures, desk),
            "middleware": [Middleware(PageHead)],
        },
        "theme": gr.themes.Default(
            primary_hue="blue",
            neutral_hue="slate",
            font=["ui-sans-serif", "system-ui", "sans-serif"],
            font_mono=["ui-monospace", "monospace"],
        ),
        "i18n": I18N,
        "max_file_size": f"{studio.settings.upload_megabytes}mb",
        "state_session_capacity": _SESSIONS_KEPT,
        "run_history": False,  # it would keep every visitor's inputs
        "ssr_mode": False,
        "show_error": False,
        "quiet": True,
        "prevent_thread_lock": True,
    }
    if studio.settings.space:
        # Whom the proxy names as the client is believed (uvicorn reads this); else all would be one address.
        os.environ.setdefault("FORWARDED_ALLOW_IPS", "*")
    page.launch(**options)
    return page
