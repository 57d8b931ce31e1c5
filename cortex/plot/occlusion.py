"""Which parts of an image its code hangs on: hide a part, and see how far the code moves (Zeiler & Fergus 2014)."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import colormaps
from matplotlib.figure import Figure
from torch import Tensor

from ciliary.cortex.model import Cortex
from ciliary.cortex.parameters import Theta, repeat_theta
from ciliary.cortex.plot import paint, style
from ciliary.cortex.plot.look import Look
from ciliary.cortex.plot.sheet import Sheet, picture_row
from ciliary.cortex.stages.m5_recognition import image_code

N_CELLS = 6
BLOCK_SHARE = 0.25
GREY = 0.5  # of the block, in sRGB: the grey that transparent parts of a file are shown on
_MOST_PIXELS = 1_500_000  # of one pass: all 37 images of 192 x 192 px at once, some 2 GB; larger ones in a few passes


def blocks(size: tuple[int, int], n_cells: int = N_CELLS, share: float = BLOCK_SHARE) -> Tensor:
    """Which pixels each block hides: (n_cells^2, 1, H, W) bool, row by row.

    A block is ``share`` of each side and stands at the middle of its cell of the grid; borders of the image cut it.
    """

    def spans(n: int) -> Tensor:
        centre = (torch.arange(n_cells) + 0.5) * n / n_cells
        from_centre = torch.arange(n) + 0.5 - centre[:, None]
        return (from_centre >= -share * n / 2) & (from_centre < share * n / 2)  # (n_cells, n)

    hides = spans(size[0])[:, None, :, None] & spans(size[1])[None, :, None, :]
    return hides.flatten(0, 1)[:, None]


@torch.no_grad()
def occlusion_map(
    cortex: Cortex, image: Tensor, theta: Theta, *, n_cells: int = N_CELLS, share: float = BLOCK_SHARE
) -> np.ndarray:
    """How far the image's code moves when each place is hidden: (n_cells, n_cells), 1 - cosine, in [0, 2].

    All hidden images, and the whole one, are one batch, as long as memory allows.

    Args:
        cortex: one that recognises.
        image: (3, H, W) in [0, 1].
        theta: (1,) each.
        n_cells: places along each side.
        share: of each side that a block hides.
    """
    hidden = blocks((image.shape[-2], image.shape[-1]), n_cells, share)
    batch = torch.cat([image[None], torch.where(hidden, GREY, image)]).to(cortex.device)
    n_pass = max(1, _MOST_PIXELS // image[0].numel())
    code = torch.cat([image_code(cortex(part, repeat_theta(theta, len(part)))) for part in batch.split(n_pass)])
    moved = 1 - F.cosine_similarity(code[1:].double(), code[:1].double())
    return moved.clamp_min(0).reshape(n_cells, n_cells).cpu().numpy()


def draw_occlusion(look: Look) -> Figure:
    """The heat map, over the image and by itself."""
    heat = occlusion_map(look.cortex, look.image, look.theta)
    image = paint.as_picture(look.image)
    size = image.shape[:2]
    sheet = Sheet(
        "What the image's code hangs on",
        f"a grey block, {100 * BLOCK_SHARE:.0f} % of each side, hides each of {N_CELLS} × {N_CELLS} places in turn",
        [picture_row(3, size)],
    )
    top = max(float(heat.max()), 1e-6)
    i_most = int(heat.argmax())
    example = np.where(blocks(size)[i_most, 0, :, :, None].numpy(), GREY, image)
    style.picture(sheet.axes(0, 0), example, "The block where it matters most", f"the code moves by {top:.3f}")
    ax = sheet.axes(0, 1)
    smooth = F.interpolate(torch.from_numpy(heat)[None, None], size=size, mode="bicubic", align_corners=False)[0, 0]
    share = np.clip(smooth.numpy() / top, 0, 1)[..., None]
    colour = colormaps["YlOrRd"](share[..., 0])[..., :3]
    faint = 0.5 + 0.5 * image.mean(2, keepdims=True)
    style.picture(ax, faint * (1 - 0.8 * share) + colour * 0.8 * share, "Heat", "over the image, smoothed")
    ax = sheet.axes(0, 2)
    ax.imshow(heat, cmap="YlOrRd", vmin=0, vmax=top, extent=(0, size[1], size[0], 0), interpolation="nearest")
    n_digits = 2 if top >= 0.1 else 3
    for (i, j), value in np.ndenumerate(heat):
        place = (j + 0.5) * size[1] / N_CELLS, (i + 0.5) * size[0] / N_CELLS
        ink = "white" if value > 0.6 * top else style.INK
        ax.text(*place, f"{value:.{n_digits}f}".lstrip("0"), fontsize=7.5, ha="center", va="center", color=ink)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_title("How far the code moves", fontsize=10, color=style.INK, loc="left", pad=5)
    ax.set_xlabel("1 − cosine of the mean code", fontsize=8.5, color=style.FAINT, loc="left", labelpad=3)
    for spine in ax.spines.values():
        spine.set(color=style.GRID, linewidth=0.8)
    return sheet.figure
