"""The frozen networks of saved runs, the last few kept in memory."""

import threading
from collections import OrderedDict

import torch

from gan.runs import RunStore
from gan.sampling import Networks

_KEPT = 4


class Generators:
    """Thread-safe; a run that has been saved again is loaded again."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._loaded: OrderedDict[tuple[str, float], Networks] = OrderedDict()

    def of(self, run: str) -> Networks:
        """The networks of a saved run, on the CPU.

        Raises:
            RunError: no such run. CheckpointError: its file is damaged.
        """
        key = run, self._store.existing(run).stat().st_mtime
        with self._lock:
            if key in self._loaded:
                self._loaded.move_to_end(key)
                return self._loaded[key]
        networks = self._store.load(run).networks(run, torch.device("cpu"))
        with self._lock:
            self._loaded[key] = networks
            while len(self._loaded) > _KEPT:
                self._loaded.popitem(last=False)
        return networks
