"""Small pieces that both tabs are made of: translated labels, panels, handlers that answer in sentences."""

import functools
import logging
from collections.abc import Callable
from typing import Any

import gradio as gr

from gan.errors import GanError
from gan.ui.text import LANGUAGES, TEXT, in_both, say, say_error

log = logging.getLogger(__name__)

_PREFIX = "gan_"  # Gradio's own words share the namespace, and "seed" or "status" would collide


def _translations() -> gr.I18n:
    words = {name: {_PREFIX + key: say_raw(key, name) for key in TEXT} for name in LANGUAGES}
    return gr.I18n(**words, **{"zh-CN": words["zh"], "zh-TW": words["zh"]})


def say_raw(key: str, language: str) -> str:
    """The sentence with its placeholders, for Gradio's own lookup."""
    return TEXT[key][LANGUAGES.index(language)]


I18N = _translations()


def unchecked(component: Any) -> Any:
    """A component whose value Gradio does not check, only the engine, which says in a sentence what is wrong.

    Gradio compares a choice with those that this session was given last, which a restarted server has
    forgotten, and a slider's value with its ends, also when its box is empty. (A subclass would be served as
    a custom component, with a frontend of its own.)
    """
    component.preprocess = lambda payload: payload
    return component


def label(key: str) -> Any:
    """The text `key` for a component: Gradio shows it in the page's language."""
    return I18N(_PREFIX + key)


def panel(title: str, note: str, body: str) -> str:
    """HTML of a titled panel; `title` and `note` are text keys, `note` may be empty."""
    small = f"<small>{in_both(note)}</small>" if note else ""
    return f'<section class="gan-panel"><h2><span>{in_both(title)}</span>{small}</h2>{body}</section>'


def speaking(handler: Callable[..., Any]) -> Callable[..., Any]:
    """A Gradio handler whose last argument is the page's language: what goes wrong becomes a sentence.

    Raising gr.Error leaves every output as it is, so nothing that was typed is lost.
    """

    @functools.wraps(handler)
    def speak(*arguments: Any) -> Any:
        language = arguments[-1]
        try:
            return handler(*arguments)
        except GanError as error:
            log.info("refused: %s", error)
            sentence = say_error(error, language)
        except gr.Error:
            raise
        except Exception:  # a stranger must not see a traceback; the log does
            log.exception("a handler failed")
            sentence = say("error_unexpected", language)
        raise gr.Error(sentence, title=say("error_title", language), print_exception=False)

    return speak


def number(value: float | None) -> Any:
    """What a number box holds, for the engine to check: a cleared one is the word None, not a crash."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
