"""The images that a method helped and harmed most: each as it was seen, a person's map, and two label maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from skimage.segmentation import find_boundaries
from torch import Tensor

from ciliary.cortex.device import device_of
from ciliary.cortex.plot.paint import own_colours
from ciliary.cortex.plot.style import FAINT, INK, picture
from ciliary.envs.data.labelled import LabelledImage, LabelledSet
from ciliary.envs.episode import stretch
from ciliary.tuning.evaluation.measure import MeasureSettings, see
from ciliary.tuning.evaluation.methods import Method
from ciliary.tuning.evaluation.plots import new_figure
from ciliary.tuning.evaluation.selectors import COVERING
from ciliary.tuning.evaluation.summary import FIXED
from ciliary.tuning.evaluation.table import Case, ResponseTable

N_SHOWN = 10  # best and worst images on the sheet
_CELL_PX = 330  # long side of a cell: twice what the sheet shows


@dataclass(frozen=True, eq=False)
class Sheet:
    """One row of the contact sheet: the image as it was seen, and three label maps of its size.

    Attributes:
        title: image and disturbance.
        image: (h, w, 3) in [0, 1].
        person, fixed, accommodated: (h, w) int.
        covering_fixed, covering_accommodated: of the full-size maps, against all people.
    """

    title: str
    image: np.ndarray
    person: np.ndarray
    fixed: np.ndarray
    accommodated: np.ndarray
    covering_fixed: float
    covering_accommodated: float


@torch.no_grad()
def sheets(
    contest: ResponseTable, data: LabelledSet, how: MeasureSettings, shown: Method, *, n: int = N_SHOWN
) -> tuple[list[Sheet], list[Sheet]]:
    """The ``n`` cases that a method helped most, and the ``n`` it harmed most, perceived once more."""
    methods = list(contest.meta["methods"])
    covering = contest.column(COVERING)
    i_fixed, i_shown = methods.index(FIXED), methods.index(shown.label)
    gain = covering[:, i_shown] - covering[:, i_fixed]
    order = np.argsort(-gain, kind="stable")
    helped = [int(i) for i in order if gain[i] > 0][:n]
    harmed = [int(i) for i in order[::-1] if gain[i] < 0][:n]
    perceiver = how.make_perceiver()
    device = device_of(perceiver)
    u = {
        name: np.stack([contest.column(f"u.{p}")[:, i] for p in perceiver.table.names], 1)
        for name, i in (("fixed", i_fixed), ("shown", i_shown))
    }
    is_stretched = shown.controller == "normalise"
    index = {name: i for i, name in enumerate(data.names)}

    def labels(name: str, i: int, x: Tensor, size: tuple[int, int]) -> np.ndarray:
        theta = perceiver.table.from_unit(torch.as_tensor(u[name][i : i + 1], device=device))
        found: np.ndarray = perceiver(x, theta, perceiver.cues(x)).labels(size)[0].cpu().numpy()
        return found

    def sheet(i: int) -> Sheet:
        case = contest.cases[i]
        item = data[index[case.image]]
        image = see(item, case, size_px=how.size_px)
        size = _cell_size(image)
        other = stretch(image[0])[None] if is_stretched else image
        maps = [labels(name, i, x.to(device), size) for name, x in (("fixed", image), ("shown", other))]
        return Sheet(
            _title(case), _small(image, size), _drawing(item, size), maps[0], maps[1],
            float(covering[i, i_fixed]), float(covering[i, i_shown]),
        )  # fmt: skip

    return [sheet(i) for i in helped], [sheet(i) for i in harmed]


def contact_sheet(best: Sequence[Sheet], worst: Sequence[Sheet], *, method: str) -> Figure:
    """What accommodation helped most (left) and harmed most (right): image, a person, fixed, accommodated.

    Args:
        best: in falling order of the difference.
        worst: the most harmed first.
        method: label of the method, for the title.
    """
    n_rows = max(len(best), len(worst), 1)
    cell, gap, text, middle, top = 1.5, 0.06, 0.36, 0.5, 0.98
    row_in = 0.75 * cell + text
    width, height = 8 * cell + 6 * gap + middle + 0.4, top + n_rows * row_in + 0.1
    figure = new_figure(width, height)
    style: dict[str, Any] = {"color": INK, "weight": "bold", "va": "center"}
    figure.text(0.2 / width, 1 - 0.24 / height, f"{method} against fixed", fontsize=12.5, parse_math=False, **style)
    for side, sheets in enumerate((best, worst)):
        left = 0.2 + side * (4 * cell + 3 * gap + middle)
        words = ("Gained most", "Lost most")[side] + ("" if sheets else ": none")
        figure.text(left / width, 1 - 0.56 / height, words, fontsize=10, **style)
        for column, word in enumerate(("image", "a person", "fixed", "accommodated")):
            x = (left + column * (cell + gap)) / width
            figure.text(x, 1 - 0.8 / height, word, fontsize=8.5, color=FAINT, va="center")
        for row, sheet in enumerate(sheets):
            bottom = height - top - (row + 1) * row_in + text
            _sheet_row(figure, sheet, left_in=left, bottom_in=bottom, cell_in=cell, gap_in=gap)
    return figure


def _sheet_row(
    figure: Figure, sheet: Sheet, *, left_in: float, bottom_in: float, cell_in: float, gap_in: float
) -> None:
    width, height = figure.get_size_inches()
    gain = sheet.covering_accommodated - sheet.covering_fixed
    notes = (sheet.title, "", f"{sheet.covering_fixed:.3f}", f"{sheet.covering_accommodated:.3f}  ({gain:+.3f})")
    maps = (None, sheet.person, sheet.fixed, sheet.accommodated)
    for column, (labels, note) in enumerate(zip(maps, notes, strict=True)):
        box = ((left_in + column * (cell_in + gap_in)) / width, bottom_in / height, cell_in / width,
               0.75 * cell_in / height)  # fmt: skip
        ax = figure.add_axes(box)
        shown = sheet.image if labels is None else _painted(sheet.image, labels)
        picture(ax, shown, "", note.replace("-", "−") if column == 3 else note)
        ax.images[0].set_interpolation("antialiased")  # or thin borders would fall between the pixels
        ax.set_anchor("SW")
        ax.xaxis.label.set_fontsize(7.5)


def _painted(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Each region in its own colour, with white borders two pixels wide: (h, w, 3)."""
    page = own_colours(image, labels)
    page[find_boundaries(labels, mode="thick")] = 1.0
    return page


def _title(case: Case) -> str:
    return case.image if case.disturbance == "none" else f"{case.image}, {case.disturbance.replace('_', ' ')}"


def _cell_size(image: torch.Tensor) -> tuple[int, int]:
    height, width = image.shape[-2:]
    scale = _CELL_PX / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _small(image: torch.Tensor, size: tuple[int, int]) -> np.ndarray:
    small = torch.nn.functional.interpolate(image, size=size, mode="bilinear", antialias=True, align_corners=False)
    return small[0].permute(1, 2, 0).clamp(0, 1).numpy()


def _drawing(item: LabelledImage, size: tuple[int, int]) -> np.ndarray:
    """The drawing with the median number of regions, by nearest pixel."""
    n_regions = [len(np.unique(one)) for one in item.segmentations]
    drawn = item.segmentations[int(np.argsort(n_regions, kind="stable")[len(n_regions) // 2])]
    rows, columns = (np.arange(n) * full // n for n, full in zip(size, drawn.shape, strict=True))
    _, labels = np.unique(drawn[rows[:, None], columns], return_inverse=True)
    return labels.reshape(size)
