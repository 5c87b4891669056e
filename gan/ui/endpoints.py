"""The named endpoints for gradio_client: /start, /pause, /resume, /stop, /status, /sample and more."""

import asyncio
import functools
import inspect
import io
from collections.abc import Callable
from typing import Any

import gradio as gr
import gradio.events
from PIL import Image

from gan.config import DEFAULT_RECIPE, DEFAULT_SECONDS, recipe
from gan.errors import ConfigError
from gan.sampling import SampleRequest
from gan.snapshot import Snapshot
from gan.studio import LIVE, Studio
from gan.ui.desk import Desk
from gan.ui.parts import number
from gan.ui.reception import Reception, spoken
from gan.ui.sample_tab import COUNTS, digit_choice, draw
from gan.visitors import Visitor


def status_of(snapshot: Snapshot | None) -> dict[str, Any]:
    """The state of a run, as plain values."""
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


def add_endpoints(studio: Studio, reception: Reception, desk: Desk) -> None:
    """Register the endpoints in the current Blocks; errors reach the caller as one English sentence.

    `token` says who asks where the page is shared; /visitor gives one.
    """

    def who(token: str) -> Visitor:
        return reception.guest("", token, "en").visitor

    def state(run: str, visitor: Visitor) -> dict[str, Any]:
        return status_of(studio.watched(run, visitor))

    def start(
        recipe_name: str = DEFAULT_RECIPE,
        name: str = "",
        length: float = DEFAULT_SECONDS,
        unit: str = "seconds",
        settings: dict = {},  # noqa: B006 (Gradio reads the default; nobody changes it)
        token: str = "",
    ) -> dict:
        visitor = who(token)
        config = recipe(recipe_name).with_changes(**{**(settings or {}), "length": length, "unit": unit})
        return state(studio.start(config, name or "", visitor), visitor)

    def pause(run: str = "", token: str = "") -> dict:
        return order(studio.pause, run, token)

    def resume(name: str = "", more: float = 0, unit: str = "seconds", token: str = "") -> dict:
        visitor = who(token)
        return state(studio.resume(name or "", more or None, unit, visitor), visitor)

    def stop(run: str = "", token: str = "") -> dict:
        return order(studio.stop, run, token)

    def step(run: str = "", token: str = "") -> dict:
        return order(studio.step, run, token)

    def save(run: str = "", token: str = "") -> dict:
        return order(studio.save, run, token)

    def rates(lr_g: float, lr_d: float, run: str = "", token: str = "") -> dict:
        visitor = who(token)
        studio.set_learning_rates(lr_g, lr_d, run or "", visitor)
        return state(run or "", visitor)

    def rename(run: str, new_name: str, token: str = "") -> dict:
        return {"run": studio.rename(run, new_name, who(token))}

    def delete(run: str, token: str = "") -> dict:
        studio.delete(run, who(token))
        return {"run": None}

    def status(run: str = "", token: str = "") -> dict:
        return status_of(studio.watched(run or "", who(token) if token else Visitor("")))

    def visitor(request: gr.Request) -> dict:
        return {"token": reception.new_token(request)}

    def order(give: Callable[[str, Visitor], None], run: str, token: str) -> dict[str, Any]:
        visitor = who(token)
        own = studio.watched(run or "", visitor)
        give(run or "", visitor)
        return state(run or (own.run if own else ""), visitor)

    for endpoint in (start, pause, resume, stop, step, save, rates, rename, delete, status, visitor):
        gradio.events.api(_in_english(endpoint), api_name=endpoint.__name__, concurrency_limit=None)
    _add_sample(studio, reception, desk)


def _in_english(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """The endpoint with its arguments checked and its errors in a sentence.

    Gradio hands on whatever JSON it was sent.
    """
    parameters = inspect.signature(endpoint).parameters

    @functools.wraps(endpoint)  # Gradio reads the parameters from the signature
    def answer(*arguments: Any) -> Any:
        def work() -> Any:
            for name, given in zip(parameters, arguments, strict=False):
                _check_type(name, parameters[name].annotation, given)
            return endpoint(*arguments)

        return spoken(work, "en")

    return answer


def _check_type(name: str, expected: Any, given: Any) -> None:
    """Raises ConfigError unless a value that was sent is what the parameter says."""
    words = {str: "a word", float: "a number", dict: "settings by name"}
    fits = isinstance(given, (int, float) if expected is float else expected) and not isinstance(given, bool)
    if expected in words and given is not None and not fits:
        raise ConfigError("wrong-type", field=name, value=given, allowed=words[expected])


def _add_sample(studio: Studio, reception: Reception, desk: Desk) -> None:
    """A picture as a file needs components, because gr.api only speaks JSON; nobody sees these."""

    async def sample(
        source: str, seed: float, count: float, truncation: float, weights: str, digit: str, token: str
    ) -> Image.Image:
        def work() -> Image.Image:
            label, table = digit_choice(digit)
            most = int(COUNTS.high)
            request = SampleRequest(number(seed), number(count), truncation, label, table, weights, most)
            return Image.open(io.BytesIO(draw(studio.networks(source), request).png))

        visitor = spoken(lambda: reception.guest("", token, "en").visitor, "en")
        waiting = spoken(lambda: desk.draw(visitor.id, lambda: spoken(work, "en")), "en")
        drawn: Image.Image = await asyncio.wrap_future(waiting)
        return drawn

    with gr.Row(visible=False):
        inputs = [
            gr.Textbox(LIVE),
            gr.Number(0),
            gr.Number(64),
            gr.Number(1.0),
            gr.Textbox("best"),
            gr.Textbox("mixed"),  # or "0" to "9", or "table": rows of all ten
            gr.Textbox(""),
        ]
        gr.Button().click(
            sample,
            inputs,
            gr.Image(type="pil", format="png"),
            api_name="sample",
            concurrency_limit=None,
        )
