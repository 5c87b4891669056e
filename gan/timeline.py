"""The same 64 digits at about sixty moments of a run, kept beside its checkpoint as small pictures.

Moments lie closer together at the beginning, where a step changes more: each is a ninth later than the one
before. They depend on the step's number alone, so a resumed run goes on where its pictures end.
"""

import io
import shutil
from bisect import bisect_left
from pathlib import Path

from PIL import Image

from gan import plots
from gan.sampling import Networks, SampleRequest, sample

SEED, DIGITS, COLUMNS = 0, 64, 8
_GROWTH = 1.11  # 62 moments from step 8 to 5,000, 22 for each tenfold after that
_MOST_STEPS = 100_000_000
_GIF_SCALE = 2
_FRAME_MS, _LAST_FRAME_MS = 100, 2000


def _moments() -> list[int]:
    found, at = [1, 2, 4], 8.0
    while at < _MOST_STEPS:
        found.append(round(at))
        at = max(at * _GROWTH, at + 1)
    return found


_MOMENTS = _moments()


def is_moment(step: int) -> bool:
    """Whether the digits of step number `step` are kept."""
    place = bisect_left(_MOMENTS, step)
    return place < len(_MOMENTS) and _MOMENTS[place] == step


def draw(networks: Networks) -> bytes:
    """PNG of the digits that a generator writes now."""
    return plots.sketch_png(sample(networks, SampleRequest(SEED, DIGITS)), COLUMNS)


class Timeline:
    """The pictures in one folder, which need not exist."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, step: int, networks: Networks) -> None:
        """Draw the digits of `step` and write them; step 1 removes what an older run has left here.

        Raises:
            OSError: the folder cannot be written.
        """
        if step == _MOMENTS[0]:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path(step).write_bytes(draw(networks))

    def steps(self) -> list[int]:
        """The steps of which there is a picture, in order."""
        return sorted(int(path.stem) for path in self._folder.glob("*.png") if path.stem.isdecimal())

    @property
    def version(self) -> int:
        """Differs between two runs that had the same name; 0 where there is no picture."""
        steps = self.steps()
        return self._path(steps[0]).stat().st_mtime_ns if steps else 0

    def picture(self, step: int) -> bytes | None:
        """PNG of the digits at `step`, one pixel for each of theirs; None if there is none."""
        if not is_moment(step):  # nor may a stranger's number name any other file
            return None
        try:
            return self._path(step).read_bytes()
        except FileNotFoundError:
            return None

    def gif(self, last: bytes) -> bytes | None:
        """All pictures and a `last` one as a GIF that repeats and rests there; None if nothing is kept."""
        kept = [picture for picture in map(self.picture, self.steps()) if picture is not None]
        if not kept:
            return None
        frames = [_frame(picture) for picture in (*kept, last)]
        target = io.BytesIO()
        durations = [_FRAME_MS] * (len(frames) - 1) + [_LAST_FRAME_MS]
        frames[0].save(target, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
        return target.getvalue()

    def _path(self, step: int) -> Path:
        return self._folder / f"{step}.png"


def _frame(picture: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(picture)).convert("L")
    return image.resize((image.width * _GIF_SCALE, image.height * _GIF_SCALE), Image.Resampling.NEAREST)
