"""The techniques of attribution: occlusion, gradients beside their control, deletion and insertion."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from matplotlib.figure import Figure
from torch import Tensor

from ciliary.cortex.explain.faithfulness import Curves, deletion_insertion
from ciliary.cortex.plot.attribution import Explained, draw_faithfulness, draw_occlusion, draw_saliency
from ciliary.cortex.plot.sheet import Row, Sheet
from ciliary.tuning.inspect.attributions import (
    EDGES,
    INTEGRATED,
    OCCLUSION,
    at_once,
    backward,
    edges_of,
    effort,
    fill_of,
    image_of,
    lots_of,
    occlusion,
)
from ciliary.tuning.inspect.seen import Seen
from ciliary.tuning.inspect.targets import together


def draw_hidden(seen: Seen) -> Figure:
    """What falls where a place is hidden."""
    rows = [
        Explained(target.name, target.words, {OCCLUSION: heat}, {}, {}, target.region)
        for target, heat in zip(seen.targets, occlusion(seen), strict=True)
    ]
    return draw_occlusion(seen.look.image, rows, share=effort(seen).share)


def draw_gradients(seen: Seen) -> Figure:
    """Maps of the targets that have a gradient, each beside its control."""
    found = backward(seen)
    if found is None:
        names = ", ".join(target.name for target in seen.targets)
        return _nothing("Which pixels it would change with", f"no gradient goes back from {names}")
    rows = []
    for i, target in enumerate(found.targets):
        change, gap = float(found.change[i]), float(found.gap[i])
        notes = {INTEGRATED: f"sum {change + gap:.3g}, change {change:.3g}".replace("-", "−")}
        maps, control = ({name: own[i] for name, own in x.items()} for x in (found.maps, found.control))
        rows.append(Explained(target.name, target.words, maps, control, notes, target.region))
    copies = effort(seen).n_copies
    note = (
        f"gradients: root mean square over {copies} noisy cop{'y' if copies == 1 else 'ies'}; integrated from the "
        "blurred image: orange adds, blue takes away; alike: each map and its control"
    )
    return draw_saliency(seen.look.image, rows, lot=found.lot.replace(": ", ":\n"), note=note)


@dataclass(frozen=True, eq=False)
class Judged:
    """How well each map names the pixels that count.

    Attributes:
        names: (M) methods.
        which: (M,) index of the target each map is about.
        curves: of the M maps.
    """

    names: tuple[str, ...]
    which: Tensor
    curves: Curves


def judge(seen: Seen, n_targets: int | None = None) -> Judged:
    """Deletion and insertion of every map there is, for the first targets (all when None)."""
    targets = seen.targets[:n_targets]
    found = backward(seen)
    hidden = occlusion(seen)
    rows: list[tuple[str, int, Tensor]] = []
    for i, target in enumerate(targets):
        rows.append((OCCLUSION, i, hidden[i]))
        if found is not None and target in found.targets:
            at = found.targets.index(target)
            rows += [(name, i, own[at]) for name, own in found.maps.items()]
        rows.append((EDGES, i, edges_of(seen)))
        rows += [(name, i, own) for name, own in lots_of(seen).items()]
    names, which, maps = zip(*rows, strict=True)
    image = image_of(seen)
    curves = deletion_insertion(
        together(seen.look, targets),
        image,
        fill_of(seen),
        torch.stack(maps).to(image.device),
        torch.tensor(which, device=image.device),
        n_steps=effort(seen).n_shares,
        seed=seen.seed,
        n_at_once=at_once(seen),
        tick=seen.tick,
    )
    cpu = Curves(curves.share.cpu(), curves.deletion.cpu(), curves.insertion.cpu())
    return Judged(names, torch.tensor(which), cpu)


def draw_deletion(seen: Seen) -> Figure:
    """Curves of the first target."""
    judged = judge(seen, 1)
    target = seen.targets[0]
    note = f"{target.words}; what is deleted is blurred"
    return draw_faithfulness(judged.curves, judged.names, target=target.name, note=note)


def _nothing(title: str, words: str) -> Figure:
    sheet = Sheet(title, "", [Row(1, 0.6)])
    sheet.words(0, 0, words)
    return sheet.figure
