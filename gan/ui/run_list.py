"""The saved runs on the Train tab: the list, its downloads, and what may be done with a run."""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from gan.listing import Listed
from gan.snapshot import Status
from gan.studio import Studio
from gan.ui.downloads import DOWNLOADS, download_address
from gan.ui.parts import label
from gan.ui.reception import Guest, Reception
from gan.ui.text import say


@dataclass(frozen=True)
class RunList:
    """The list and what stands below it."""

    list: gr.Radio
    links: gr.HTML
    rights: gr.JSON  # what the visitor may do with the chosen run; gan/ui/language.js shows it
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


def build() -> RunList:
    """Lay out the list inside the current Blocks."""
    listed = gr.Radio([], label=label("runs"), info=label("runs_info"), elem_id="train-runs")
    links = gr.HTML("", elem_id="train-downloads")
    rights = gr.JSON(visible=False)
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
    return RunList(
        listed,
        links,
        rights,
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
    own = [run.name for run in runs if run.active and studio.access.owns(guest.visitor, run.owner)]
    return gr.Radio(choices=choices, value=next(iter([choose] if choose else own + names), None))


def download_links(studio: Studio, run: Listed | None, guest: Guest) -> str:
    """HTML links to everything that can be downloaded of a saved run."""
    language = guest.language
    summary = run.saved.summary if run and run.saved else None
    if run is None or summary is None:
        return ""
    words = {
        "checkpoint.safetensors": say("download_checkpoint", language),
        "losses.png": say("download_losses", language),
        "scores.png": say("download_scores", language),
        "quality.png": say("download_quality", language),
        "timeline.gif": say("download_film", language),
    }
    there = {
        "loss.txt": summary.kind == "full" and summary.epochs >= 1,
        "history.csv": summary.kind == "full",
        "quality.png": summary.looks > 0,
        "timeline.gif": bool(studio.timeline(run.name).steps()),
    }
    files = [file for file in DOWNLOADS if there.get(file, True)]
    links = "".join(
        f'<a href="{download_address(run.name, file)}" download>{escape(words.get(file, file))}</a>'
        for file in files
    )
    return f'<p class="gan-links"><span>{escape(say("downloads", language, name=run.name))}</span>{links}</p>'


def about(studio: Studio, chosen: str | None, guest: Guest) -> tuple[str, dict[str, bool]]:
    """What goes with the chosen run: its downloads, and what the guest may do with it."""
    run = next((run for run in studio.runs() if run.name == chosen), None)
    return download_links(studio, run, guest), rights(studio, run, guest)


def rights(studio: Studio, run: Listed | None, guest: Guest) -> dict[str, bool]:
    """Whether the guest may resume a run, and whether they may rename or delete it."""
    if run is None or run.saved is None or run.active or run.saved.bundled:
        return {"resume": False, "change": False}
    change = studio.access.may_change(guest.visitor, run.owner)
    full = run.saved.summary is not None and run.saved.summary.kind == "full"
    return {"resume": change and full and studio.access.may_train(guest.visitor), "change": change}


def connect(studio: Studio, reception: Reception, runs: RunList) -> None:
    """Connect the events of the list and of what stands below it."""

    def rename(chosen: str | None, new_name: str, guest: Guest) -> Any:
        name = studio.rename(chosen_run(chosen, guest), new_name, guest.visitor)
        return run_choices(studio, None, guest, choose=name), ""

    def ask(chosen: str | None, guest: Guest) -> Any:
        name = chosen_run(chosen, guest)
        return gr.Column(visible=True), say("delete_question", guest.language, name=f"**{name}**"), name

    def keep(_guest: Guest) -> Any:
        return gr.Column(visible=False)

    def delete(asked: str, guest: Guest) -> Any:
        studio.delete(asked, guest.visitor)
        return gr.Column(visible=False), run_choices(studio, None, guest)

    def upload(path: str, guest: Guest) -> Any:
        name = studio.take_in(Path(path), visitor=guest.visitor)
        gr.Info(say("upload_note", guest.language, run=name), duration=6, title=say("upload", guest.language))
        return run_choices(studio, None, guest, choose=name)

    def choose(chosen: str | None, guest: Guest) -> Any:
        return about(studio, chosen, guest)

    on = reception.command
    on(runs.rename.click, rename, [runs.list, runs.new_name], [runs.list, runs.new_name])
    on(runs.delete.click, ask, [runs.list], [runs.question, runs.question_text, runs.asked])
    on(runs.delete_yes.click, delete, [runs.asked], [runs.question, runs.list])
    on(runs.delete_no.click, keep, [], runs.question)
    on(runs.upload.upload, upload, [runs.upload], runs.list)
    # Which run is looked at is the page's own affair; what goes with it is the server's.
    runs.list.input(None, runs.list, js="(run) => window.ganChoose(run)")
    reception.connect(runs.list.change, choose, [runs.list], [runs.links, runs.rights])
    runs.rights.change(None, runs.rights, js="(rights) => window.ganRights(rights)")


def chosen_run(name: str | None, guest: Guest) -> str:
    """The run chosen in the list; without one, a sentence asks for it."""
    if not name:
        language = guest.language
        raise gr.Error(say("choose_run", language), title=say("error_title", language), print_exception=False)
    return name
