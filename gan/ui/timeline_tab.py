"""The Timeline tab: scrub through what a run has learned; gan/ui/timeline.js does it in the browser."""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from gan.studio import Studio
from gan.ui.parts import label, panel
from gan.ui.reception import Guest
from gan.ui.run_list import run_line
from gan.ui.text import LANGUAGES, in_both, say

_SHOW = "(run) => window.ganTimelineSoon && window.ganTimelineSoon(run)"


@dataclass(frozen=True)
class TimelineTab:
    """What the rest of the page connects to."""

    run: gr.Dropdown


def build() -> TimelineTab:
    """Lay out the tab inside the current Blocks and connect its events."""
    run = gr.Dropdown([], label=label("timeline_run"), elem_id="timeline-run")
    script = (Path(__file__).parent / "timeline.js").read_text()
    gr.HTML(_html(), elem_id="timeline", js_on_load=script)
    run.change(None, run, js=_SHOW)
    return TimelineTab(run)


def show_on(tab: gr.Tab, timeline: TimelineTab) -> None:
    """Show what the run has by now whenever the tab is opened."""
    tab.select(None, timeline.run, js=_SHOW)


def timeline_choices(studio: Studio, chosen: str | None, guest: Guest, choose: str | None = None) -> Any:
    """An update of the menu of runs with pictures of their past.

    It changes the choice only to `choose`, or where the choice is gone.
    """
    runs = [run for run in studio.runs() if run.snapshot or studio.timeline(run.name).steps()]
    names = [run.name for run in runs]
    choices = [(run_line(run, guest, studio.settings.shared), run.name) for run in runs]
    if choose is None and chosen in names:
        return gr.Dropdown(choices=choices)
    return gr.Dropdown(choices=choices, value=choose or (names[0] if names else None))


def _html() -> str:
    words = "".join(  # the script fills in the step
        f' data-step-{name}="{escape(say("timeline_step", name, step="{step}"))}"' for name in LANGUAGES
    )
    play, slider, digits, losses = (
        escape(say(key, "en")) for key in ("timeline_play", "timeline_slider", "grid_alt", "loss_alt")
    )
    plot = f'<div class="gan-cursor"><img alt="{losses}"><i></i></div>'
    return f"""<div class="gan-timeline" data-nothing>
<p class="gan-note if-nothing">{in_both("timeline_empty")}</p>
<div class="gan-scrubber"><button type="button" class="play" aria-label="{play}">▶</button>
<input type="range" min="0" max="0" value="0" aria-label="{slider}"><output{words}></output></div>
<div class="gan-scenes">
<div class="gan-panel gan-digits"><img class="scene" alt="{digits}"></div>
<div>{panel("loss_title", "timeline_note", plot)}
<p class="gan-links"><a class="gif" download>{in_both("timeline_gif")}</a></p></div></div></div>"""
