"""Numbers and images -> PNG bytes. Pictures hold only symbols and digits, so that one serves both languages.

Figures are built without pyplot, whose global state is not safe in server threads; their backgrounds are
transparent and their text is a grey that reads on white and on near-black.
"""

import io
import zlib
from threading import Lock

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from gan.history import Array, Curves
from gan.sampling import Images

# The page uses the same two colours in its words (gan/ui/style.css).
COLOR_D = "#2b7de1"
COLOR_G = "#e8710a"
INK = "#808490"
PLOT_EDGES = (0.085, 0.86)  # where the first and the last step lie, as shares of a plot's width
_GAP = 2  # pixels between tiles, at most
_SCALE = 2  # pixels drawn for each of a digit's
_SCORED_SCALE = 4  # finer, so that the numbers under the digits stay sharp
_SHADES = 16  # of grey in a sketch: four bits a pixel
_CAPTION = 9  # height of those numbers' line, in a digit's pixels

_PALETTE = 128  # colours of a plot, shades of its edges included

# matplotlib's font cache and mathtext parser are shared by all figures.
_drawing = Lock()


def grid_png(
    images: Images, columns: int, scores: NDArray[np.float32] | None = None, scale: int = _SCALE
) -> bytes:
    """Images uint8 (N, 28, 28) tiled row by row, `scale` pixels for each of theirs.

    `scores` (N,) are written under them with two decimals, and the scale is then one that they need.
    """
    if scores is None:
        return _png(Image.fromarray(_tiled(images, columns, scale)), zlib.Z_RLE)
    scale, caption = _SCORED_SCALE, _CAPTION * _SCORED_SCALE
    sheet = Image.fromarray(_tiled(images, columns, scale, caption))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(6.5 * scale)
    _, height, width = images.shape
    for index, score in enumerate(scores):
        row, column = divmod(index, columns)
        middle = (
            column * (width * scale + _GAP) + width * scale / 2,
            row * (height * scale + _GAP + caption) + height * scale + caption / 2,
        )
        draw.text(middle, f"{score:.2f}", fill=190, font=font, anchor="mm")
    return _png(sheet)


def sketch_png(images: Images, columns: int) -> bytes:
    """The same as small as can be: one pixel for each of theirs, in 16 shades; a third of the bytes."""
    shades = 255 // (_SHADES - 1)
    sheet = Image.fromarray(np.round(_tiled(images, columns, 1) / shades).astype(np.uint8), "P")
    sheet.putpalette([shade * shades for shade in range(_SHADES) for _ in "rgb"])
    target = io.BytesIO()
    sheet.save(target, "PNG", bits=4, optimize=True)
    return target.getvalue()


def _tiled(images: Images, columns: int, scale: int, caption: int = 0) -> NDArray[np.uint8]:
    """One sheet (H, W) with every image and, under it, `caption` black pixels."""
    count, height, width = images.shape
    rows, gap = -(-count // columns), min(scale, _GAP)
    cell_w, cell_h = width * scale + gap, height * scale + gap + caption
    cells = np.zeros((rows * columns, cell_h, cell_w), np.uint8)
    cells[:count, : height * scale, : width * scale] = images.repeat(scale, axis=1).repeat(scale, axis=2)
    sheet = (
        cells.reshape(rows, columns, cell_h, cell_w).swapaxes(1, 2).reshape(rows * cell_h, columns * cell_w)
    )
    return sheet[:-gap, :-gap]


_Lines = tuple[tuple[str, str, str, object], ...]  # column, label, colour, dashes


def loss_plot_png(curves: Curves, opaque: bool = False) -> bytes:
    """Losses of D (solid) and G (dashed) over steps; `opaque` puts white behind them."""
    lines = (("loss_d", "D", COLOR_D, "-"), ("loss_g", "G", COLOR_G, (0, (4, 1.5))))
    return _plot(curves, lines, opaque)


def score_plot_png(curves: Curves, opaque: bool = False) -> bytes:
    """D(x) (solid) and D(G(z)) (dashed) over steps, with the 0.5 where D can no longer tell them apart."""
    lines = (("d_real", "D(x)", COLOR_D, "-"), ("d_fake", "D(G(z))", COLOR_G, (0, (4, 1.5))))
    return _plot(curves, lines, opaque, ideal=0.5)


def quality_plot_png(looks: Array, floor: float, last: int = 0, opaque: bool = False) -> bytes:
    """Frechet distances of the judge's looks (L, len(LOOK_COLUMNS)) with their noise, on a logarithmic scale.

    The dotted line is `floor`, the distance of as many real digits; the axis ends at step `last`, as those of
    the other plots.
    """
    steps, distances, noise = looks[:, 0], np.maximum(looks[:, 1], floor / 2), looks[:, 2]
    with _drawing:
        figure, axes = _axes()
        axes.set_yscale("log")
        axes.fill_between(
            steps,
            np.maximum(distances - noise, floor / 4),
            distances + noise,
            color=COLOR_G,
            alpha=0.25,
            linewidth=0,
        )
        axes.plot(steps, distances, color=COLOR_G, linewidth=1.8, marker="o", markersize=3, clip_on=False)
        axes.axhline(floor, color=INK, linestyle=":", linewidth=1.4)
        axes.set_xlim(0, max(2.0, float(steps[-1]), last))
        axes.set_ylim(floor / 2, max(100.0, float(distances.max()) * 1.5))
        now = float(distances[-1])
        axes.annotate(
            f"{now:.0f}" if now >= 100 else f"{now:.1f}", (1.015, now),
            xycoords=("axes fraction", "data"), color=COLOR_G, va="center", fontsize=11, fontweight="bold",
            annotation_clip=False,
        )  # fmt: skip
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
        return _finished(figure, axes, opaque)


def _axes() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.0, 2.3), dpi=160)
    FigureCanvasAgg(figure)
    left, right = PLOT_EDGES
    figure.subplots_adjust(left=left, right=right, bottom=0.13, top=0.96)
    return figure, figure.add_subplot()


