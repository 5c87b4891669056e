"""Small pieces that the tabs are made of: translated labels and panels."""

from typing import Any

import gradio as gr

from gan.ui.text import LANGUAGES, TEXT, in_both

_PREFIX = "gan_"  # Gradio's own words share the namespace, and "seed" or "status" would collide


def _translations() -> gr.I18n:
    words = {name: {_PREFIX + key: say_raw(key, name) for key in TEXT} for name in LANGUAGES}
    return gr.I18n(**words, **{"zh-CN": words["zh"], "zh-TW": words["zh"]})


def say_raw(key: str, language: str) -> str:
    """The sentence with its placeholders, for Gradio's own lookup."""
    return TEXT[key][LANGUAGES.index(language)]


I18N = _translations()


def _as_sent(_component: Any, payload: Any) -> Any:
    plain = payload is None or isinstance(payload, str | int | float)
    return payload if plain else str(payload)  # no page sends anything else, and no choice looks like it


# What is chosen is checked by the engine alone, which says in a sentence what is wrong. Gradio would compare
# it with the choices that this session was given last: a restarted server has forgotten them, and of two
# answers on their way the older one may come last. It would also refuse a slider whose box is empty.
# (Each update makes a component anew, so a patched one would not last; a subclass would be served as a custom
# component, with a frontend of its own.)
for _kind in (gr.Radio, gr.Dropdown, gr.Slider):
    setattr(_kind, "preprocess", _as_sent)  # noqa: B010 (mypy forbids the plain assignment)


def label(key: str) -> Any:
    """The text `key` for a component: Gradio shows it in the page's language."""
    return I18N(_PREFIX + key)


def panel(title: str, note: str, body: str) -> str:
    """HTML of a titled panel; `title` and `note` are text keys, `note` may be empty."""
    small = f"<small>{in_both(note)}</small>" if note else ""
    return f'<section class="gan-panel"><h2><span>{in_both(title)}</span>{small}</h2>{body}</section>'


def number(value: float | None) -> Any:
    """What a number box holds, for the engine to check: a cleared one is the word None, not a crash."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
