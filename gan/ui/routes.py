"""Own GET routes beside Gradio's: the token, pictures and downloads. They reveal no more than the page.

Rendering runs in Starlette's thread pool (plain `def`); the token, which only reads memory, does not leave
the event loop.
"""

import re
from pathlib import Path
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gan import plots
from gan.config import allowed_values
from gan.errors import GanError
from gan.history import History, history_csv, loss_text
from gan.runs import planned_epochs
from gan.studio import Studio
from gan.ui.live import BASE, GRID_COLUMNS, GRID_DIGITS, Live, PictureStore
from gan.ui.text import language_of

_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_FRESH = {"Cache-Control": "no-store"}


def routes(studio: Studio, live: Live, pictures: PictureStore) -> list[Route]:
    """The routes to hand to Gradio's app."""

    async def token(request: Request) -> Response:
        language = language_of(request.query_params.get("lang"))
        return JSONResponse(live.token(language), headers=_FRESH)

    def live_picture(request: Request) -> Response:
        content, lasting = live.picture(**request.path_params)
        return _png(content, _FOREVER if lasting else _FRESH)

    def picture(request: Request) -> Response:
        headers = dict(_FOREVER)
        name = re.sub(r"[^\w.-]", "_", request.query_params.get("download", ""))[:100]
        if name:
            headers |= _attachment(name)
        return _png(pictures.get(request.path_params["key"]), headers)

    def real(request: Request) -> Response:
        dataset, count = request.path_params["dataset"], request.path_params["count"]
        snapshot = studio.snapshot
        known = dataset == "mnist" or (snapshot is not None and snapshot.config.dataset == dataset)
        if not known or dataset not in allowed_values("dataset") or count not in (GRID_COLUMNS, GRID_DIGITS):
            return _png(None, _FRESH)
        return _png(live.real_digits(dataset, count), _FOREVER)

    def download(request: Request) -> Response:
        try:
            return _download(studio, request.path_params["run"], request.path_params["file"])
        except GanError as error:
            return PlainTextResponse(str(error), 404, _FRESH)

    return [
        Route(f"/{BASE}/live", token),
        Route(f"/{BASE}/live/{{name}}/{{session}}-{{version:int}}.png", live_picture),
        Route(f"/{BASE}/picture/{{key}}.png", picture),
        Route(f"/{BASE}/real/{{dataset}}/{{count:int}}.png", real),
        Route(f"/{BASE}/run/{{run}}/{{file}}", download),
    ]


DOWNLOADS = ("checkpoint.safetensors", "loss.txt", "history.csv", "losses.png", "scores.png")


def download_address(run: str, file: str) -> str:
    """Address of one of DOWNLOADS, relative to the page."""
    return f"{BASE}/run/{quote(run)}/{file}"


def _download(studio: Studio, run: str, file: str) -> Response:
    headers = _FRESH | _attachment(f"{run}-{file}")
    if file == "checkpoint.safetensors":
        return FileResponse(_existing(studio, run), headers=headers)
    if file not in DOWNLOADS:
        return PlainTextResponse("", 404)
    config, history, epochs = studio.history(run)
    if file == "loss.txt":
        per_epoch = max(1, round(len(history) / epochs)) if epochs else 1
        return PlainTextResponse(loss_text(history, per_epoch, planned_epochs(config)), headers=headers)
    if file == "history.csv":
        return PlainTextResponse(history_csv(history), headers=headers, media_type="text/csv")
    return _png(_plot(file, history), headers)


def _existing(studio: Studio, run: str) -> Path:
    return studio.store.existing(run)


def _plot(file: str, history: History) -> bytes:
    draw = plots.loss_plot_png if file == "losses.png" else plots.score_plot_png
    return draw(history.curves(), opaque=True)


def _png(content: bytes | None, headers: dict[str, str]) -> Response:
    if content is None:
        return PlainTextResponse("", 404, _FRESH)
    return Response(content, headers=headers, media_type="image/png")


def _attachment(name: str) -> dict[str, str]:
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
