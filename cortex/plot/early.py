"""Figures of the early stages: retina, M1 and M2."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from skimage.feature import peak_local_max
from torch import Tensor

from ciliary.cortex.percept import N_ORIENTATIONS, M2Out
from ciliary.cortex.plot import paint, style
from ciliary.cortex.plot.filters import Filters, filters_in_use
from ciliary.cortex.plot.look import Look
from ciliary.cortex.plot.sheet import Row, Sheet, picture_row
from ciliary.cortex.stages.m2_grouping import complete
from ciliary.cortex.stages.m2_learned import LearnedM2, contour_inputs

_ENDS = 40  # end points that are marked, at most
_LEAST_END = 0.08  # an end-stopped response under which nothing is marked
_OPPONENTS = (
    ("Red – green", paint.RED_GREEN, "red", "green"),
    ("Blue – yellow", paint.BLUE_YELLOW, "blue", "yellow"),
)


def draw_retina(look: Look) -> Figure:
    """The image, the three cones' responses, the opponent channels, and the ON and OFF cells."""
    retina, image = look.percept.retina, paint.as_picture(look.image)
    size = image.shape[:2]
    sheet = Sheet("Retina", f"{look.name}, {size[1]} × {size[0]} px", [picture_row(4, size), picture_row(4, size)])
    style.picture(sheet.axes(0, 0), image, "What the eye is shown")
    cones = retina.cones[0].detach()
    low, high = (float(x) for x in np.quantile(cones.numpy(), [0.005, 0.995]))
    for column, name in enumerate(("L cones (long waves)", "M cones (middle)", "S cones (short)"), start=1):
        field = cones[column - 1]
        style.picture(sheet.axes(0, column), paint.grey(field, low, high), name, f"mean response {field.mean():.2f}")
    opponent = retina.opponent[0].detach()
    low, high = (float(x) for x in np.quantile(opponent[0].numpy(), [0.005, 0.995]))
    note = f"black {low:.2f}, white {high:.2f}"
    style.picture(sheet.axes(1, 0), paint.grey(opponent[0], low, high), "Luminance", note)
    bound = paint.limit(opponent[1:])
    for column, (title, colours, plus, minus) in enumerate(_OPPONENTS, start=1):
        draw_opponent(sheet.axes(1, column), opponent[column], colours, bound, title, plus=plus, minus=minus)
    on_off = (retina.on_off[0, 0] - retina.on_off[0, 1]).detach()
    bound = paint.limit(on_off)
    picture = paint.signed(on_off, paint.OFF_ON, bound)
    style.picture(sheet.axes(1, 3), picture, "ON and OFF cells", f"ON (orange) and OFF (blue) up to {bound:.3f}")
    return sheet.figure


def draw_opponent(
    ax: Axes, field: Tensor, colours: tuple[str, str, str], bound: float, title: str, *, plus: str = "", minus: str = ""
) -> None:
    """A channel of colour (H, W) up to ``bound``; where there is no colour, a word in place of a blank frame."""
    is_blank = paint.is_blank(field)
    note = f"{plus} +{bound:.2f}, {minus} −{bound:.2f}" if plus and not is_blank else ""
    style.picture(ax, paint.signed(field, colours, bound), title, note)
    if is_blank:
        style.nothing(ax, "a grey image: no colour")


