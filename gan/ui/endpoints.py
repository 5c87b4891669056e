"""The named endpoints for gradio_client: /start, /pause, /resume, /stop, /status, /sample."""

import functools
import io
from collections.abc import Callable
from typing import Any

import gradio as gr
import gradio.events
from PIL import Image

from gan.config import DEFAULT_RECIPE, DEFAULT_SECONDS, recipe
from gan.sampling import SampleRequest
from gan.studio import LIVE, Studio
from gan.ui.parts import number, speaking
from gan.ui.sample_tab import COUNTS, digit_choice, draw


def status_of(studio: Studio) -> dict[str, Any]:
    """The state of the active or last run, as plain values."""
    snapshot = studio.snapshot
    if snapshot is None:
        return {"status": "idle", "run": None}
    return {
        "status": str(snapshot.status),
        "run": snapshot.run,
        "recipe": snapshot.config.recipe,
        "step": snapshot.steps,
        "epoch": snapshot.epochs,
        "seconds": snapshot.seconds,
        "progress": snapshot.progress,
        "images_per_second": snapshot.images_per_second,
        "error": str(snapshot.error) if snapshot.error else None,
    }


def add_endpoints(studio: Studio) -> None:
    """Register the endpoints in the current Blocks; errors reach the caller as one English sentence."""

    def start(
        recipe_name: str = DEFAULT_RECIPE,
        name: str = "",
        length: float = DEFAULT_SECONDS,
        unit: str = "seconds",
        settings: dict = {},  # noqa: B006 (Gradio reads the default; nobody changes it)
    ) -> dict:
        config = recipe(recipe_name).with_changes(**{**(settings or {}), "length": length, "unit": unit})
        studio.start(config, name or "")
        return status_of(studio)

    def pause() -> dict:
        studio.pause()
        return status_of(studio)

    def resume(name: str = "", more: float = 0, unit: str = "seconds") -> dict:
        studio.resume(name or "", more or None, unit)
        return status_of(studio)

    def stop() -> dict:
        studio.stop()
        return status_of(studio)

    def status() -> dict:
        return status_of(studio)

    for endpoint in (start, pause, resume, stop, status):
        gradio.events.api(_in_english(endpoint), api_name=endpoint.__name__, concurrency_limit=None)
    _add_sample(studio)


def _in_english(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(endpoint)  # Gradio reads the parameters from the signature
    def answer(*arguments: Any) -> Any:
        return speaking(lambda *inner: endpoint(*inner[:-1]))(*arguments, "en")

    return answer


def _add_sample(studio: Studio) -> None:
    """A picture as a file needs components, because gr.api only speaks JSON; nobody sees these."""

    def sample(
        source: str, seed: float, count: float, truncation: float, weights: str, digit: str
    ) -> Image.Image:
        label, table = digit_choice(digit)
        most = int(COUNTS.high)
        request = SampleRequest(number(seed), number(count), truncation, label, table, weights, most)
        return Image.open(io.BytesIO(draw(studio.networks(source), request).png))

    with gr.Row(visible=False):
        inputs = [
            gr.Textbox(LIVE),
            gr.Number(0),
            gr.Number(64),
            gr.Number(1.0),
            gr.Textbox("best"),
            gr.Textbox("mixed"),  # or "0" to "9", or "table": rows of all ten
        ]
        gr.Button().click(
            _in_english(sample),
            inputs,
            gr.Image(type="pil", format="png"),
            api_name="sample",
            concurrency_limit=2,
            concurrency_id="draw",
        )
