"""The Train tab: what to train, the buttons, and the live part that gan/ui/live.js keeps fresh."""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from gan.config import DEFAULT_RECIPE, DEFAULT_SECONDS, RECIPES, Choice, RunConfig, allowed_values, recipe
from gan.diagnosis import diagnose
from gan.judge import report
from gan.snapshot import Status
from gan.studio import Listed, Studio
from gan.ui.downloads import DOWNLOADS, download_address
from gan.ui.live import GRID_COLUMNS, SHOWCASE_ADDRESS, real_address
from gan.ui.parts import label, number, panel, unchecked
from gan.ui.reception import Guest, Reception
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

    status: gr.HTML  # fires runs_changed
    runs: gr.Radio
    links: gr.HTML
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
            runs = _runs()
        with gr.Column(elem_id="train-digits"):
            gr.HTML(_grid_html(), elem_id="train-grid")
            gr.HTML(_real_html(), elem_id="train-real")
            gr.HTML(_coverage_html(), elem_id="train-coverage")
        with gr.Column(elem_id="train-plots"):
            gr.HTML(_plot_html("loss"), elem_id="train-loss-plot")
            gr.HTML(_plot_html("score"), elem_id="train-score-plot")
            gr.HTML(_plot_html("quality", "quality_note"), elem_id="train-quality-plot")
    started = _connect(studio, reception, form, buttons, runs, suggestion)
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


def run_line(run: Listed, guest: Guest, shared: bool) -> str:
    """A run as one line of the list."""
    language = guest.language
    summary = run.saved.summary if run.saved else None
    if run.active:
        line = say("run_line_active", language, name=run.name, status=_status_word(run, language))
    elif run.saved is None:
        line = run.name
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
    if shared and run.owner == guest.visitor.id:
        line = say("run_line_yours", language, line=line)
    return line


def _status_word(run: Listed, language: str) -> str:
    waits = run.snapshot is not None and run.snapshot.status is Status.WAITING
    return say("run_waits" if waits else "run_live", language)


def run_choices(studio: Studio, chosen: str | None, guest: Guest, choose: str | None = None) -> Any:
    """An update of the list of runs; it changes the choice only to `choose`, or where the choice is gone."""
    runs = studio.runs()
    names = [run.name for run in runs]
    choices = [(run_line(run, guest, studio.settings.shared), run.name) for run in runs]
    if choose is None and chosen in names:
        return gr.Radio(choices=choices)  # without a value, which a click may have changed meanwhile
    own = [run.name for run in runs if run.active and studio.owns(guest.visitor, run.owner)]
    return gr.Radio(choices=choices, value=next(iter([choose] if choose else own + names), None))


