"""Assembles the page: header, tabs, and what connects them."""

from typing import Any

import gradio as gr

from gan.studio import LIVE, Studio
from gan.ui import sample_tab, timeline_tab, train_tab
from gan.ui.endpoints import add_endpoints
from gan.ui.live import PictureStore
from gan.ui.parts import label, speaking
from gan.ui.text import in_both, language_of, say

_CACHE = (3600, 3600)  # seconds: how often uploads and /sample pictures are looked at, and how long they live

_HEADER = f"""<header class="gan-header">
<h1>{say("title", "en")}</h1><p>{in_both("subtitle")}</p>
<nav><a href="?lang=en" hreflang="en" lang="en">{say("language_name", "en")}</a>|<a
 href="?lang=zh" hreflang="zh" lang="zh">{say("language_name", "zh")}</a></nav></header>"""


def build_page(studio: Studio, pictures: PictureStore) -> gr.Blocks:
    """The whole page over one Studio, with its endpoints; layout and events only."""
    with gr.Blocks(title=say("title", "en"), analytics_enabled=False, delete_cache=_CACHE) as page:
        language = gr.Textbox("en", visible=False)  # filled by the browser, read by every handler
        gr.HTML(_HEADER, elem_id="header")
        with gr.Tabs():
            with gr.Tab(label("tab_train"), id="train", elem_id="tab-train"):
                train = train_tab.build(studio, language)
            with gr.Tab(label("tab_sample"), id="sample", elem_id="tab-sample", render_children=True) as tab:
                sampling = sample_tab.build(studio, pictures, language)
            with gr.Tab(label("tab_timeline"), id="timeline", elem_id="tab-timeline") as past_tab:
                past = timeline_tab.build()
        add_endpoints(studio)
        timeline_tab.show_on(past_tab, past)
        _connect(page, studio, language, train, sampling, tab, past)
    return page


def _connect(
    page: gr.Blocks,
    studio: Studio,
    language: gr.Textbox,
    train: train_tab.TrainTab,
    sampling: sample_tab.SampleTab,
    sample_shown: gr.Tab,
    past: timeline_tab.TimelineTab,
) -> None:
    quiet: dict[str, Any] = {
        "show_progress": "hidden",
        "api_visibility": "private",
        "concurrency_limit": None,
    }

    def refresh(chosen_run: str | None, chosen_source: str, chosen_past: str | None, language: str) -> Any:
        return (
            train_tab.run_choices(studio, chosen_run, language),
            sample_tab.source_choices(studio, chosen_source, language),
            timeline_tab.timeline_choices(studio, chosen_past, language),
            train_tab.download_links(studio, chosen_run, language),
        )

    lists = [train.runs, sampling.source, past.run]
    outputs = [*lists, train.links]
    train.status.runs_changed(speaking(refresh), [*lists, language], outputs, **quiet)

    def turn_to(run: str, language: str) -> Any:
        """Whoever starts a run wants to see its digits."""
        return LIVE, timeline_tab.timeline_choices(studio, None, language, choose=run)

    for started in train.started:
        started.success(speaking(turn_to), [train.runs, language], [sampling.source, past.run], **quiet)

    def follow(following: bool, source: str, *rest: Any) -> Any:
        if not following or source != LIVE:
            return [gr.skip(), gr.skip()]
        return sampling.show(source, *rest)

    train.status.live_moved(
        speaking(follow),
        [sampling.follow, *sampling.inputs],
        sampling.outputs,
        js=sample_tab.IF_LOOKING,
        **sampling.drawing,
    )

    # While the tab was hidden nothing was drawn for it, and the run may have ended since.
    sample_shown.select(None, js="() => window.ganSampleSoon && window.ganSampleSoon()").then(
        speaking(follow), [sampling.follow, *sampling.inputs], sampling.outputs, **sampling.drawing
    )

    def arrive(wanted: str, chosen_run: str | None, chosen_source: str, chosen_past: str | None) -> Any:
        language = language_of(wanted)
        return language, *refresh(chosen_run, chosen_source, chosen_past, language)

    page.load(
        lambda wanted, *rest: speaking(lambda *chosen: arrive(wanted, *chosen[:-1]))(
            *rest, language_of(wanted)
        ),
        [language, *lists],
        [language, *outputs],
        js="(_, ...rest) => [document.documentElement.dataset.language, ...rest]",
        **quiet,
    ).then(sampling.show, sampling.inputs, sampling.outputs, **quiet)
