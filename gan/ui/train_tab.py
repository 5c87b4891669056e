"""The Train tab: what to train, the buttons, and the live part that gan/ui/live.js keeps fresh."""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from gan.config import DEFAULT_RECIPE, DEFAULT_SECONDS, RECIPES, Choice, RunConfig, allowed_values, recipe
from gan.diagnosis import diagnose
from gan.judge import report
from gan.studio import Listed, Studio
from gan.ui.live import GRID_COLUMNS, SHOWCASE_ADDRESS, real_address
from gan.ui.parts import label, number, panel, speaking, unchecked
from gan.ui.routes import DOWNLOADS, download_address
from gan.ui.text import in_both, say

_SETTINGS = (
    "loss", "r1", "label_smoothing", "decay", "latent_dim", "batch_size",
    "lr_g", "lr_d", "beta1", "beta2", "ema", "seed",
)  # fmt: skip
_EXPLAINED = ("decay", "ema", "label_smoothing", "r1")  # by more than their range
_ASK = "() => window.ganAsk && window.ganAsk()"  # look at once instead of at the next poll


@dataclass(frozen=True)
class TrainTab:
    """What the rest of the page connects to."""

    status: gr.HTML  # fires runs_changed and live_moved
    runs: gr.Radio
    links: gr.HTML
    started: list[Any]  # the events after which a new run trains; .success connects to them


def build(studio: Studio, language: gr.Textbox) -> TrainTab:
    """Lay out the tab inside the current Blocks and connect its events."""
    with gr.Row(elem_id="train-layout"):
        status = gr.HTML(
            _status_html(), elem_id="train-status", js_on_load=(Path(__file__).parent / "live.js").read_text()
        )
        with gr.Column(elem_id="train-controls"):
            form = _form()
            buttons = _buttons()
            suggestion = gr.Button(" ", size="sm", elem_id="train-suggestion")  # live.js says what it does
            runs = _runs()
        with gr.Column(elem_id="train-digits"):
            gr.HTML(_grid_html(), elem_id="train-grid")
            gr.HTML(_real_html(), elem_id="train-real")
            gr.HTML(_coverage_html(), elem_id="train-coverage")
        with gr.Column(elem_id="train-plots"):
            gr.HTML(_plot_html("loss"), elem_id="train-loss-plot")
            gr.HTML(_plot_html("score"), elem_id="train-score-plot")
            gr.HTML(_plot_html("quality", "quality_note"), elem_id="train-quality-plot")
    started = _connect(studio, language, form, buttons, runs, suggestion)
    return TrainTab(status, runs.list, runs.links, started)


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
            label=label("run_name"), info=label("run_name_info"), max_length=80, elem_id="train-name"
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
            min_width=110,
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


# -- saved runs ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Runs:
    list: gr.Radio
    links: gr.HTML
    new_name: gr.Textbox
    rename: gr.Button
    delete: gr.Button
    question: gr.Column
    asked: gr.State  # the run that the question names
    question_text: gr.Markdown
    delete_yes: gr.Button
    delete_no: gr.Button
    from_weights: gr.Button
    upload: gr.UploadButton


def _runs() -> _Runs:
    listed = unchecked(gr.Radio([], label=label("runs"), info=label("runs_info"), elem_id="train-runs"))
    links = gr.HTML("", elem_id="train-downloads")
    with gr.Accordion(label("manage"), open=False, elem_id="train-manage"):
        with gr.Column():
            new_name = gr.Textbox(label=label("new_name"), max_length=80, elem_id="train-new-name")
            with gr.Row():
                rename = gr.Button(label("rename"), size="sm", min_width=80, elem_id="train-rename")
                delete = gr.Button(label("delete"), size="sm", min_width=80, elem_id="train-delete")
            with gr.Column(visible=False, elem_id="train-delete-question") as question:
                question_text, asked = gr.Markdown(""), gr.State("")
                with gr.Row():
                    delete_yes = gr.Button(
                        label("delete_yes"),
                        variant="stop",
                        size="sm",
                        min_width=80,
                        elem_id="train-delete-yes",
                    )
                    delete_no = gr.Button(
                        label("delete_no"), size="sm", min_width=80, elem_id="train-delete-no"
                    )
            from_weights = gr.Button(label("from_weights"), size="sm", elem_id="train-from-weights")
        upload = gr.UploadButton(
            label("upload"), file_types=[".safetensors"], size="sm", elem_id="train-upload"
        )
    return _Runs(
        listed,
        links,
        new_name,
        rename,
        delete,
        question,
        asked,
        question_text,
        delete_yes,
        delete_no,
        from_weights,
        upload,
    )


