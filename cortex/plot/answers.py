"""What early units prefer: of many photographs, the patches that each orientation of M1 answers to most strongly.

And the proto-objects that M4 is surest of. Of M5's experts: :mod:`ciliary.cortex.plot.experts`.
"""

from __future__ import annotations

import math

from matplotlib.figure import Figure
from skimage.feature import peak_local_max

from ciliary.cortex.percept import N_ORIENTATIONS
from ciliary.cortex.plot import paint, style
from ciliary.cortex.plot.experts import CutOut, best_of
from ciliary.cortex.plot.look import N_OBJECTS, Look, proto_objects
from ciliary.cortex.plot.sheet import Row, Sheet

N_SHOWN = 10
_WAVES = 2.0  # wavelengths of the scale that a patch shows to each side
_LEAST_PX = 5
_PER_IMAGE = 3  # patches of one photograph, at most: one fence must not be all that is shown


def with_patches(kept: list[list[CutOut]], one: Look, *, n_most: int = N_SHOWN) -> list[list[CutOut]]:
    """What is preferred once a look has joined those before it (none: ``[]``).

    Units: each orientation of M1 at the scale that answers most, then M4's objectness.
    """
    energy = one.percept.m1.energy[0].unflatten(0, (-1, N_ORIENTATIONS)).amax(0).numpy()
    half = max(_LEAST_PX, round(_WAVES * float(one.theta["wavelength_px"])))
    image = paint.as_picture(one.image)
    half = min(half, (min(image.shape[:2]) - 1) // 2)
    found = []
    for field in energy:
        peaks = peak_local_max(field, min_distance=half, exclude_border=half, num_peaks=_PER_IMAGE)
        found.append([
            CutOut(one.name, image[y - half : y + half + 1, x - half : x + half + 1], float(field[y, x]), 0.0)
            for y, x in peaks
        ])  # fmt: skip
    objects = proto_objects(one.percept, n_most=N_OBJECTS)
    found.append([CutOut(one.name, paint.cut_out(image, o.mask), o.objectness, o.weight) for o in objects])
    return best_of(kept, found, n_most)


def draw_answers(kept: list[list[CutOut]], *, n_images: int) -> Figure:
    """A row an orientation, and one of M4; the number is the energy, or the objectness."""
    many = f"{n_images} image{'s' if n_images != 1 else ''}"
    note = (
        f"of {many}, at most {_PER_IMAGE} patches of each; the number is the energy of the scale that answers most, "
        "of M4 the objectness"
    )
    sheet = Sheet("What M1 and M4 answer to most", note, [Row(N_SHOWN + 1, 0.9, 0.3, 0.07) for _ in kept])
    for row, cut_outs in enumerate(kept):
        is_m4 = row == N_ORIENTATIONS
        degrees = math.degrees(math.pi * row / N_ORIENTATIONS)
        sheet.words(row, 0, "M4:\nproto-objects" if is_m4 else f"M1: {degrees:.0f}°")
        for column, cut_out in enumerate(cut_outs[:N_SHOWN], start=1):
            ax = sheet.axes(row, column)
            number = f"{cut_out.gate:.2f}" if is_m4 else f"{cut_out.gate:.3f}"
            style.picture(ax, cut_out.picture, "", number)
            ax.xaxis.label.set_fontsize(7.5)
    return sheet.figure