def download_links(studio: Studio, run: str | None, guest: Guest) -> str:
    """HTML links to everything that can be downloaded of a saved run."""
    language = guest.language
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
    studio: Studio, reception: Reception, form: _Form, buttons: _Buttons, runs: _Runs, suggestion: gr.Button
) -> list[Any]:
    def start_run(chosen: Any, dataset: Any, length: Any, unit: Any, name: Any, *rest: Any) -> Any:
        *settings, guest = rest
        run = studio.start(config_of((chosen, dataset, length, unit, *settings)), name or "", guest.visitor)
        return run_choices(studio, None, guest, choose=run)

    def resume_run(chosen: str | None, length: Any, unit: str, guest: Guest) -> Any:
        now = studio.watched(guest.watching, guest.visitor)
        goes_on = now is not None and now.status is Status.PAUSED and studio.owns(guest.visitor, now.owner)
        run = now.run if now is not None and goes_on else _chosen(chosen, guest)
        more = RunConfig(length=number(length), unit=unit)
        studio.resume(run, more.length, more.unit, guest.visitor)
        return run_choices(studio, None, guest, choose=run)

    def from_weights(chosen: str | None, length: Any, unit: str, name: str, guest: Guest) -> Any:
        source = _chosen(chosen, guest)
        run = studio.start_from_weights(source, number(length), unit, name or "", guest.visitor)
        return run_choices(studio, None, guest, choose=run)

    def fill(chosen: str) -> list[Any]:
        return [getattr(recipe(chosen), field) for field in _SETTINGS]

    command: dict[str, Any] = {
        "show_progress": "hidden",
        "concurrency_limit": None,
        "api_visibility": "private",
    }

    def on(button: Any, handler: Any, inputs: list[Any], outputs: Any = None) -> Any:
        event = button.click(
            reception.speaking(handler),
            [*inputs, *reception.inputs],
            outputs,
            js=Reception.ASKING,
            trigger_mode=modes.get(button, "once"),
            **command,
        )
        event.then(None, js=_ASK)
        return event

    modes = {buttons.step: "multiple"}  # every click is a step

    def order(name: str) -> Any:
        """A handler that gives the run being watched one of the Studio's orders."""

        def give(guest: Guest) -> None:
            getattr(studio, name)(guest.watching, guest.visitor)

        return give

    def save(guest: Guest) -> None:
        studio.save(guest.watching, guest.visitor)
        gr.Info(say("save_note", guest.language), duration=3, title=say("save", guest.language))

    def apply_rates(lr_g: Any, lr_d: Any, guest: Guest) -> None:
        studio.set_learning_rates(number(lr_g), number(lr_d), guest.watching, guest.visitor)
        rates = say("rates_note", guest.language, lr_g=f"{lr_g:g}", lr_d=f"{lr_d:g}")
        gr.Info(rates, duration=4, title=say("settings", guest.language))

    def apply_suggestion(guest: Guest) -> Any:
        now = studio.watched(guest.watching, guest.visitor)
        found = diagnose(now.config, now.history, now.looks) if now else None
        if found is None or found.suggestion is None:  # the run has recovered by itself
            return gr.skip(), gr.skip()
        apply_rates(*found.suggestion, guest)
        return found.suggestion

    lr_g, lr_d = (form.settings[_SETTINGS.index(name)] for name in ("lr_g", "lr_d"))
    started = [
        on(buttons.start, start_run, form.inputs, runs.list),
        on(runs.from_weights, from_weights, [runs.list, form.length, form.unit, form.name], runs.list),
        on(buttons.resume, resume_run, [runs.list, form.length, form.unit], runs.list),
    ]
    on(buttons.pause, order("pause"), [])
    on(buttons.stop, order("stop"), [])
    on(buttons.step, order("step"), [])
    on(buttons.save, save, [])
    on(form.apply_rates, apply_rates, [lr_g, lr_d])
    on(suggestion, apply_suggestion, [], [lr_g, lr_d])
    form.recipe.input(fill, form.recipe, form.settings, **command)
    _connect_runs(studio, reception, runs, command, on)
    return started


def _connect_runs(studio: Studio, reception: Reception, runs: _Runs, command: Any, on: Any) -> None:
    def rename(chosen: str | None, new_name: str, guest: Guest) -> Any:
        name = studio.rename(_chosen(chosen, guest), new_name, guest.visitor)
        return run_choices(studio, None, guest, choose=name), ""

    def ask(chosen: str | None, guest: Guest) -> Any:
        name = _chosen(chosen, guest)
        return gr.Column(visible=True), say("delete_question", guest.language, name=f"**{name}**"), name

    def delete(asked: str, guest: Guest) -> Any:
        studio.delete(asked, guest.visitor)
        return gr.Column(visible=False), run_choices(studio, None, guest)

    def upload(path: str, guest: Guest) -> Any:
        name = studio.take_in(Path(path), visitor=guest.visitor)
        return run_choices(studio, None, guest, choose=name)

    on(runs.rename, rename, [runs.list, runs.new_name], [runs.list, runs.new_name])
    on(runs.delete, ask, [runs.list], [runs.question, runs.question_text, runs.asked])
    on(runs.delete_yes, delete, [runs.asked], [runs.question, runs.list])
    on(runs.delete_no, lambda _: gr.Column(visible=False), [], runs.question)
    runs.upload.upload(
        reception.speaking(upload),
        [runs.upload, *reception.inputs],
        runs.list,
        js=Reception.ASKING,
        **command,
    ).then(None, js=_ASK)
    # Which run is looked at is the page's own affair; its downloads are the server's.
    runs.list.change(None, runs.list, js="(run) => window.ganChoose(run)")
    runs.list.change(
        reception.speaking(lambda chosen, guest: download_links(studio, chosen, guest)),
        [runs.list, *reception.inputs],
        runs.links,
        js=Reception.ASKING,
        **command,
    )


def _chosen(name: str | None, guest: Guest) -> str:
    if not name:
        language = guest.language
        raise gr.Error(say("choose_run", language), title=say("error_title", language), print_exception=False)
    return name