def run_line(run: Listed, language: str) -> str:
    """A run as one line of the list."""
    summary = run.saved.summary if run.saved else None
    if run.saved is None:
        line = say("run_line_new", language, name=run.name)
    elif run.saved.bundled:
        line = say("run_line_bundled", language, name=run.name)
    elif summary is None:
        line = say("run_line_broken", language, name=run.name)
    else:
        percent = round(100 * summary.progress)
        line = say(
            "run_line",
            language,
            name=run.name,
            recipe=summary.config.recipe,
            steps=summary.steps,
            percent=percent,
        )
        if summary.kind == "slim":
            line = say("run_line_slim", language, line=line)
    if run.snapshot and run.snapshot.status.active:
        line = say("run_line_active", language, line=line)
    return line


def run_choices(studio: Studio, chosen: str | None, language: str, choose: str | None = None) -> Any:
    """An update of the list of runs; it changes the choice only to `choose`, or where the choice is gone."""
    runs = studio.runs()
    names = [run.name for run in runs]
    choices = [(run_line(run, language), run.name) for run in runs]
    if choose is None and chosen in names:
        return gr.Radio(choices=choices)  # without a value, which a click may have changed meanwhile
    return gr.Radio(choices=choices, value=choose or (names[0] if names else None))


def download_links(studio: Studio, run: str | None, language: str) -> str:
    """HTML links to everything that can be downloaded of a saved run."""
    saved = next((listed.saved for listed in studio.runs() if listed.name == run), None)
    if run is None or saved is None or saved.summary is None:
        return ""
    words = {
        "checkpoint.safetensors": say("download_checkpoint", language),
        "losses.png": say("download_losses", language),
        "scores.png": say("download_scores", language),
        "quality.png": say("download_quality", language),
        "timeline.gif": say("download_film", language),
    }
    there = {
        "loss.txt": saved.summary.kind == "full" and saved.summary.epochs >= 1,
        "history.csv": saved.summary.kind == "full",
        "quality.png": saved.summary.config.dataset == report.DATASET,
        "timeline.gif": bool(studio.timeline(run).steps()),
    }
    files = [file for file in DOWNLOADS if there.get(file, True)]
    links = "".join(
        f'<a href="{download_address(run, file)}" download>{escape(words.get(file, file))}</a>'
        for file in files
    )
    return f'<p class="gan-links"><span>{escape(say("downloads", language, name=run))}</span>{links}</p>'


# -- events --------------------------------------------------------------------------------------------------


def config_of(values: tuple[Any, ...]) -> RunConfig:
    """The settings that the form's values (recipe, dataset, length, unit, then the numbers) describe.

    Raises:
        ConfigError: names the field, its value and what is allowed.
    """
    chosen, dataset, length, unit, *numbers = values
    changes = dict(zip(_SETTINGS, map(number, numbers), strict=True))
    return recipe(chosen).with_changes(dataset=dataset, length=number(length), unit=unit, **changes)


