"""Own GET routes beside Gradio's: the token, samples, pictures and downloads; no more than the page shows.

Rendering runs in Starlette's thread pool (plain `def`); the token, which only reads memory, does not leave
the event loop.
"""

import asyncio
import logging
import re
import time
from functools import partial

import psutil
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gan import __version__
from gan.config import allowed_values
from gan.errors import GanError
from gan.snapshot import Status
from gan.studio import Studio
from gan.ui import sample_tab
from gan.ui.desk import Desk
from gan.ui.downloads import FRESH, attachment, download, png
from gan.ui.films import Films
from gan.ui.live import BASE, GRID_COLUMNS, GRID_DIGITS, SHOWCASE, Live, PictureStore
from gan.ui.reception import Reception
from gan.ui.text import language_of, say_error

log = logging.getLogger(__name__)

TOKEN_HEADER = "X-Gan-Visitor"

_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}


def routes(
    studio: Studio, reception: Reception, live: Live, pictures: PictureStore, desk: Desk
) -> list[Route]:
    """The routes to hand to Gradio's app."""
    started, films = time.monotonic(), Films(studio, pictures)

    async def token(request: Request) -> Response:
        asked = request.query_params
        language, run, me, last = (asked.get(name, "") for name in ("lang", "run", "me", "last"))
        token = live.token(language_of(language), run, me, last)
        return Response(token, headers=FRESH, media_type="application/json")

    async def sample(request: Request) -> Response:
        asked = request.query_params
        language = language_of(asked.get("lang"))
        try:
            guest = reception.guest(
                asked.get("watching", ""), request.headers.get(TOKEN_HEADER, ""), language
            )
            work = partial(sample_tab.shown, studio, pictures, asked, guest)
            drawn = await asyncio.wrap_future(desk.draw(guest.visitor.id, work))
            return JSONResponse(drawn, headers=FRESH)
        except GanError as error:
            log.info("refused: %s", error)
            status = 429 if error.key == "too-many-requests" else 400
            return JSONResponse({"problem": say_error(error, language)}, status, headers=FRESH)

    async def health(_: Request) -> Response:
        return JSONResponse(
            {
                "status": "ok",
                "version": __version__,
                "uptime_seconds": round(time.monotonic() - started),
                "active_runs": sum(now.status is not Status.WAITING for now in studio.active_runs()),
                "waiting_runs": sum(now.status is Status.WAITING for now in studio.active_runs()),
                "memory_megabytes": round(psutil.Process().memory_info().rss / 2**20),
            },
            headers=FRESH,
        )

    def live_picture(request: Request) -> Response:
        content, lasting = live.picture(**request.path_params)
        return png(content, _FOREVER if lasting else FRESH)

    def picture(request: Request) -> Response:
        headers = dict(_FOREVER)
        name = re.sub(r"[^\w.-]", "_", request.query_params.get("download", ""))[:100]
        if name:
            headers |= attachment(name)
        return png(pictures.get(request.path_params["key"]), headers)

    def real(request: Request) -> Response:
        dataset, count = request.path_params["dataset"], request.path_params["count"]
        snapshot = studio.snapshot
        known = dataset == "mnist" or (snapshot is not None and snapshot.config.dataset == dataset)
        if not known or dataset not in allowed_values("dataset") or count not in (GRID_COLUMNS, GRID_DIGITS):
            return png(None, FRESH)
        return png(live.real_digits(dataset, count), _FOREVER)

    def showcase(_: Request) -> Response:
        return png(SHOWCASE.read_bytes(), FRESH)

    def download_of(request: Request) -> Response:
        try:
            return download(studio, request.path_params["run"], request.path_params["file"])
        except GanError as error:
            return PlainTextResponse(str(error), 404, FRESH)

    def timeline(request: Request) -> Response:
        try:
            film = films.of(request.path_params["run"])
        except GanError as error:
            return PlainTextResponse(str(error), 404, FRESH)
        return JSONResponse(film, headers=FRESH) if film else PlainTextResponse("", 404, FRESH)

    def moment(request: Request) -> Response:
        run, step = request.path_params["run"], request.path_params["step"]
        if not re.fullmatch(r"[0-9]{1,12}", step):
            return png(None, FRESH)
        try:
            found = studio.timeline(run).picture(int(step))
        except GanError as error:
            return PlainTextResponse(str(error), 404, FRESH)
        return png(found, _FOREVER)

    return [
        Route(f"/{BASE}/live", token),
        Route(f"/{BASE}/health", health),
        Route(f"/{BASE}/sample", sample),
        Route(f"/{BASE}/live/{{run}}/{{name}}/{{session}}-{{version:int}}.png", live_picture),
        Route(f"/{BASE}/picture/{{key}}.png", picture),
        Route(f"/{BASE}/real/{{dataset}}/{{count:int}}.png", real),
        Route(f"/{BASE}/showcase.png", showcase),
        Route(f"/{BASE}/run/{{run}}/timeline", timeline),
        Route(f"/{BASE}/run/{{run}}/timeline/{{step}}.png", moment),
        Route(f"/{BASE}/run/{{run}}/{{file}}", download_of),
    ]