def _finished(figure: Figure, axes: Axes, opaque: bool) -> bytes:
    """The figure as PNG bytes, in the ink and with the frame that all plots share."""
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.tick_params(colors=INK, labelsize=9, length=3)
    axes.grid(color=INK, alpha=0.18, linewidth=0.8)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(INK)
    figure.patch.set_alpha(float(opaque))
    axes.patch.set_alpha(float(opaque))
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    canvas.draw()
    drawn = Image.fromarray(np.asarray(canvas.buffer_rgba()))
    # On the page, a palette makes the file a third as large and is quicker than compressing four channels.
    return _png(drawn if opaque else drawn.quantize(_PALETTE, Image.Quantize.FASTOCTREE))


def _plot(curves: Curves, lines: _Lines, opaque: bool, ideal: float | None = None) -> bytes:
    with _drawing:
        figure, axes = _axes()
        marker = "o" if len(curves) < 3 else ""  # a line needs two points to be seen
        ends = []
        for column, _, color, dash in lines:
            values = curves.values[column]
            axes.plot(
                curves.steps, values, color=color, linestyle=dash, linewidth=1.6, marker=marker, markersize=4
            )
            ends.append(float(values[-max(1, len(values) // 50) :].mean()) if len(values) else 0.0)
        if ideal is not None:
            axes.set_ylim(-0.03, 1.03)
            axes.axhline(ideal, color=INK, linestyle=":", linewidth=1.2)
        else:
            axes.set_ylim(*_loss_limits(curves, lines))
        axes.set_xlim(0, max(2.0, float(curves.steps[-1]) if len(curves) else 2.0))
        for place, (_, name, color, _) in zip(_spread(ends, axes.get_ylim()), lines, strict=True):
            axes.annotate(
                name, (1.015, place), xycoords=("axes fraction", "data"), color=color, va="center",
                fontsize=11, fontweight="bold", annotation_clip=False,
            )  # fmt: skip
        axes.yaxis.set_major_locator(MaxNLocator(5))
        return _finished(figure, axes, opaque)


def _loss_limits(curves: Curves, lines: _Lines) -> tuple[float, float]:
    """From below everything to above all but the few highest points, so that one spike flattens nothing."""
    values = np.concatenate([curves.values[column] for column, *_ in lines])
    if len(values) == 0:
        return 0.0, 1.0
    low, high = min(0.0, float(values.min())), float(np.quantile(values, 0.995))
    return low * 1.05, max(high * 1.1, low + 0.1)


def _spread(ends: list[float], limits: tuple[float, float]) -> list[float]:
    """Heights for two labels near their lines' ends that do not overlap and stay inside."""
    low, high = limits
    apart = 0.13 * (high - low)
    order = sorted(range(len(ends)), key=lambda index: ends[index])
    places = [float(np.clip(ends[index], low + apart / 2, high - apart / 2)) for index in order]
    for index in range(1, len(places)):
        places[index] = max(places[index], places[index - 1] + apart)
    overshoot = max(0.0, places[-1] - (high - apart / 2))
    places = [place - overshoot for place in places]
    return [places[order.index(index)] for index in range(len(ends))]


def _png(image: Image.Image, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> bytes:
    """Z_RLE suits enlarged pixels: a quarter fewer bytes in three quarters of the time."""
    target = io.BytesIO()
    # Level 3 takes half the time of the default for a tenth more bytes.
    image.save(target, "PNG", compress_level=3, compress_type=strategy)
    return target.getvalue()
