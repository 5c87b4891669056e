"""The Train tab: what to train, the buttons, and the live part that gan/ui/live.js keeps fresh."""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from gan.config import DEFAULT_RECIPE, DEFAULT_SECONDS, RECIPES, Choice, RunConfig, allowed_values, recipe
from gan.diagnosis import diagnose
from gan.snapshot import Status
from gan.studio import Studio
from gan.ui import run_list
from gan.ui.live import GRID_COLUMNS, SHOWCASE_ADDRESS, real_address
from gan.ui.parts import label, number, panel
from gan.ui.reception import QUIET, Guest, Reception
from gan.ui.run_list import RunList
from gan.ui.text import in_both, say

_SETTINGS = (
    "loss", "r1", "label_smoothing", "decay", "latent_dim", "batch_size",
    "lr_g", "lr_d", "beta1", "beta2", "ema", "seed",
)  # fmt: skip
_EXPLAINED = ("decay", "ema", "label_smoothing", "r1")  # by more than their range


@dataclass(frozen=True)
class TrainTab:
    """What the rest of the page connects to."""

    status: gr.HTML  # fires runs_changed
    runs: RunList
    started: list[Any]  # the events after which a new run trains; .success connects to them


def build(studio: Studio, reception: Reception) -> TrainTab:
    """Lay out the tab inside the current Blocks and connect its events."""
    with gr.Row(elem_id="train-layout"):
        status = gr.HTML(
            _status_html(), elem_id="train-status", js_on_load=(Path(__file__).parent / "live.js").read_text()
        )
        with gr.Column(elem_id="train-controls"):
            form = _form()
            buttons = _buttons()
            suggestion = gr.Button(" ", size="sm", elem_id="train-suggestion")  # live.js says what it does
            runs = run_list.build()
        with gr.Column(elem_id="train-digits"):
            gr.HTML(_grid_html(), elem_id="train-grid")
            gr.HTML(_real_html(), elem_id="train-real")
            gr.HTML(_coverage_html(), elem_id="train-coverage")
        with gr.Column(elem_id="train-plots"):
            gr.HTML(_plot_html("loss"), elem_id="train-loss-plot")
            gr.HTML(_plot_html("score"), elem_id="train-score-plot")
            gr.HTML(_plot_html("quality", "quality_note"), elem_id="train-quality-plot")
    started = _connect(studio, reception, form, buttons, runs, suggestion)
    return TrainTab(status, runs, started)


# -- layout --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Form:
    recipe: gr.Dropdown
    dataset: gr.Dropdown
    length: gr.Number
    unit: gr.Radio
    name: gr.Textbox
    settings: list[Any]
    apply_rates: gr.Button

    @property
    def inputs(self) -> list[Any]:
        return [self.recipe, self.dataset, self.length, self.unit, self.name, *self.settings]


def _options(field: str) -> list[str]:
    allowed = allowed_values(field)
    assert isinstance(allowed, Choice)
    return list(allowed.options)


def _form() -> _Form:
    base = RECIPES[DEFAULT_RECIPE]
    chosen = gr.Dropdown(
        list(RECIPES),
        value=base.recipe,
        label=label("recipe"),
        info=label("recipe_info"),
        elem_id="train-recipe",
    )
    dataset = gr.Dropdown(
        _options("dataset"), value=base.dataset, label=label("dataset"), elem_id="train-dataset"
    )
    with gr.Row():
        length = gr.Number(DEFAULT_SECONDS, label=label("length"), elem_id="train-length", min_width=90)
        unit = gr.Radio(
            [(label("unit_seconds"), "seconds"), (label("unit_epochs"), "epochs")],
            value="seconds",
            label=label("unit"),
            elem_id="train-unit",
            min_width=150,
        )
    with gr.Accordion(label("settings"), open=False, elem_id="train-settings"):
        name = gr.Textbox(
            label=label("run_name"), info=label("run_name_info"), max_length=40, elem_id="train-name"
        )
        settings = []
        for first, second in zip(_SETTINGS[::2], _SETTINGS[1::2], strict=True):
            with gr.Row():
                settings += [_setting(first, base), _setting(second, base)]
        apply_rates = gr.Button(label("apply_rates"), size="sm", elem_id="train-rates")
    return _Form(chosen, dataset, length, unit, name, settings, apply_rates)


