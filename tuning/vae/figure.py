"""Proto-objects and what the autoencoder gives back of them; steps from one proto-object to another."""

from __future__ import annotations

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from ciliary.cortex.description import PARTS
from ciliary.cortex.plot import style
from ciliary.cortex.plot.recognition import shape_frame
from ciliary.cortex.plot.sheet import Row, Sheet
from ciliary.tuning.vae.learn import Objects
from ciliary.tuning.vae.model import Vae

N_SHOWN = 8
_TINT = torch.tensor([[1.0, 1.0, 0.0], [1.0, -1.0, 0.0], [1.0, 0.0, 2.0]])  # luminance, red-green, blue-yellow to RGB


@torch.no_grad()
def draw_vae(model: Vae, objects: Objects, *, seed: int = 0) -> Figure:
    """Shapes of proto-objects not learned from, as they are and as given back, and steps between the codes of two."""
    held = objects.description[~torch.as_tensor(objects.is_learned_from)]
    chosen = torch.as_tensor(np.random.default_rng(seed).permutation(len(held))[:N_SHOWN])
    mean, _, _ = model.encode(held[chosen])
    steps = torch.linspace(0, 1, N_SHOWN)[:, None]
    between = model.decode((1 - steps) * mean[0] + steps * mean[-1])
    rows = [Row(N_SHOWN + 1, 1.1, 0.14, 0.12)] * 3
    sheet = Sheet("Proto-objects through a code of few numbers", "shape in its own frame, in the tint of its colour; "
                  "of photographs not learned from", rows)  # fmt: skip
    told = {"as they are": held[chosen], "given back": model.decode(mean), "steps from the\nfirst to the last": between}
    for row, (words, descriptions) in enumerate(told.items()):
        sheet.words(row, 0, words)
        for column, one in enumerate(descriptions, start=1):
            style.picture(sheet.axes(row, column), _tinted(one * objects.spread + objects.mean), "")
    return sheet.figure


def _tinted(description: Tensor) -> np.ndarray:
    """(6, 6, 3): the shape of a description in its mean colour, on white."""
    shape = shape_frame(description)[..., None]
    colour = (_TINT @ description[PARTS["colour"]][:3] * 0.5 + 0.3).clamp(0, 1).numpy()
    return np.asarray(1 - shape + shape * colour)
