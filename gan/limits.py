"""How often somebody may ask for something, counted in memory."""

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from gan.errors import RunError


class RateLimits:
    """Named limits such as {"call": "20 per second"}, each counted separately for every key."""

    def __init__(self, rates: dict[str, str]) -> None:
        self._rates: dict[str, RateLimitItem] = {name: parse(rate) for name, rate in rates.items()}
        # Its keys expire, which those of a moving window do not.
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def count(self, name: str, key: str) -> None:
        """Count one more by `key`.

        Raises:
            RunError: that was too often.
        """
        if not self._limiter.hit(self._rates[name], name, key):
            raise self._refusal(name)

    def check(self, name: str, key: str) -> None:
        """Count nothing.

        Raises:
            RunError: one more by `key` would be too often.
        """
        if not self._limiter.test(self._rates[name], name, key):
            raise self._refusal(name)

    def _refusal(self, name: str) -> RunError:
        return RunError("too-many-requests", allowed=str(self._rates[name]))
