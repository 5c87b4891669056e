"""Receives every request of the page: who asks, how often, and in which language to answer."""

import logging
from collections.abc import Callable
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
    "key": "5 per minute",  # by visitor: presenter keys that are tried
    "key at one address": "20 per minute",
}
_UNKNOWN_ADDRESS = "unknown"


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
        self._studio = studio
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
        visitor = self._studio.visitor(token or "")
        if self._studio.settings.shared:
            self._rates.count("call", visitor.id)
        return Guest(visitor, language_of(language), watching or "")

    def speaking(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        """A Gradio handler whose last argument is the Guest: what goes wrong becomes a sentence.

        Raising gr.Error leaves every output as it is, so nothing that was typed is lost.
        """

        def speak(*arguments: Any) -> Any:
            *own, watching, token, language = arguments
            return spoken(lambda: handler(*own, self.guest(watching, token, language)), language_of(language))

        # Gradio names endpoints after functions, and the plain names are those of gan/ui/endpoints.py.
        speak.__name__ = f"page_{handler.__name__}"
        return speak

    def new_token(self, request: gr.Request | None) -> str:
        """A token for a stranger. Raises RunError: too many new visitors from one address."""
        self._rates.count("token", _address(request))
        return self._studio.visitors.new_token()

    def welcome(self, token: str, request: gr.Request | None) -> dict[str, Any]:
        """What the page must know of its visitor: a token (a new one for a stranger) and what they may do.

        Raises:
            RunError: too many new visitors from one address.
        """
        try:
            visitor = self._studio.visitor(token or "")
        except RunError:
            token = self.new_token(request)
            visitor = self._studio.visitor(token)
        return {
            "token": token if self._studio.settings.shared else "",
            "id": visitor.id,
            "shared": self._studio.settings.shared,
            "presenter": bool(self._studio.settings.presenter_key) and visitor.presenter,
            "presented": bool(self._studio.settings.presenter_key),
            "may_train": self._studio.may_train(visitor),
        }

    def present(self, key: str, guest_token: str, request: gr.Request | None) -> dict[str, Any]:
        """As `welcome`, for a visitor who has typed the presenter's key.

        Raises:
            RunError: the key is wrong, or was so too often.
        """
        address = _address(request)
        self._rates.count("key", self._studio.visitor(guest_token).id)
        self._rates.count("key at one address", address)
        try:
            return self.welcome(self._studio.visitors.presenter_token(guest_token, key), request)
        except RunError:
            log.warning("a wrong presenter key from %s", address)
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
    raise gr.Error(sentence, title=say("error_title", language), print_exception=False)


def _address(request: gr.Request | None) -> str:
    client = request.client if request is not None else None
    return client.host if client else _UNKNOWN_ADDRESS
