"""Receives every request of the page: who asks, how often, and in which language to answer."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from gan.errors import GanError, RunError
from gan.limits import RateLimits
from gan.studio import Studio
from gan.ui.text import language_of, say, say_error
from gan.visitors import Visitor

log = logging.getLogger(__name__)

# Generous enough for a room of thirty behind one address; see docs/security.md.
RATES = {
    "call": "30 per second",  # by visitor: clicks, and drawings while a slider is dragged
    "token": "300 per minute",  # by address: new visitors
    "wrong key": "5 per minute",  # by visitor
    "wrong key at one address": "100 per minute",
}
_UNKNOWN_ADDRESS = "unknown"

# How the events of the page behave: unlike gan/ui/endpoints.py they are nobody else's to call.
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}


@dataclass(frozen=True)
class Guest:
    """Somebody at the page: who, in which language, and the run they watch (empty before the first)."""

    visitor: Visitor
    language: str
    watching: str


class Reception:
    """Who asks, for every handler of the page and every route."""

    # An event's own inputs come first; the last three are the guest's.
    ASKING = "(...inputs) => [...inputs.slice(0, -3), ...window.ganGuest()]"

    def __init__(self, studio: Studio) -> None:
        self._settings, self._access = studio.settings, studio.access
        self._rates = RateLimits(RATES)
        self.inputs: list[gr.Textbox] = []

    def add_inputs(self) -> None:
        """Add the hidden inputs of every event to the current Blocks.

        gan/ui/language.js fills them at each event, so nothing about a visitor is kept in a session.
        """
        self.inputs = [gr.Textbox("", visible=False) for _ in ("watching", "token", "language")]

    def guest(self, watching: str, token: str, language: str) -> Guest:
        """Who asks.

        Raises:
            RunError: this server does not know the token, or its owner asks too often.
        """
        visitor = self._access.visitor(token or "")
        if self._settings.shared:
            self._rates.count("call", visitor.id)
        return Guest(visitor, language_of(language), watching or "")

    def connect(
        self, event: Any, handler: Callable[..., Any], inputs: Sequence[Any] = (), outputs: Any = None,
        js: str = ASKING, **options: Any,
    ) -> Any:  # fmt: skip
        """Connect an event of the page to a handler whose last argument is the Guest.

        What goes wrong in it becomes a sentence: raising gr.Error leaves every output as it is, so nothing
        that was typed is lost.
        """

        def speak(*arguments: Any) -> Any:
            *own, watching, token, language = arguments
            return spoken(lambda: handler(*own, self.guest(watching, token, language)), language_of(language))

        # Gradio names endpoints after functions, and the plain names are those of gan/ui/endpoints.py.
        speak.__name__ = f"page_{handler.__name__}"
        return event(speak, [*inputs, *self.inputs], outputs, js=js, **{**QUIET, **options})

    def command(
        self, event: Any, handler: Callable[..., Any], inputs: Sequence[Any] = (), outputs: Any = None,
        **options: Any,
    ) -> Any:  # fmt: skip
        """As `connect`, for what changes a run: the page looks at it at once instead of at its next poll."""
        connected = self.connect(event, handler, inputs, outputs, **options)
        connected.then(None, js="() => window.ganAsk && window.ganAsk()")
        return connected

    def new_token(self, request: gr.Request | None) -> str:
        """A token for a stranger. Raises RunError: too many new visitors from one address."""
        self._rates.count("token", _address(request))
        return self._access.visitors.new_token()

    def welcome(self, token: str, request: gr.Request | None) -> dict[str, Any]:
        """What the page must know of its visitor: a token (a new one for a stranger) and what they may do.

        Raises:
            RunError: too many new visitors from one address.
        """
        try:
            visitor = self._access.visitor(token or "")
        except RunError:
            token = self.new_token(request)
            visitor = self._access.visitor(token)
        return {
            "token": token if self._settings.shared else "",
            "id": visitor.id,
            "shared": self._settings.shared,
            "presenter": bool(self._settings.presenter_key) and visitor.presenter,
            "presented": bool(self._settings.presenter_key),
            "may_train": self._access.may_train(visitor),
        }

    def present(self, key: str, guest_token: str, request: gr.Request | None) -> dict[str, Any]:
        """As `welcome`, for a visitor who has typed the presenter's key.

        Raises:
            RunError: the key is wrong, or was so too often.
        """
        tries = {
            "wrong key": self._access.visitor(guest_token).id,
            "wrong key at one address": _address(request),
        }
        for limit, whose in tries.items():
            self._rates.check(limit, whose)
        try:
            return self.welcome(self._access.visitors.presenter_token(guest_token, key), request)
        except RunError:
            for limit, whose in tries.items():
                self._rates.count(limit, whose)
            log.warning("a wrong presenter key from %s", _address(request))
            raise


def spoken(work: Callable[[], Any], language: str) -> Any:
    """What `work` returns; an error of its becomes a sentence for the page."""
    try:
        return work()
    except GanError as error:
        log.info("refused: %s", error)
        sentence = say_error(error, language)
    except gr.Error:
        raise
    except Exception:  # a stranger must not see a traceback; the log does
        log.exception("a handler failed")
        sentence = say("error_unexpected", language)
    raise gr.Error(sentence, duration=6, title=say("error_title", language), print_exception=False)


def _address(request: gr.Request | None) -> str:
    client = request.client if request is not None else None
    return client.host if client else _UNKNOWN_ADDRESS