def draw_filters(look: Look) -> Figure:
    """M1's filters at the setting in use, in space and in frequency."""
    filters = filters_in_use(look.theta)
    n_scales = len(filters.wavelength_px)
    rows = [Row(2 * N_ORIENTATIONS + 1, 0.68, gap_in=0.34 if i + 1 < n_scales else 0.3, gutter_in=0.1)
            for i in range(n_scales)]  # fmt: skip
    octaves = float(look.theta["bandwidth_octaves"])
    half_px, half_cpp = filter_windows(filters)
    note = (
        f"even part in space ({2 * half_px + 1} px wide, left) and frequency response (±{half_cpp:.2f} cycles/px, "
        f"right; ring: 1/wavelength) of {N_ORIENTATIONS} orientations; bandwidth {octaves:.2g} octaves"
    )
    sheet = Sheet("M1: the log-Gabor filters in use", note, rows)
    for i_scale, wavelength in enumerate(filters.wavelength_px):
        for i in range(N_ORIENTATIONS):
            space = sheet.axes(i_scale, i)
            _filter_in_space(space, filters.even[i_scale, i], half_px)
            gain = sheet.axes(i_scale, N_ORIENTATIONS + 1 + i)
            _filter_in_frequency(gain, filters, i_scale, i, half_cpp)
            if i == 0:
                title = f"wavelength {wavelength:.3g} px"
                space.set_title(title, fontsize=9, color=style.INK, loc="left", pad=4)
                title = f"peak {1 / wavelength:.3g} cycles/px"
                gain.set_title(title, fontsize=9, color=style.INK, loc="left", pad=4)
            if i_scale == n_scales - 1:
                degrees = f"{180 * i / N_ORIENTATIONS:.0f}°"
                for ax in (space, gain):
                    ax.set_xlabel(degrees, fontsize=8.5, color=style.FAINT, labelpad=3)
    return sheet.figure


