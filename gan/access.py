"""Who asks, and what they may do."""

from gan.config import ServerSettings
from gan.errors import RunError
from gan.visitors import LOCAL, Visitor, Visitors


class Access:
    """What a visitor may do with a run. On one's own page everybody is LOCAL, who may do everything."""

    def __init__(self, settings: ServerSettings) -> None:
        self._shared = settings.shared
        self._presented = bool(settings.presenter_key)
        self.visitors = Visitors(settings.checkpoints, settings.secret, settings.presenter_key)

    def visitor(self, token: str) -> Visitor:
        """Whose token it is.

        Raises:
            RunError: this server did not make the token.
        """
        if not self._shared:
            return LOCAL
        visitor = self.visitors.visitor(token)
        self.visitors.note(visitor)
        return visitor

    def may_train(self, visitor: Visitor) -> bool:
        """Whether the visitor may start runs here."""
        return visitor.presenter or not self._presented

    def owns(self, visitor: Visitor, owner: str) -> bool:
        """Whether what belongs to `owner`, an id, is the visitor's."""
        return visitor == LOCAL or owner == visitor.id

    def may_change(self, visitor: Visitor, owner: str) -> bool:
        """Whether the visitor may change what belongs to `owner`."""
        return visitor.presenter or self.owns(visitor, owner)

    def check_may_train(self, visitor: Visitor) -> None:
        """Raises RunError unless the visitor may start runs here."""
        if not self.may_train(visitor):
            raise RunError("presenter-only")

    def check_may_change(self, visitor: Visitor, run: str, owner: str) -> None:
        """Raises RunError unless the visitor may change `run`, which belongs to `owner`."""
        if not self.may_change(visitor, owner):
            raise RunError("not-yours", run=run)