def _setting(field: str, base: RunConfig) -> Any:
    allowed = allowed_values(field)
    if isinstance(allowed, Choice):
        return gr.Dropdown(
            list(allowed.options),
            value=getattr(base, field),
            label=label(field),
            info=label(f"{field}_info"),
            min_width=200,  # its words are longer than numbers, so it takes a line of its own
            elem_id=f"train-{field}",
        )
    info = label(f"{field}_info") if field in _EXPLAINED else str(allowed)
    return gr.Number(
        getattr(base, field),
        label=label(field),
        info=info,
        min_width=110,
        elem_id=f"train-{field.replace('_', '-')}",
    )


@dataclass(frozen=True)
class _Buttons:
    start: gr.Button
    pause: gr.Button
    resume: gr.Button
    step: gr.Button
    save: gr.Button
    stop: gr.Button


def _buttons() -> _Buttons:
    """All are there; the style shows those that fit the state (gan/ui/style.css), the Studio enforces it."""
    with gr.Row(elem_id="train-buttons"):
        return _Buttons(
            start=gr.Button(label("start"), variant="primary", elem_id="train-start"),
            pause=gr.Button(label("pause"), variant="primary", elem_id="train-pause"),
            resume=gr.Button(label("resume"), variant="primary", elem_id="train-resume"),
            step=gr.Button(label("step"), elem_id="train-step"),
            save=gr.Button(label("save"), elem_id="train-save"),
            stop=gr.Button(label("stop"), elem_id="train-stop"),
        )


def _status_html() -> str:
    offline = escape(f"{say('offline', 'en')}|{say('offline', 'zh')}")
    return f"""<div class="gan-status">
<p id="train-sentence" role="status" aria-live="polite" data-offline="{offline}">{in_both("idle")}</p>
<p id="train-watcher">{in_both("watcher_note")}</p>
<p id="train-whose" hidden><span></span> <button type="button"></button></p>
<p id="train-problem" role="alert" hidden></p>
<div id="train-bar" role="progressbar" aria-label="{escape(say("progress", "en"))}" aria-valuemin="0"
 aria-valuemax="100" aria-valuenow="0"><div></div></div>
<div id="train-facts" hidden></div>
<p id="train-diagnosis"></p></div>"""


def _grid_html() -> str:
    image = _image(SHOWCASE_ADDRESS, "grid_alt")
    idle = panel("grid_title_idle", "grid_note_idle", "")
    live = panel("grid_title", "grid_note", "")
    return f"""<div class="if-idle">{idle}</div><div class="if-live">{live}</div>
<div class="gan-panel gan-digits">{image}</div>"""


def _real_html() -> str:
    image = _image(real_address("mnist", GRID_COLUMNS), "real_alt")
    return panel("real_title", "", f'<div class="gan-digits">{image}</div>')


def _coverage_html() -> str:
    bars = "".join(f"<li><i></i><b>{digit}</b></li>" for digit in range(10))
    return panel("coverage_title", "", f'<ol class="gan-coverage">{bars}</ol>')


def _plot_html(which: str, note: str = "") -> str:
    image = f'<img alt="{escape(say(f"{which}_alt", "en"))}">'
    body = f'{image}<p class="if-empty">{in_both(f"{which}_empty")}</p>'
    return f"<div data-panel>{panel(f'{which}_title', note, body)}</div>"


def _image(address: str, alt: str) -> str:
    return f'<img src="{address}" alt="{escape(say(alt, "en"))}">'


# -- events --------------------------------------------------------------------------------------------------


def config_of(values: tuple[Any, ...]) -> RunConfig:
    """The settings that the form's values (recipe, dataset, length, unit, then the numbers) describe.

    Raises:
        ConfigError: names the field, its value and what is allowed.
    """
    chosen, dataset, length, unit, *numbers = values
    changes = dict(zip(_SETTINGS, map(number, numbers), strict=True))
    return recipe(chosen).with_changes(dataset=dataset, length=number(length), unit=unit, **changes)


