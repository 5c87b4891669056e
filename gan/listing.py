"""All runs that somebody may choose from: saved ones, and active ones before their first save."""

from collections.abc import Mapping
from dataclasses import dataclass

from gan.runs import RunStore, SavedRun
from gan.snapshot import Snapshot


@dataclass(frozen=True)
class Listed:
    """A line of the list of runs: a saved one, or an active one before its first save."""

    name: str
    saved: SavedRun | None
    snapshot: Snapshot | None  # where it trains, waits, or has ended on this server

    @property
    def active(self) -> bool:
        return self.snapshot is not None and self.snapshot.status.active

    @property
    def owner(self) -> str:
        """A Visitor's id; empty for a run that belongs to nobody."""
        if self.saved is not None and not self.active:
            return self.saved.owner
        return self.snapshot.owner if self.snapshot is not None else ""


def list_runs(store: RunStore, shown: Mapping[str, Snapshot]) -> list[Listed]:
    """All runs, active ones first, then the newest; `shown` are the server's snapshots by name."""
    listed = [Listed(run.name, run, shown.get(run.name)) for run in store.list()]
    names = {run.name for run in listed}
    unsaved = (now for now in shown.values() if now.status.active and now.run not in names)
    listed += [Listed(now.run, None, now) for now in unsaved]
    return sorted(listed, key=lambda run: not run.active)
