"""Codes of the proto-objects of many images, brought to a plane; before and after a change of setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ciliary.cortex.parameters import ParameterTable, Theta
from ciliary.cortex.plot import paint
from ciliary.cortex.plot.embedding import Plane, draw_embedding
from ciliary.cortex.plot.look import N_OBJECTS, Look, proto_objects
from ciliary.tuning.runs.record import FILE, read

_LEAST_OVERLAP = 0.5  # intersection over union of what is the same thing before and after
_FEWEST = 12  # objects; of fewer, t-SNE says nothing that principal components do not
_PERPLEXITY = 30.0  # van der Maaten & Hinton 2008: 5 to 50
_N_NEIGHBOURS = 5


@dataclass(frozen=True, eq=False)
class Thing:
    """A proto-object: which image's, how it looks, where it is, and what M4 and M5 say of it."""

    image: str
    picture: np.ndarray
    mask: np.ndarray
    codes: Mapping[str, np.ndarray]  # area to (d,)


def things_of(one: Look) -> list[Thing]:
    """The heaviest proto-objects of a look."""
    image, percept = paint.as_picture(one.image), one.percept
    areas = {"M4: embedding": percept.m4.embedding[0].numpy()}
    if percept.m5 is not None:
        areas["M5: code"] = percept.m5.code[0].numpy()
    return [
        Thing(one.name, paint.cut_out(image, o.mask), o.mask, {area: own[o.slot] for area, own in areas.items()})
        for o in proto_objects(percept, n_most=N_OBJECTS)
    ]


def to_plane(vectors: np.ndarray, *, seed: int) -> tuple[np.ndarray, str]:
    """(N, d) to (N, 2), and how: each entry in units of its spread, then t-SNE, or principal components of a few.

    The words tell how far neighbours in the plane are neighbours (trustworthiness, Venna & Kaski 2001; 1 at best).
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE, trustworthiness

    n = len(vectors)
    scaled = (vectors - vectors.mean(0)) / np.maximum(vectors.std(0), 1e-6)
    if n < _FEWEST:
        flat = PCA(2, random_state=seed).fit_transform(scaled) if n > 2 else np.pad(scaled[:, :1], ((0, 0), (0, 1)))
        return flat, "two principal components"
    perplexity = min(_PERPLEXITY, (n - 1) / 3)
    flat = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(scaled)
    n_neighbours = min(_N_NEIGHBOURS, n // 2 - 1)
    trust = trustworthiness(scaled, flat, n_neighbors=n_neighbours)
    return flat, f"t-SNE, perplexity {perplexity:.0f}; trustworthiness of {n_neighbours} neighbours {trust:.2f}"


def same_things(before: Sequence[Thing], after: Sequence[Thing]) -> list[tuple[int, int]]:
    """Pairs of the same image whose masks overlap most, and by half at least."""
    pairs = []
    for i, one in enumerate(before):
        best = max(
            ((_overlap(one.mask, other.mask), j) for j, other in enumerate(after) if other.image == one.image),
            default=(0.0, 0),
        )
        if best[0] >= _LEAST_OVERLAP:
            pairs.append((i, best[1]))
    return pairs


def draw_things(before: Sequence[Thing], after: Sequence[Thing], *, seed: int, n_images: int) -> Figure:
    """A plane an area, both settings in the same one.

    Raises:
        ValueError: there are fewer than two proto-objects.
    """
    if len(before) < 2:
        raise ValueError(f"expected two proto-objects at least to compare, got {len(before)}; give more images")
    moved = same_things(before, after)
    planes = []
    for area in before[0].codes:
        flat, words = to_plane(np.stack([one.codes[area] for one in (*before, *after)]), seed=seed)
        planes.append(Plane(area, words, flat[: len(before)], flat[len(before) :], moved))
    many = f"{n_images} image{'s' if n_images != 1 else ''}"
    note = f"the {len(before)} heaviest proto-objects of {many}"
    if after:
        note += f"; orange: at the other setting, lines join what overlaps by half ({len(moved)} of {len(before)})"
    return draw_embedding(planes, [one.picture for one in before], note=note)


def settings_of(session: Path, table: ParameterTable) -> dict[str, Theta]:
    """The setting that each undisturbed image of a session ended with, (1,) each; of several episodes the last.

    Raises:
        FileNotFoundError, ValueError: it is no session's folder, or another perceiver's.
    """
    path = session / FILE
    if not path.is_file():
        raise FileNotFoundError(f"no {FILE} in {session}; expected the folder of a session of ciliary accommodate")
    found = {}
    for record in read(path):
        if record.get("status") == "FINISHED" and record["disturbance"] == "none":
            values = {name: value for name, value in record["parameters"].items() if name in table}
            found[str(record["image"])] = table.default_theta(1, **values)
    if not found:
        raise ValueError(f"no finished episode of an undisturbed image in {path}")
    return found


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / max((one | other).sum(), 1)) if one.shape == other.shape else 0.0
