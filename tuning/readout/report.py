"""The page of a readout: what the maps hold, how they were split, what every model came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ciliary.tuning.readout.data import class_weights
from ciliary.tuning.readout.exam import Row
from ciliary.tuning.readout.fit import Fitted
from ciliary.tuning.readout.learn import Data
from ciliary.tuning.readout.settings import ReadoutSettings
from ciliary.tuning.runs.tables import Table, rows_to_markdown

_READING = (
    "Dice: mean over the classes present in an image (absent from what was drawn and from what was found: left out), "
    "then over images; `dice absent as 1`: an absent class counts as 1, as in smoothed ratios. `less`: less that of "
    "the first model at its defaults under the same disturbance. Accuracy says little where one class fills the image. "
    "Boundary F: of borders between classes, within 0.0075 of the diagonal. Hausdorff distance: mean over the classes "
    "present, the diagonal where a class is missed altogether. Intervals: 95 %, bootstrap over test images.\n"
)


def census_table(data: Data) -> Table:
    """Classes, their share of the pixels, images that lack them, and what they weigh."""
    census, split = data.census, data.split
    weights = class_weights(census, split.train)
    rows = tuple(
        (name, f"{100 * census.share[k]:.1f} %", f"{census.lacking[k]} of {len(census.names)}", f"{weights[k]:.2f}")
        for k, name in enumerate(census.classes.names)
    )
    parts = (split.train, split.validation, split.test)
    sizes = ", ".join(f"{len(p)} {w}" for p, w in zip(parts, ("training", "validation", "test"), strict=True))
    note = f"Counted before the split: {sizes} images. Weights: of the training images."
    return Table("Classes", ("class", "pixels", "images without", "weight"), rows, note=note)


def page(s: ReadoutSettings, data: Data, rows: Sequence[Row], fitted: Mapping[str, Fitted], *, own: str) -> str:
    """The page as Markdown."""
    ends = tuple(
        (name, str(one.model.n_weights), str(one.best.number), str(one.epochs[-1].number),
         f"{one.best.train:.3f}", f"{one.best.validation:.3f}")
        for name, one in fitted.items()
    )  # fmt: skip
    learned = Table(
        "Learning",
        ("model", "weights", "epoch kept", "of", f"training {s.loss}", f"validation {s.loss}"),
        ends,
        note=f"Kept in the file: {own}." if sum(name.startswith("cortex") for name in fitted) > 1 else "",
    )
    head = (
        f"# Readout of {str(s.labelled).rstrip('/').rpartition('/')[2]}\n\nA cortex that inherits {s.inherited}, "
        f"images at {s.size_px} px, split by {s.split}, loss {s.loss}, seed {s.seed}.\n\n"
    )
    tables = "\n".join((census_table(data).markdown(), learned.markdown()))
    return f"{head}{tables}\n## Test images\n\n{rows_to_markdown(rows)}\n{_READING}"
