"""`make bench`: a table of medians with their spread, and at the end one line of JSON with the medians.

All of it takes an hour, most of it for the document's ten epochs and the pages that are opened.

Needs requirements-dev.txt and a Chromium, as the browser tests do. Nothing else should run beside it.
Names of single benchmarks as arguments run only these.
"""

import json
import statistics
import sys

from benchmarks import first_seconds, quality, resuming, room, sampling, saving, speed, watching

BENCHMARKS = {
    "speed": speed.measure,
    "quality": quality.measure,
    "sampling": sampling.measure,
    "saving": saving.measure,
    "resuming": resuming.measure,
    "first-seconds": first_seconds.measure,
    "watching": watching.measure,
    "room": room.measure,
}


def main(names: list[str]) -> int:
    """Run the benchmarks that are named, or all."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"There is no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}.", file=sys.stderr)
        return 2
    medians: dict[str, float] = {}
    print(f"{'':42} median     min     max  values", flush=True)
    for name in names or BENCHMARKS:
        for figure, values in BENCHMARKS[name]().items():
            medians[figure] = round(statistics.median(values), 3)
            row = f"{medians[figure]:8.2f} {min(values):7.2f} {max(values):7.2f}  {len(values)}"
            print(f"{figure:40} {row}", flush=True)
    print(json.dumps(medians))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
