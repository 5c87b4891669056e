"""Who is asking: a signed token for every visitor, and a presenter who knows the key.

A token is made by the server and kept by the visitor's browser. Nothing about it is stored here: its
signature proves that this server made it, also after a restart, because the secret is kept beside the runs.
"""

import hashlib
import logging
import os
import secrets
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from itsdangerous import BadSignature, Signer

from gan.errors import RunError

log = logging.getLogger(__name__)

SECRET_NAME, SEEN_NAME = ".secret", ".visitors"  # beside the runs
_RANDOM_BYTES = 16
_ID_LENGTH = 16
_LONGEST_TOKEN = 200
_SEEN_EVERY = 600.0  # seconds: how exactly it is known when a visitor was here last
_VISITOR, _PRESENTER = "visitor", "presenter"


@dataclass(frozen=True)
class Visitor:
    """Somebody who asks. `id` may be shown to anyone: it is a hash, and the token cannot be had from it."""

    id: str
    presenter: bool = False


LOCAL = Visitor("local", presenter=True)  # everybody, where one person uses the page on their own machine


class Visitors:
    """Makes and checks tokens, and remembers when a visitor was here last.

    Args:
        folder: where the secret and the times are kept; it need not be writable, but then every restart makes
            strangers of all visitors.
        secret: signs the tokens; empty means the one in `folder`, made on first use.
        presenter_key: what a presenter types; empty where there is no presenter.
    """

    def __init__(self, folder: Path, secret: str = "", presenter_key: str = "") -> None:
        self._given_secret = secret
        self._folder = folder
        self._presenter_key = presenter_key
        self._seen_folder = folder / SEEN_NAME
        self._seen: dict[str, float] = {}  # when this process noted it last

    @cached_property
    def _secret(self) -> str:
        """Read or made when it is first needed: never, where one person uses the page."""
        return self._given_secret or _kept_secret(self._folder / SECRET_NAME)

    def new_token(self) -> str:
        """A token for a visitor who has none yet."""
        return self._signer(_VISITOR).sign(secrets.token_hex(_RANDOM_BYTES)).decode()

    def visitor(self, token: str) -> Visitor:
        """Whose token it is.

        Raises:
            RunError: this server did not make it, or it was a presenter's under another key.
        """
        for role in (_VISITOR, _PRESENTER):
            try:
                random = self._signer(role).unsign(token[:_LONGEST_TOKEN])
            except BadSignature:
                continue
            return Visitor(hashlib.sha256(random).hexdigest()[:_ID_LENGTH], role == _PRESENTER)
        raise RunError("unknown-visitor")

    def presenter_token(self, token: str, key: str) -> str:
        """The same visitor's token as a presenter.

        Raises:
            RunError: the key is wrong, or there is none.
        """
        self.visitor(token)
        if not self._presenter_key or not secrets.compare_digest(key.encode(), self._presenter_key.encode()):
            raise RunError("wrong-key")
        random = token.partition(".")[0]
        return self._signer(_PRESENTER).sign(random).decode()

    def _signer(self, role: str) -> Signer:
        # Another key makes other signatures, so it ends what was granted under the old one.
        salt = f"{role}:{self._presenter_key}" if role == _PRESENTER else role
        return Signer(self._secret, salt=salt, digest_method=hashlib.sha256, key_derivation="hmac")

    # -- when somebody was here last -----------------------------------------------------------------------

    def note(self, visitor: Visitor) -> None:
        """Remember that the visitor is here now, also across restarts."""
        now = time.time()
        if visitor is LOCAL or now - self._seen.get(visitor.id, 0.0) < _SEEN_EVERY:
            return
        self._seen[visitor.id] = now
        try:
            self._seen_folder.mkdir(parents=True, exist_ok=True)
            (self._seen_folder / visitor.id).touch()
        except OSError as error:
            log.warning("it is not kept when visitors were here: %s", error)

    def forget_absent(self, seconds: float) -> None:
        """Keep nothing about those who were not here for `seconds`."""
        since = time.time() - seconds
        self._seen = {visitor: seen for visitor, seen in self._seen.items() if seen > since}
        try:
            for path in self._seen_folder.iterdir():
                if path.stat().st_mtime < since:
                    path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("visitors of long ago are still kept: %s", error)

    def last_seen(self, visitor_id: str) -> float:
        """When a visitor was here last, in seconds since the epoch; 0 for one who was not for a long time."""
        if not visitor_id:
            return 0.0  # what belongs to nobody
        try:
            kept = (self._seen_folder / visitor_id).stat().st_mtime
        except OSError:
            kept = 0.0
        return max(kept, self._seen.get(visitor_id, 0.0))


def _kept_secret(path: Path) -> str:
    """The secret in `path`, readable by this user only; made now if there is none."""
    try:
        return path.read_text()
    except FileNotFoundError:
        pass
    except OSError as error:
        log.warning("visitors are forgotten at the next start: %s", error)
        return secrets.token_hex(32)
    made = secrets.token_hex(32)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(made)
    except FileExistsError:  # another server over the same folder was quicker
        return path.read_text()
    except OSError as error:
        log.warning("visitors are forgotten at the next start: %s", error)
    return made