def filter_windows(filters: Filters) -> tuple[int, float]:
    """Half sides of the windows that filters are drawn in: pixels (one and a bit of the longest wave), cycles/px."""
    half_px = min(filters.even.shape[-1] // 2 - 1, round(1.2 * filters.wavelength_px[-1]))
    return half_px, min(0.5, 2 / filters.wavelength_px[0])


def _filter_in_space(ax: Axes, even: np.ndarray, half_px: int) -> None:
    middle = even.shape[-1] // 2
    window = slice(middle - half_px, middle + half_px + 1)
    bound = np.abs(even).max()
    ax.imshow(even[window, window], cmap="gray", vmin=-bound, vmax=bound, interpolation="bilinear")
    _bare(ax)


def _filter_in_frequency(ax: Axes, filters: Filters, i_scale: int, i: int, half_cpp: float) -> None:
    inside = np.flatnonzero(np.abs(filters.frequency_cpp) <= half_cpp)
    window = slice(inside[0], inside[-1] + 1)
    extent = (-half_cpp, half_cpp, half_cpp, -half_cpp)
    ax.imshow(filters.gain[i_scale, i, window, window], cmap="gray_r", vmin=0, vmax=1, extent=extent)
    for line in (ax.axhline, ax.axvline):
        line(0, color=style.FAINT, lw=0.4, alpha=0.6)
    peak = 1 / filters.wavelength_px[i_scale]
    ax.add_patch(Circle((0, 0), peak, fill=False, color=style.AFTER, lw=0.7))
    across = np.pi * i / N_ORIENTATIONS + np.pi / 2  # the wave runs across the contour
    ax.plot(peak * np.cos(across), peak * np.sin(across), "o", color=style.AFTER, ms=2.5)
    _bare(ax)


def _bare(ax: Axes) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set(color=style.GRID, linewidth=0.8)


def draw_m1(look: Look) -> Figure:
    """Energy at each scale, the dominant orientation, the boundary, and the regions S1."""
    m1, image = look.percept.m1, paint.as_picture(look.image)
    size = image.shape[:2]
    rows = [picture_row(3, size), picture_row(3, size)]
    sheet = Sheet("M1, perception", "oriented energy, boundary and first regions", rows)
    energy = paint.energy_scales(m1)
    bound = paint.limit(energy, 0.005)
    for column, field in enumerate(energy):
        wavelength = float(look.theta["wavelength_px"]) * 2**column
        title = f"V1 energy at {wavelength:.3g} px"
        style.picture(sheet.axes(0, column), paint.strength(field, bound), title, f"black is {bound:.3f}")
    ax = sheet.axes(1, 0)
    style.picture(ax, paint.orientation_picture(m1), "Orientation", "hue: along the contour; brightness: strength")
    _orientation_key(ax)
    boundary = m1.boundary[0, 0].detach().numpy()
    style.picture(sheet.axes(1, 1), boundary, "Boundary", "black is 1")
    draw_regions(sheet.axes(1, 2), image, m1.regions[0], "Regions S1")
    return sheet.figure


def draw_regions(ax: Axes, image: np.ndarray, regions: Tensor, title: str) -> None:
    """Soft regions (K, H, W) in distinct hues, each pixel in its strongest."""
    labels = paint.region_labels(regions)
    sharp(ax, paint.regions_picture(image, labels), title, paint.count_regions(labels))


def sharp(ax: Axes, picture: np.ndarray, title: str, note: str = "") -> None:
    """A picture finer than the page, shrunk with care: thin lines must not fall between its pixels."""
    style.picture(ax, picture, title, note)
    ax.images[0].set_interpolation("antialiased")


def _orientation_key(ax: Axes) -> None:
    """Strokes of each orientation in its colour, in a corner of a picture."""
    key = ax.inset_axes((0.79, 0.02, 0.19, 0.19 * 1.33))
    key.set_facecolor("black")
    angle = np.arange(12) * np.pi / 12
    for a in angle:
        colour = hsv_to_rgb(np.array([paint.hues(a), 0.85, 1.0]))
        x, y = np.cos(a), np.sin(a)
        key.plot([-x, x], [-y, y], color=colour, lw=2, solid_capstyle="round")
    key.set(xlim=(-1.25, 1.25), ylim=(1.25, -1.25), aspect="equal")  # y points down, as in the picture
    _bare(key)


def draw_m2(look: Look) -> Figure:
    """The contour with its end points, the barrier and S2; the parts of a learned contour side by side."""
    m2, image = look.percept.m2, paint.as_picture(look.image)
    parts = contour_parts(look)
    rows = [picture_row(3, image.shape[:2])] * (2 if parts else 1)
    sheet = Sheet("M2, grouping", "contours completed across gaps, and regions stabilised behind them", rows)
    draw_contour(sheet.axes(0, 0), m2)
    style.picture(sheet.axes(0, 1), m2.barrier[0, 0].detach().numpy(), "Barrier", "black: diffusion is stopped")
    draw_regions(sheet.axes(0, 2), image, m2.regions[0], "Regions S2")
    if parts:
        mathematical, learned = (part[0, 0].numpy() for part in parts)
        style.picture(sheet.axes(1, 0), mathematical, "Contour, mathematical part", "association field")
        style.picture(sheet.axes(1, 1), learned, "Contour, learned part", "network")
        difference = paint.signed(parts[1][0, 0] - parts[0][0, 0], paint.OFF_ON, 1.0)
        style.picture(sheet.axes(1, 2), difference, "Learned minus mathematical", "orange: more, blue: less")
    return sheet.figure


def draw_contour(ax: Axes, m2: M2Out, title: str = "Contour and its end points") -> None:
    """The contour of a batch of one, its end points as rings."""
    points = end_points(m2)
    words = f"{len(points)} end point{'s' if len(points) != 1 else ''} marked"
    style.picture(ax, m2.contour[0, 0].detach().numpy(), title, words)
    ring: dict[str, Any] = {"mfc": "none", "mec": style.AFTER, "ms": 6, "mew": 1.3}
    ax.plot(points[:, 1], points[:, 0], "o", **ring)


def end_points(m2: M2Out) -> np.ndarray:
    """(n, 2) places (y, x) of the strongest local maxima of the end-stopped response; a batch of one."""
    response = m2.end_points[0, 0].detach().numpy()
    places: np.ndarray = peak_local_max(
        response, min_distance=4, threshold_abs=_LEAST_END, num_peaks=_ENDS, exclude_border=False
    )
    return places


@torch.no_grad()
def contour_parts(look: Look) -> tuple[Tensor, Tensor] | None:
    """What a learned M2 mixes: the completed contour and the network's own, each (1, 1, H, W); None without one."""
    m2 = look.cortex.m2
    if not isinstance(m2, LearnedM2):
        return None
    _, completed = complete(look.percept.m1, look.theta)
    inputs = contour_inputs(look.percept.m1, completed)
    own = torch.sigmoid(m2.net(inputs.to(look.cortex.device))).cpu()
    return completed, F.interpolate(own, size=completed.shape[-2:], mode="bilinear", align_corners=False)
