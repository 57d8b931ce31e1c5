"""Where people look, on photographs that nothing was chosen on: between floor and ceiling, and order of fixations."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ciliary.cortex.dorsal.conspicuity import conspicuity
from ciliary.cortex.dorsal.priority import Dorsal
from ciliary.cortex.dorsal.scan import scan_path
from ciliary.cortex.parameters import default_theta
from ciliary.cortex.stages.retina import retina
from ciliary.envs.data.gaze import OSIE_PX_PER_DEG, GazeSet, is_to_choose, read_gaze
from ciliary.envs.metrics.gaze_baselines import all_counts, centre_bias
from ciliary.envs.metrics.scanpath import ScanMatch
from ciliary.tuning.evaluation.gaze import gaze_table

PHOTOGRAPH, SMALL, CELLS = (600, 800), (240, 320), (60, 80)
PX_PER_DEG = OSIE_PX_PER_DEG * SMALL[1] / PHOTOGRAPH[1]
CELLS_PER_DEG = OSIE_PX_PER_DEG * CELLS[1] / PHOTOGRAPH[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def osie(data_root) -> GazeSet:
    root = data_root / "active" / "osie"
    if not root.is_dir():
        pytest.skip(f"no OSIE at {root}; expected fixations.npz and images/ in it")
    return read_gaze(root)


@pytest.fixture(scope="module")
def told(osie) -> list[int]:
    return [i for i, name in enumerate(osie.names) if not is_to_choose(name)][::4]


@pytest.fixture(scope="module")
def maps(osie, told) -> dict[str, np.ndarray]:
    found = {name: np.zeros((len(osie), *CELLS)) for name in ("energy", "priority")}
    dorsal = Dorsal(px_per_deg=PX_PER_DEG)
    with torch.no_grad():
        for i in told:
            small = F.interpolate(osie[i].image[None], size=SMALL, mode="bilinear", antialias=True).clamp(0, 1)
            seen = retina(small, default_theta(1))
            found["energy"][i] = conspicuity(seen.opponent, px_per_deg=PX_PER_DEG).energy[0, 0]
            found["priority"][i] = dorsal(seen)[0, 0]
    return found


def test_priority_is_well_above_the_floor_and_below_people(osie, told, maps):
    table = gaze_table(maps, osie, photograph=PHOTOGRAPH, px_per_deg=OSIE_PX_PER_DEG, told_on=told)
    for name, row in table.items():
        print(f"{name:20s}", " ".join(f"{metric} {interval}" for metric, interval in row.items()))
    assert table["centre"]["nss"].mean < table["energy"]["nss"].mean < table["priority"]["nss"].mean
    assert table["priority x centre"]["nss"].mean > 1.6
    assert table["priority"]["sauc"].mean > 0.75
    assert table["priority x centre"]["ig"].mean > 0.6
    assert table["people"]["nss"].mean > 3.3


def test_scan_paths_are_more_like_peoples_than_random_ones_are(osie, told, maps):
    match, rng = ScanMatch(), np.random.default_rng(0)
    bias = centre_bias(all_counts(osie.fixations, photograph=PHOTOGRAPH, size=CELLS), sigma=CELLS_PER_DEG)
    y, x = scan_path(
        torch.from_numpy((maps["priority"] * bias)[told])[:, None], n_fixations=9, cells_per_deg=CELLS_PER_DEG
    )
    ours, random, theirs = [], [], []
    for k, i in enumerate(told):
        cells = rng.choice(bias[i].size, 9, p=bias[i].ravel() / bias[i].sum())
        own = [osie.fixations[i].of(subject) for subject in osie.fixations[i].subjects]
        people = [match.sequence(one.y_px, one.x_px, size=PHOTOGRAPH) for one in own]
        ours += [(match.sequence(y[k].numpy(), x[k].numpy(), size=CELLS), one) for one in people]
        random += [(match.sequence(cells // CELLS[1], cells % CELLS[1], size=CELLS), one) for one in people]
        theirs += [(people[0], one) for one in people[1:]]
    found = [float(match.pairs(*zip(*pairs, strict=True)).mean()) for pairs in (random, ours, theirs)]
    print("ScanMatch: random around the centre, priority, people:", found)
    assert found[0] + 0.05 < found[1] < found[2]
    assert found[1] > 0.27