class _Commands:
    """What the buttons do. Every command is for the run that the guest watches."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    def start(self, chosen: Any, dataset: Any, length: Any, unit: Any, name: Any, *rest: Any) -> Any:
        *settings, guest = rest
        config = config_of((chosen, dataset, length, unit, *settings))
        run = self._studio.start(config, name or "", guest.visitor)
        return run_list.run_choices(self._studio, None, guest, choose=run)

    def resume(self, chosen: str | None, length: Any, unit: str, guest: Guest) -> Any:
        now = self._studio.watched(guest.watching, guest.visitor)
        goes_on = (
            now and now.status is Status.PAUSED and self._studio.access.may_change(guest.visitor, now.owner)
        )
        run = now.run if now and goes_on else run_list.chosen_run(chosen, guest)
        more = RunConfig(length=number(length), unit=unit)
        self._studio.resume(run, more.length, more.unit, guest.visitor)
        return run_list.run_choices(self._studio, None, guest, choose=run)

    def start_from_weights(self, chosen: str | None, length: Any, unit: str, name: str, guest: Guest) -> Any:
        source = run_list.chosen_run(chosen, guest)
        run = self._studio.start_from_weights(source, number(length), unit, name or "", guest.visitor)
        return run_list.run_choices(self._studio, None, guest, choose=run)

    def pause(self, guest: Guest) -> None:
        self._studio.pause(guest.watching, guest.visitor)

    def stop(self, guest: Guest) -> None:
        self._studio.stop(guest.watching, guest.visitor)

    def step(self, guest: Guest) -> None:
        self._studio.step(guest.watching, guest.visitor)

    def save(self, guest: Guest) -> None:
        self._studio.save(guest.watching, guest.visitor)
        gr.Info(say("save_note", guest.language), duration=3, title=say("save", guest.language))

    def apply_rates(self, lr_g: Any, lr_d: Any, guest: Guest) -> None:
        self._studio.set_learning_rates(number(lr_g), number(lr_d), guest.watching, guest.visitor)
        rates = say("rates_note", guest.language, lr_g=f"{lr_g:g}", lr_d=f"{lr_d:g}")
        gr.Info(rates, duration=4, title=say("settings", guest.language))

    def apply_suggestion(self, guest: Guest) -> Any:
        now = self._studio.watched(guest.watching, guest.visitor)
        found = diagnose(now.config, now.history, now.looks) if now else None
        if found is None or found.suggestion is None:  # the run has recovered by itself
            return gr.skip(), gr.skip()
        self.apply_rates(*found.suggestion, guest)
        return found.suggestion


def _fill(chosen: str) -> list[Any]:
    """The recipe's settings, for the form."""
    return [getattr(recipe(chosen), field) for field in _SETTINGS]


def _connect(
    studio: Studio, reception: Reception, form: _Form, buttons: _Buttons, runs: RunList, suggestion: gr.Button
) -> list[Any]:
    do, on = _Commands(studio), reception.command
    lr_g, lr_d = (form.settings[_SETTINGS.index(name)] for name in ("lr_g", "lr_d"))
    weights = [runs.list, form.length, form.unit, form.name]
    started = [
        on(buttons.start.click, do.start, form.inputs, runs.list),
        on(runs.from_weights.click, do.start_from_weights, weights, runs.list),
        on(buttons.resume.click, do.resume, [runs.list, form.length, form.unit], runs.list),
    ]
    on(buttons.pause.click, do.pause)
    on(buttons.stop.click, do.stop)
    on(buttons.step.click, do.step, trigger_mode="multiple")  # every click is a step
    on(buttons.save.click, do.save)
    on(form.apply_rates.click, do.apply_rates, [lr_g, lr_d])
    on(suggestion.click, do.apply_suggestion, [], [lr_g, lr_d])
    form.recipe.input(_fill, form.recipe, form.settings, **QUIET)
    run_list.connect(studio, reception, runs)
    return started
