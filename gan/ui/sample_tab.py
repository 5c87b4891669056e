"""The Sample tab: digits from any generator, by seed and class, also while it trains; one close up."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import gradio as gr

from gan import plots
from gan.config import Range
from gan.errors import ConfigError
from gan.networks import CLASSES
from gan.sampling import TRUNCATIONS, Networks, SampleRequest, sample, scores
from gan.studio import LIVE, Studio
from gan.ui import closeup
from gan.ui.live import PictureStore
from gan.ui.parts import label, number
from gan.ui.reception import Guest, Reception
from gan.ui.run_list import run_line
from gan.ui.text import in_both, say

COUNTS = Range(1, 256)
_MOST_SCORED = 64
_MIXED, _TABLE = "mixed", "table"  # what the digit picker offers beside the ten digits
_DIGITS = tuple(str(digit) for digit in range(CLASSES))
_COLUMNS = 8
_COLUMNS_OF_MANY = 16
_SLIDER_END = 100  # a pixel of the slider is about a third of a seed
# gan/ui/sample.js asks the server for the picture, with the values of SampleTab.inputs.
DRAW = "(...controls) => window.ganDraw(controls)"
_NOTE_CHOICE = "() => { window.ganSourceChosen = true; }"
LIVE_UNLESS_CHOSEN = f"(source) => window.ganSourceChosen ? source : '{LIVE}'"
DRAW_SOON = "() => setTimeout(() => window.ganDraw(), 50)"


@dataclass(frozen=True)
class SampleTab:
    """What the rest of the page connects to."""

    source: gr.Dropdown
    inputs: list[Any]


@dataclass(frozen=True)
class Drawn:
    """A drawn sample: the PNG, its columns, and which weights were used."""

    png: bytes
    columns: int
    weights: str


def draw(networks: Networks, request: SampleRequest, with_scores: bool = False) -> Drawn:
    """The digits of a request as one PNG.

    Raises:
        RunError: as `sample`.
    """
    request = _possible(networks, request)
    images = sample(networks, request)
    columns = CLASSES if request.table else _COLUMNS if request.count <= 64 else _COLUMNS_OF_MANY
    columns = min(request.count, columns)
    under = scores(networks, images, request.digit) if with_scores else None
    used = "ema" if networks.choose(request.weights) is networks.ema else "raw"
    return Drawn(plots.grid_png(images, columns, under), columns, used)


def _possible(networks: Networks, request: SampleRequest) -> SampleRequest:
    """The request with the best weights that there are, where it wants EMA weights that there are not."""
    missing = request.weights == "ema" and networks.ema is None
    return replace(request, weights="best") if missing else request


def request_of(
    networks: Networks, seed: Any, count: Any, truncation: Any, weights: str, digit: str
) -> SampleRequest:
    """What the controls describe; the digit picker counts only where the generator knows labels.

    Raises:
        ConfigError: names the value and what is allowed.
    """
    wanted, table = digit_choice(digit if networks.conditional else _MIXED)
    count = number(count)
    if table and count in COUNTS:
        count = max(CLASSES, count - count % CLASSES)  # whole rows
    return SampleRequest(seed, count, truncation, wanted, table, weights, int(COUNTS.high))


def digit_choice(choice: str) -> tuple[int | None, bool]:
    """What the digit picker's value means for a SampleRequest: `digit` and `table`.

    Raises:
        ConfigError: it is no value of the picker.
    """
    if choice in (_MIXED, _TABLE):
        return None, choice == _TABLE
    if choice in _DIGITS:
        return int(choice), False
    raise ConfigError("out-of-range", field="digit", value=choice, allowed=f"{_MIXED}, 0 to 9, {_TABLE}")


@dataclass(frozen=True)
class _Controls:
    source: gr.Dropdown
    seed: gr.Slider
    lucky: gr.Button
    count: gr.Slider
    truncation: gr.Slider
    weights: gr.Radio
    digit: gr.Radio
    with_scores: gr.Checkbox
    follow: gr.Checkbox

    @property
    def inputs(self) -> list[Any]:
        """What decides the picture."""
        return [
            self.source, self.seed, self.count, self.truncation, self.weights, self.digit, self.with_scores
        ]  # fmt: skip


def _controls() -> _Controls:
    source = gr.Dropdown(
        [(label("source_live"), LIVE)], value=LIVE, label=label("source"), elem_id="sample-source"
    )
    digit = gr.Radio(
        [(label("digit_mixed"), _MIXED), *zip(_DIGITS, _DIGITS, strict=True), (label("digit_table"), _TABLE)],
        value=_MIXED, label=label("digit"), elem_id="sample-digit",
    )  # fmt: skip
    seed = gr.Slider(
        0, _SLIDER_END, 0, step=0.05, label=label("sample_seed"), info=label("sample_seed_info"),
        elem_id="sample-seed",
    )  # fmt: skip
    lucky = gr.Button(label("random_seed"), size="sm", elem_id="sample-random")
    count = gr.Slider(
        int(COUNTS.low), int(COUNTS.high), 64, step=1, label=label("count"), elem_id="sample-count"
    )
    truncation = gr.Slider(
        TRUNCATIONS.low, TRUNCATIONS.high, 1.0, step=0.05, label=label("truncation"),
        info=label("truncation_info"), elem_id="sample-truncation",
    )  # fmt: skip
    weights = gr.Radio(
        [(label("weights_ema"), "ema"), (label("weights_raw"), "raw")],
        value="ema", label=label("weights"), elem_id="sample-weights",
    )  # fmt: skip
    with_scores = gr.Checkbox(False, label=label("scores"), elem_id="sample-scores")
    follow = gr.Checkbox(True, label=label("follow"), elem_id="sample-follow")
    return _Controls(source, seed, lucky, count, truncation, weights, digit, with_scores, follow)


def build(studio: Studio, pictures: PictureStore, reception: Reception) -> SampleTab:
    """Lay out the tab inside the current Blocks and connect its events."""
    with gr.Row(elem_id="sample-layout"):
        with gr.Column(scale=1, min_width=290):
            controls = _controls()
        with gr.Column(scale=2, min_width=320, elem_id="sample-picture"):
            script = (Path(__file__).parent / "sample.js").read_text()
            grid = gr.HTML(_grid_html(), elem_id="sample-grid", js_on_load=script)
            gr.HTML(f"<a download hidden>{in_both('download_png')}</a>", elem_id="sample-download")
        with gr.Column(scale=1, min_width=290, elem_id="sample-closeup"):
            near = gr.HTML(closeup.empty_html())
    inputs = [*controls.inputs, controls.follow]
    for control in inputs:
        control.change(None, inputs, js=DRAW)
    controls.source.input(None, js=_NOTE_CHOICE)
    controls.lucky.click(None, None, controls.seed, js=f"() => Math.floor({_SLIDER_END} * Math.random())")
    _connect_closeup(studio, pictures, reception, grid, near, controls.inputs)
    return SampleTab(controls.source, inputs)


def shown(studio: Studio, pictures: PictureStore, asked: Mapping[str, str], guest: Guest) -> dict[str, Any]:
    """The picture with its words for gan/ui/sample.js; `asked` are the controls' values, as text.

    Raises:
        GanError: a value is out of range, or the run cannot be sampled.
    """
    language, source = guest.language, asked.get("source", LIVE)
    now = studio.watched(guest.watching, guest.visitor)
    if source == LIVE and not (now and now.networks):
        return {"picture": "", "caption": "", "alt": "", "conditional": False}
    networks = studio.networks(source, guest.watching, guest.visitor)
    seed, count, truncation = (
        _read(name, asked.get(name, default))
        for name, default in (("seed", "0"), ("count", "64"), ("truncation", "1"))
    )
    request = request_of(
        networks, seed, count, truncation, asked.get("weights", "best"), asked.get("digit", _MIXED)
    )
    with_scores = asked.get("scores") == "true"
    scored = with_scores and request.count <= _MOST_SCORED
    drawn = draw(networks, request, scored)
    address = pictures.put(drawn.png)
    used = say(f"weights_{drawn.weights}", language)
    caption = say("sample_caption", language, run=networks.run, seed=f"{seed:g}", weights=used)
    if with_scores and not scored:
        caption = say("sample_caption_scores", language, caption=caption)
    return {
        "picture": address,
        "download": f"{address}?{urlencode({'download': f'{networks.run}-seed-{seed:g}.png'})}",
        "caption": caption,
        "alt": say("sample_alt", language, seed=f"{seed:g}"),
        "conditional": networks.conditional,
        "columns": drawn.columns,
        "rows": -(-request.count // drawn.columns),
    }


def _read(name: str, text: str) -> float:
    """A number that came as text; the request checks its range.

    Raises:
        ConfigError: it is none.
    """
    try:
        return float(text)
    except ValueError:
        raise ConfigError("wrong-type", field=name, value=text[:40], allowed="a number") from None


def _connect_closeup(
    studio: Studio,
    pictures: PictureStore,
    reception: Reception,
    grid: gr.HTML,
    near: gr.HTML,
    controls: list[Any],
) -> None:
    index, picked = gr.Number(visible=False), gr.State(None)

    def pick(
        index: float, source: str, seed: Any, count: Any, truncation: Any, weights: str, digit: str,
        _scores: bool, guest: Guest,
    ) -> Any:  # fmt: skip
        networks = studio.networks(source, guest.watching, guest.visitor)
        request = _possible(networks, request_of(networks, seed, count, truncation, weights, digit))
        if not 0 <= index < request.count:  # a click behind the last digit
            return gr.skip(), gr.skip()
        found = closeup.look_at(networks, request, int(index))
        return found, closeup.html(found, pictures, guest.language)

    def compare(found: closeup.Closeup | None, guest: Guest) -> Any:
        if found is None or found.pixels is None:
            return gr.skip()
        return closeup.html(closeup.with_features(found), pictures, guest.language)

    picking = reception.connect(
        grid.picked,
        pick,
        [index, *controls],
        [picked, near],
        js="(_, ...rest) => [window.ganPicked, ...rest.slice(0, -3), ...window.ganGuest()]",
        concurrency_limit=2,
    )
    reception.connect(picking.success, compare, [picked], near, concurrency_limit=1)


def source_choices(studio: Studio, chosen: str, guest: Guest) -> Any:
    """An update of the menu of generators; another one is chosen only where the choice is gone."""
    runs = [
        run
        for run in studio.runs()
        if (run.saved and run.saved.summary) or (run.snapshot and run.snapshot.networks)
    ]
    names = [run.name for run in runs]
    now = studio.watched(guest.watching, guest.visitor)
    live = bool(now and now.networks)
    lines = ((run_line(run, guest, studio.settings.shared), run.name) for run in runs)
    choices = [(say("source_live", guest.language), LIVE), *lines]
    if chosen in names or (chosen == LIVE and live):
        return gr.Dropdown(choices=choices)  # without a value, which a click may have changed meanwhile
    return gr.Dropdown(choices=choices, value=LIVE if live or not names else names[0])


def _grid_html() -> str:
    return f"""<div class="gan-panel">
<figure class="gan-digits"><img alt="" tabindex="0"><div class="gan-mark" hidden></div>
<figcaption></figcaption></figure>
<p class="gan-problem" role="alert" hidden></p>
<p class="if-empty">{in_both("sample_none")}</p></div>"""