def _connect(
    studio: Studio, language: gr.Textbox, form: _Form, buttons: _Buttons, runs: _Runs, suggestion: gr.Button
) -> list[Any]:
    def start_run(chosen: Any, dataset: Any, length: Any, unit: Any, name: Any, *rest: Any) -> Any:
        run = studio.start(config_of((chosen, dataset, length, unit, *rest[:-1])), name or "")
        return run_choices(studio, None, rest[-1], choose=run)

    def resume_run(chosen: str | None, length: Any, unit: str, language: str) -> None:
        active = studio.snapshot
        if active and active.status.active:
            studio.resume()
            return
        more = RunConfig(length=number(length), unit=unit)
        studio.resume(_chosen(chosen, language), more.length, more.unit)

    def from_weights(chosen: str | None, length: Any, unit: str, name: str, language: str) -> Any:
        run = studio.start_from_weights(_chosen(chosen, language), number(length), unit, name or "")
        return run_choices(studio, None, language, choose=run)

    def fill(chosen: str) -> list[Any]:
        return [getattr(recipe(chosen), field) for field in _SETTINGS]

    command: dict[str, Any] = {
        "show_progress": "hidden",
        "concurrency_limit": None,
        "api_visibility": "private",
    }

    def on(button: Any, handler: Any, inputs: list[Any], outputs: Any = None) -> Any:
        event = button.click(
            speaking(handler), [*inputs, language], outputs, trigger_mode=modes.get(button, "once"), **command
        )
        event.then(None, js=_ASK)
        return event

    modes = {buttons.step: "multiple"}  # every click is a step

    def save(language: str) -> None:
        studio.save()
        gr.Info(say("save_note", language), duration=3, title=say("save", language))

    def apply_rates(lr_g: Any, lr_d: Any, language: str) -> None:
        studio.set_learning_rates(number(lr_g), number(lr_d))
        rates = say("rates_note", language, lr_g=f"{lr_g:g}", lr_d=f"{lr_d:g}")
        gr.Info(rates, duration=4, title=say("settings", language))

    def apply_suggestion(language: str) -> Any:
        now = studio.snapshot
        found = diagnose(now.config, now.history, now.looks) if now else None
        if found is None or found.suggestion is None:  # the run has recovered by itself
            return gr.skip(), gr.skip()
        apply_rates(*found.suggestion, language)
        return found.suggestion

    lr_g, lr_d = (form.settings[_SETTINGS.index(name)] for name in ("lr_g", "lr_d"))
    started = [
        on(buttons.start, start_run, form.inputs, runs.list),
        on(runs.from_weights, from_weights, [runs.list, form.length, form.unit, form.name], runs.list),
    ]
    on(buttons.pause, lambda _: studio.pause(), [])
    on(buttons.resume, resume_run, [runs.list, form.length, form.unit])
    on(buttons.stop, lambda _: studio.stop(), [])
    on(buttons.step, lambda _: studio.step(), [])
    on(buttons.save, save, [])
    on(form.apply_rates, apply_rates, [lr_g, lr_d])
    on(suggestion, apply_suggestion, [], [lr_g, lr_d])
    form.recipe.input(fill, form.recipe, form.settings, **command)
    _connect_runs(studio, language, runs, command, on)
    return started


def _connect_runs(studio: Studio, language: gr.Textbox, runs: _Runs, command: Any, on: Any) -> None:
    def rename(chosen: str | None, new_name: str, language: str) -> Any:
        name = studio.rename(_chosen(chosen, language), new_name)
        return run_choices(studio, None, language, choose=name), ""

    def ask(chosen: str | None, language: str) -> Any:
        name = _chosen(chosen, language)
        return gr.Column(visible=True), say("delete_question", language, name=f"**{name}**"), name

    def delete(asked: str, language: str) -> Any:
        studio.delete(asked)
        return gr.Column(visible=False), run_choices(studio, None, language)

    def upload(path: str, language: str) -> Any:
        name = studio.take_in(Path(path))
        return run_choices(studio, None, language, choose=name)

    on(runs.rename, rename, [runs.list, runs.new_name], [runs.list, runs.new_name])
    on(runs.delete, ask, [runs.list], [runs.question, runs.question_text, runs.asked])
    on(runs.delete_yes, delete, [runs.asked], [runs.question, runs.list])
    on(runs.delete_no, lambda _: gr.Column(visible=False), [], runs.question)
    runs.upload.upload(speaking(upload), [runs.upload, language], runs.list, **command).then(None, js=_ASK)
    runs.list.change(
        speaking(lambda chosen, language: download_links(studio, chosen, language)),
        [runs.list, language],
        runs.links,
        **command,
    )


def _chosen(name: str | None, language: str) -> str:
    if not name:
        raise gr.Error(say("choose_run", language), title=say("error_title", language), print_exception=False)
    return name
