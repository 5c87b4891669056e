"""Assembles the page: header, tabs, and what connects them."""

from typing import Any

import gradio as gr

from gan.studio import LIVE, Studio
from gan.ui import run_list, sample_tab, timeline_tab, train_tab
from gan.ui.desk import Desk
from gan.ui.endpoints import add_endpoints
from gan.ui.live import PictureStore
from gan.ui.parts import label
from gan.ui.reception import QUIET, Guest, Reception, spoken
from gan.ui.text import in_both, language_of, say

_CACHE = (3600, 3600)  # seconds: how often uploads and /sample pictures are looked at, and how long they live

_HEADER = f"""<header class="gan-header">
<h1>{say("title", "en")}</h1><p>{in_both("subtitle")}</p>
<nav><a class="if-shared" href="?view=projector">{in_both("projector")}</a><a
 class="in-projector" href="?">{in_both("projector_leave")}</a> <a href="?lang=en" hreflang="en"
 lang="en">{say("language_name", "en")}</a>|<a
 href="?lang=zh" hreflang="zh" lang="zh">{say("language_name", "zh")}</a></nav></header>"""


def build_page(studio: Studio, reception: Reception, pictures: PictureStore, desk: Desk) -> gr.Blocks:
    """The whole page over one Studio, with its endpoints; layout and events only."""
    with gr.Blocks(title=say("title", "en"), analytics_enabled=False, delete_cache=_CACHE) as page:
        reception.add_inputs()
        gr.HTML(_HEADER, elem_id="header")
        welcomed = gr.JSON(visible=False)
        welcomed.change(None, welcomed, js="(welcome) => window.ganWelcome(welcome)")
        if studio.settings.presenter_key:
            _add_presenter(reception, welcomed)
        with gr.Tabs():
            with gr.Tab(label("tab_train"), id="train", elem_id="tab-train"):
                train = train_tab.build(studio, reception)
            with gr.Tab(label("tab_sample"), id="sample", elem_id="tab-sample", render_children=True) as tab:
                sampling = sample_tab.build(studio, pictures, reception)
            with gr.Tab(label("tab_timeline"), id="timeline", elem_id="tab-timeline") as past_tab:
                past = timeline_tab.build()
        add_endpoints(studio, reception, desk)
        timeline_tab.show_on(past_tab, past)
        tab.select(None, js=sample_tab.DRAW_SOON)
        _connect(page, studio, reception, welcomed, train, sampling, past)
    return page


def _add_presenter(reception: Reception, welcomed: gr.JSON) -> None:
    """A folded box for the presenter's key, shown to everybody who has not typed it yet."""
    with gr.Accordion(label("presenter"), open=False, elem_id="presenter"), gr.Row():
        key = gr.Textbox(
            label=label("presenter_key"), type="password", max_length=200, elem_id="presenter-key"
        )
        enter = gr.Button(label("presenter_enter"), elem_id="presenter-enter")

    def present(key: str, _watching: str, token: str, language: str, request: gr.Request) -> Any:
        return spoken(lambda: (reception.present(key, token, request), ""), language_of(language))

    for event in (enter.click, key.submit):
        event(present, [key, *reception.inputs], [welcomed, key], js=Reception.ASKING, **QUIET)


def _connect(
    page: gr.Blocks,
    studio: Studio,
    reception: Reception,
    welcomed: gr.JSON,
    train: train_tab.TrainTab,
    sampling: sample_tab.SampleTab,
    past: timeline_tab.TimelineTab,
) -> None:
    def refresh(chosen_run: str | None, chosen_source: str, chosen_past: str | None, guest: Guest) -> Any:
        return (
            run_list.run_choices(studio, chosen_run, guest),
            sample_tab.source_choices(studio, chosen_source, guest),
            timeline_tab.timeline_choices(studio, chosen_past, guest),
            *run_list.about(studio, chosen_run, guest),
        )

    lists = [train.runs.list, sampling.source, past.run]
    outputs = [*lists, train.runs.links, train.runs.rights]
    # The last change counts also where it comes while an earlier one is being fetched.
    refreshed = reception.connect(
        train.status.runs_changed, refresh, lists, outputs, trigger_mode="always_last"
    )
    for event in (refreshed.then, train.status.watched_changed):
        event(None, train.runs.list, train.runs.list, js="(run) => window.ganListed(run)")

    # Whoever has not chosen what to sample wants to see what has just begun to write.
    train.status.digits_began(None, sampling.source, sampling.source, js=sample_tab.LIVE_UNLESS_CHOSEN)

    def turn_to(run: str, guest: Guest) -> Any:
        """Whoever starts a run wants to see its digits."""
        return LIVE, timeline_tab.timeline_choices(studio, None, guest, choose=run)

    for started in train.started:
        started.success(None, js="() => window.ganChoose('')")
        reception.connect(started.success, turn_to, [train.runs.list], [sampling.source, past.run])

    def arrive(
        run: Any, source: Any, shown: Any, watching: str, token: str, language: str, request: gr.Request
    ) -> Any:
        def work() -> Any:
            welcome = reception.welcome(token, request)
            guest = reception.guest(watching, welcome["token"], language)
            return welcome, *refresh(run, source, shown, guest)

        return spoken(work, language_of(language))

    page.load(arrive, [*lists, *reception.inputs], [welcomed, *outputs], js=Reception.ASKING, **QUIET).then(
        None, sampling.inputs, js=sample_tab.DRAW
    )
