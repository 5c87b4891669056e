"""How often somebody may ask for something, counted in memory."""

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from gan.errors import RunError


class RateLimits:
    """Named limits such as {"call": "20 per second"}, each counted separately for every key."""

    def __init__(self, rates: dict[str, str]) -> None:
        self._rates: dict[str, RateLimitItem] = {name: parse(rate) for name, rate in rates.items()}
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def count(self, name: str, key: str) -> None:
        """Count one more by `key`.

        Raises:
            RunError: that was too often.
        """
        rate = self._rates[name]
        if not self._limiter.hit(rate, name, key):
            raise RunError("too-many-requests", allowed=str(rate))
