"""What the Timeline tab shows of a run: its moments and the plot, put together once for all who look."""

import threading
import time
from collections import OrderedDict
from urllib.parse import quote

from gan import plots
from gan.studio import Studio
from gan.timeline import draw
from gan.ui.live import BASE, PictureStore

_STANDS_SECONDS = 3.0  # of a run that trains: as long as timeline.js waits
_KEPT = 16

Film = dict[str, object]


class Films:
    """Thread-safe; made one at a time, since all that look at a run want the same one."""

    def __init__(self, studio: Studio, pictures: PictureStore) -> None:
        self._studio = studio
        self._pictures = pictures
        self._making = threading.Lock()
        self._made: OrderedDict[str, tuple[object, Film | None]] = OrderedDict()

    def of(self, run: str) -> Film | None:
        """What gan/ui/timeline.js needs; None where nothing is kept of the run's past.

        Raises:
            GanError: no such run, or its checkpoint is damaged.
        """
        with self._making:
            version = self._version(run)
            if run in self._made and self._made[run][0] == version:
                return self._made[run][1]
            film = self._make(run)
            self._made[run] = version, film
            self._made.move_to_end(run)
            while len(self._made) > _KEPT:
                self._made.popitem(last=False)
            return film

    def _version(self, run: str) -> object:
        now = self._studio.watched(run)
        if now is None or now.run != run:
            return "saved", self._studio.store.existing(run).stat().st_mtime_ns
        return "training", time.monotonic() // _STANDS_SECONDS if now.status.active else now.version

    def _make(self, run: str) -> Film | None:
        """The moments, the present one last, and the plot with its edges."""
        past = self._studio.past(run)
        curves, steps = past.curves, [step for step in past.timeline.steps() if step < past.steps]
        if not steps or not len(curves):
            return None
        folder = f"{BASE}/run/{quote(run)}"
        left, right = plots.PLOT_EDGES
        moments = [(step, f"{folder}/timeline/{step}.png?v={past.timeline.version}") for step in steps]
        return {
            "run": run,
            "moments": [*moments, (past.steps, self._pictures.put(draw(self._studio.networks(run))))],
            "last": float(curves.steps[-1]),
            "plot": self._pictures.put(plots.loss_plot_png(curves)),
            "left": left,
            "right": right,
            "gif": f"{folder}/timeline.gif",
        }
