"""What can be downloaded of a run, and the answers that files and pictures come in."""

from urllib.parse import quote

from starlette.responses import FileResponse, PlainTextResponse, Response

from gan import plots
from gan.history import history_csv, loss_text
from gan.judge import report
from gan.past import Past
from gan.runs import planned_epochs
from gan.studio import Studio
from gan.timeline import draw
from gan.ui.live import BASE

FRESH = {"Cache-Control": "no-store"}

DOWNLOADS = (
    "checkpoint.safetensors", "loss.txt", "history.csv", "losses.png", "scores.png", "quality.png",
    "timeline.gif",
)  # fmt: skip


def download_address(run: str, file: str) -> str:
    """Address of one of DOWNLOADS, relative to the page."""
    return f"{BASE}/run/{quote(run)}/{file}"


def download(studio: Studio, run: str, file: str) -> Response:
    """One of DOWNLOADS; 404 where a run has no such file.

    Raises:
        GanError: no such run, or its checkpoint does not hold what the file is made of.
    """
    headers = FRESH | attachment(f"{run}-{file}")
    if file == "checkpoint.safetensors":
        return FileResponse(studio.store.existing(run), headers=headers)
    if file not in DOWNLOADS:
        return PlainTextResponse("", 404)
    past = studio.past(run)
    if file == "loss.txt":
        per_epoch = max(1, round(len(past.history) / past.epochs)) if past.epochs else 1
        return PlainTextResponse(
            loss_text(past.history, per_epoch, planned_epochs(past.config)), headers=headers
        )
    if file == "history.csv":
        return PlainTextResponse(history_csv(past.history), headers=headers, media_type="text/csv")
    if file == "timeline.gif":
        film = past.timeline.gif(draw(studio.networks(run)))
        return Response(film, headers=headers, media_type="image/gif") if film else PlainTextResponse("", 404)
    return png(_plot(file, past), headers)


def _plot(file: str, past: Past) -> bytes | None:
    if file == "losses.png":
        return plots.loss_plot_png(past.curves, opaque=True)
    if file == "scores.png":
        return plots.score_plot_png(past.curves, opaque=True)
    floor = report.floor(report.LOOK_COUNT)
    return plots.quality_plot_png(past.looks, floor, past.steps, opaque=True) if len(past.looks) else None


def png(content: bytes | None, headers: dict[str, str]) -> Response:
    """A picture, or 404 where there is none."""
    if content is None:
        return PlainTextResponse("", 404, FRESH)
    return Response(content, headers=headers, media_type="image/png")


def attachment(name: str) -> dict[str, str]:
    """The header that makes a browser save an answer under `name`."""
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
