"""The Sample tab: digits from any generator, by seed; also while it trains."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from gan import plots
from gan.config import Range
from gan.sampling import TRUNCATIONS, SampleRequest, sample, scores
from gan.studio import LIVE, Studio
from gan.ui.live import PictureStore
from gan.ui.parts import label, number, speaking, unchecked
from gan.ui.text import in_both, say
from gan.ui.train_tab import run_line

COUNTS = Range(1, 256)
_MOST_SCORED = 64
_SLIDER_END = 100  # a pixel of the slider is about a third of a seed
_SHOW = "(shown) => window.ganSample && window.ganSample(shown)"
IF_LOOKING = """(follow, ...rest) => {
  const looking = document.querySelector("#sample-grid")?.offsetParent !== null;
  return [follow && looking, ...rest];
}"""


@dataclass(frozen=True)
class SampleTab:
    """What the rest of the page connects to."""

    source: gr.Dropdown
    follow: gr.Checkbox
    inputs: list[Any]
    outputs: list[Any]
    show: Callable[..., Any]
    drawing: dict[str, Any]  # how Gradio is to queue a drawing


@dataclass(frozen=True)
class Drawn:
    """A drawn sample: the PNG, and what the caption says of it."""

    png: bytes
    run: str
    weights: str


def draw(studio: Studio, source: str, request: SampleRequest, with_scores: bool = False) -> Drawn:
    """The digits of a request as one PNG.

    Raises:
        ConfigError, RunError, CheckpointError: as `Studio.networks` and `sample`.
    """
    networks = studio.networks(source)
    if request.weights == "ema" and networks.ema is None:
        request = SampleRequest(request.seed, request.count, request.truncation, request.digit)
    images = sample(networks, request)
    columns = min(request.count, 8 if request.count <= 64 else 16)
    under = scores(networks, images, request.digit) if with_scores else None
    used = "ema" if networks.choose(request.weights) is networks.ema else "raw"
    return Drawn(plots.grid_png(images, columns, under), networks.run, used)


def build(studio: Studio, pictures: PictureStore, language: gr.Textbox) -> SampleTab:
    """Lay out the tab inside the current Blocks and connect its events."""
    with gr.Row(elem_id="sample-layout"):
        with gr.Column(scale=1, min_width=290):
            source = unchecked(
                gr.Dropdown(
                    [(label("source_live"), LIVE)], value=LIVE, label=label("source"), elem_id="sample-source"
                )
            )
            seed = unchecked(
                gr.Slider(
                    0, _SLIDER_END, 0, step=0.05, label=label("sample_seed"), info=label("sample_seed_info"),
                    elem_id="sample-seed",
                )
            )  # fmt: skip
            lucky = gr.Button(label("random_seed"), size="sm", elem_id="sample-random")
            count = unchecked(
                gr.Slider(
                    int(COUNTS.low),
                    int(COUNTS.high),
                    64,
                    step=1,
                    label=label("count"),
                    elem_id="sample-count",
                )
            )
            truncation = unchecked(
                gr.Slider(
                    TRUNCATIONS.low, TRUNCATIONS.high, 1.0, step=0.05, label=label("truncation"),
                    info=label("truncation_info"), elem_id="sample-truncation",
                )
            )  # fmt: skip
            weights = gr.Radio(
                [(label("weights_ema"), "ema"), (label("weights_raw"), "raw")],
                value="ema", label=label("weights"),
                elem_id="sample-weights",
            )  # fmt: skip
            with_scores = gr.Checkbox(False, label=label("scores"), elem_id="sample-scores")
            follow = gr.Checkbox(True, label=label("follow"), elem_id="sample-follow")
        with gr.Column(scale=2, min_width=320):
            gr.HTML(_grid_html(), elem_id="sample-grid")
            download = gr.Button(label("download_png"), link="", elem_id="sample-download", interactive=False)
    shown = gr.JSON(visible=False)
    inputs = [source, seed, count, truncation, weights, with_scores, language]

    def show(
        source: str, seed: Any, count: Any, truncation: Any, weights: str, with_scores: bool, language: str
    ) -> Any:
        if None in (seed, count, truncation):  # a box that was cleared to type something else
            return gr.skip(), gr.skip()
        if source == LIVE and not (studio.snapshot and studio.snapshot.networks):
            return {"picture": "", "caption": "", "alt": ""}, gr.Button(interactive=False)
        request = SampleRequest(seed, number(count), truncation, None, weights, int(COUNTS.high))
        scored = with_scores and request.count <= _MOST_SCORED
        drawn = draw(studio, source, request, scored)
        address = pictures.put(drawn.png)
        caption = say(
            "sample_caption",
            language,
            run=drawn.run,
            seed=f"{seed:g}",
            weights=say(f"weights_{drawn.weights}", language),
        )
        if with_scores and not scored:
            caption = say("sample_caption_scores", language, caption=caption)
        file = f"{drawn.run}-seed-{seed:g}.png"
        link = gr.Button(link=f"{address}?download={file}", interactive=True)
        return {
            "picture": address,
            "caption": caption,
            "alt": say("sample_alt", language, seed=f"{seed:g}"),
        }, link

    drawing: dict[str, Any] = {
        "show_progress": "hidden",
        "concurrency_limit": 2,
        "concurrency_id": "draw",
        "trigger_mode": "always_last",  # a dragged slider draws where it is, not everywhere it was
        "api_visibility": "private",
    }
    for control in (source, seed, count, truncation, weights, with_scores):
        control.change(speaking(show), inputs, [shown, download], **drawing)
    shown.change(None, shown, js=_SHOW)
    lucky.click(lambda: random.randrange(_SLIDER_END), None, seed, **drawing)
    return SampleTab(source, follow, inputs, [shown, download], speaking(show), drawing)


def source_choices(studio: Studio, chosen: str, language: str) -> Any:
    """An update of the menu of generators that keeps the choice where it still exists."""
    runs = [run for run in studio.runs() if run.saved and run.saved.summary]
    snapshot = studio.snapshot
    live = bool(snapshot and snapshot.networks)
    names = [run.name for run in runs]
    if chosen not in names and not live and names:
        chosen = names[0]
    elif chosen not in names:
        chosen = LIVE
    lines = [(run_line(run, language), run.name) for run in runs]
    return gr.Dropdown(choices=[(say("source_live", language), LIVE), *lines], value=chosen)


def _grid_html() -> str:
    return f"""<div class="gan-panel">
<figure class="gan-digits"><img alt=""><figcaption></figcaption></figure>
<p class="if-empty">{in_both("sample_none")}</p></div>"""
