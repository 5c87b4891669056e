"""One generated digit close up: D's score, what the judge reads, and the training digits nearest to it."""

from dataclasses import dataclass, replace
from html import escape

from gan import plots
from gan.judge import neighbours, report
from gan.judge.neighbours import Neighbours
from gan.judge.network import judge
from gan.sampling import Images, Networks, SampleRequest, sample, scores
from gan.ui.live import PictureStore
from gan.ui.parts import panel
from gan.ui.text import in_both, say

_LARGE = 6  # pixels for each of the digit's; neighbours are drawn at half that


@dataclass(frozen=True)
class Closeup:
    """What is known of one digit; the judge and the neighbours only of digits of the judge's dataset."""

    place: int  # in the grid, from 1
    run: str
    seed: float
    image: Images  # uint8 (28, 28)
    score: float  # D's probability that it is real
    reading: tuple[int, float] | None = None  # the class, and how sure the judge is
    pixels: Neighbours | None = None
    features: Neighbours | None = None


def look_at(networks: Networks, request: SampleRequest, index: int) -> Closeup:
    """Digit number `index` of a request, without its neighbours in features, which take longer."""
    images = sample(networks, request)
    score = float(scores(networks, images, request.digit)[index])
    found = Closeup(index + 1, networks.run, request.seed, images[index], score)
    if networks.dataset != report.DATASET:
        return found
    _, probabilities = judge(images[index : index + 1])
    reading = int(probabilities[0].argmax()), float(probabilities[0].max())
    return replace(found, reading=reading, pixels=neighbours.in_pixels(images[index]))


def with_features(found: Closeup) -> Closeup:
    """The same with its neighbours in the judge's features."""
    return replace(found, features=neighbours.in_features(found.image))


def empty_html() -> str:
    """HTML that says what a click shows."""
    return panel("closeup_title", "", f'<p class="gan-note">{in_both("closeup_empty")}</p>')


def html(found: Closeup, pictures: PictureStore, language: str) -> str:
    """HTML of everything known so far."""
    image = pictures.put(plots.grid_png(found.image[None], 1, scale=_LARGE))
    alt = say("closeup_digit", language, place=found.place)
    facts = [("closeup_score", f"{found.score:.2f}", say("closeup_score_note", language))]
    if found.reading:
        digit, sure = found.reading
        facts.append(("closeup_reading", str(digit), say("closeup_sure", language, sure=round(100 * sure))))
    listed = "".join(
        f"<dt>{escape(say(key, language))}</dt><dd><b>{value}</b> <small>{escape(note)}</small></dd>"
        for key, value, note in facts
    )
    where = escape(say("closeup_where", language, run=found.run, seed=f"{found.seed:g}"))
    near = ""
    if found.pixels:
        near = _near_html("closeup_pixels", found.pixels, pictures, language)
        near += _near_html("closeup_features", found.features, pictures, language)
    return f"""<section class="gan-panel"><h2><span>{escape(alt)}</span><small>{where}</small></h2>
<div class="gan-closeup gan-digits"><img src="{image}" alt="{escape(alt)}"><dl>{listed}</dl></div>
{near}</section>"""


def _near_html(key: str, near: Neighbours | None, pictures: PictureStore, language: str) -> str:
    title = escape(say(key, language))
    if near is None:
        body = f'<p class="gan-note">{escape(say("closeup_wait", language))}</p>'
        return f'<div class="gan-near"><h3>{title}</h3>{body}</div>'
    strip = pictures.put(plots.grid_png(near.images, len(near.images)))
    note = escape(
        say("closeup_distance", language, distance=f"{near.distance:.1f}", usual=f"{near.usual:.1f}")
    )
    body = f'<div class="gan-digits"><img src="{strip}" alt="{title}"></div><p class="gan-note">{note}</p>'
    return f'<div class="gan-near"><h3>{title}</h3>{body}</div>'
