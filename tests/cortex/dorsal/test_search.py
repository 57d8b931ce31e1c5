"""What is expected, what a look would gain, and where own sight goes: beside brute force and an even grid."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from ciliary.cortex.dorsal.expectation import (
    ExpectationNet,
    expected_priority,
    read_expectation,
    sheet,
    unresolved,
)
from ciliary.cortex.dorsal.gain import expected_gain
from ciliary.cortex.dorsal.looking import whole_priority
from ciliary.cortex.dorsal.search import believe, search, winner_deg
from ciliary.cortex.eye.fovea import take_glance
from ciliary.cortex.eye.lattice import FoveatedLattice
from ciliary.cortex.eye.mosaic import add_glance, blank_mosaic
from ciliary.cortex.stages.contour_net import fuse_norms
from ciliary.cortex.stages.retina import srgb_to_linear
from ciliary.envs.data.sources import bundled

LATTICE = FoveatedLattice()
FIELD_DEG = (15.0, 20.0)
CELLS = (15, 20)


def mosaic_after(*gazes: tuple[float, float], light: torch.Tensor | None = None, px_per_deg: float = 3.0):
    light = torch.rand(1, 3, 45, 60, generator=torch.Generator().manual_seed(0)) if light is None else light
    mosaic = blank_mosaic(1, (light.shape[-2], light.shape[-1]), px_per_deg)
    for gaze in gazes:
        mosaic = add_glance(mosaic, take_glance(light, LATTICE, torch.tensor([gaze]), px_per_deg))
    return mosaic


def test_the_best_look_is_that_of_brute_force():
    """Every place is looked at in turn, and what is left unresolved is counted."""
    density = torch.rand(1, 1, *CELLS, generator=torch.Generator().manual_seed(1))
    density = density / density.sum()
    before = mosaic_after((0.0, 0.0), (3.0, -4.0), px_per_deg=1.0, light=torch.rand(1, 3, *CELLS))
    left = unresolved(before, LATTICE)
    gain = expected_gain(density, left, LATTICE, field_deg=FIELD_DEG, step=1)
    for y, x in ((0, 0), (7, 3), (10, 16), (14, 19)):
        gaze = (y + 0.5 - 7.5, x + 0.5 - 10.0)
        glance = take_glance(torch.rand(1, 3, *CELLS), LATTICE, torch.tensor([gaze]), 1.0)
        after = unresolved(add_glance(before, glance), LATTICE)
        fall = float((density * (left - after)).sum())
        assert float(gain[0, 0, y, x]) == pytest.approx(fall, abs=2e-3)


def test_every_second_cell_and_what_lies_between_are_near_every_cell():
    density = F.avg_pool2d(torch.rand(1, 1, 45, 60, generator=torch.Generator().manual_seed(1)), 3)
    density, left = density / density.sum(), torch.ones(1, 1, *CELLS)
    fine, coarse = (expected_gain(density, left, LATTICE, field_deg=FIELD_DEG, step=step) for step in (1, 2))
    assert float((fine - coarse).abs().max()) < 0.06 * float(fine.max())


def test_what_is_resolved_has_nothing_left_to_give():
    assert float(expected_gain(torch.full((1, 1, 15, 20), 1 / 300), torch.zeros(1, 1, 15, 20), LATTICE,
                               field_deg=FIELD_DEG).max()) == 0  # fmt: skip


def test_the_sheet_tells_what_was_seen_and_how_well():
    mosaic = mosaic_after((0.0, 0.0))
    told = sheet(mosaic, LATTICE)
    assert told.shape == (1, 5, 36, 48)
    middle, corner = told[0, 3, 18, 24], told[0, 3, 0, 0]
    assert -1 <= float(middle) < -0.3 < 0.5 < float(corner) <= 1
    nothing = sheet(blank_mosaic(1, (45, 60), 3.0), LATTICE)
    assert float(nothing[:, :3].abs().max()) == float(nothing[:, 4].max()) == 0
    assert float(nothing[:, 3].min()) == 1


def test_the_expectation_is_a_density_for_fields_of_any_size():
    for size in ((45, 60), (31, 22), (5, 6)):
        told = expected_priority(blank_mosaic(2, size, 2.4), LATTICE)
        assert told.shape == (2, 1, -(-size[0] // 2), -(-size[1] // 2))
        assert torch.allclose(told.sum((1, 2, 3)), torch.ones(2), atol=1e-5)


def test_fusing_the_norms_changes_nothing():
    net = ExpectationNet().eval()
    for part in net.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(part.running_mean)
            torch.nn.init.uniform_(part.running_var, 0.5, 2)
    seen = torch.randn(2, 5, 36, 48)
    with torch.no_grad():
        before = net(seen)
        fuse_norms(net)
        assert torch.allclose(net(seen), before, atol=1e-4)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in net.modules())


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "expectation.safetensors"
    path.write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="train expectation"):
        read_expectation(path)
    with pytest.raises(FileNotFoundError, match="train expectation"):
        read_expectation(tmp_path / "none")


def test_the_winner_is_the_middle_of_the_best_cell():
    gain = torch.zeros(2, 1, 4, 8)
    gain[0, 0, 0, 7] = gain[1, 0, 2, 4] = 1
    assert winner_deg(gain, (8.0, 16.0)).tolist() == [[-3.0, 7.0], [1.0, 1.0]]


def test_a_known_density_draws_the_gaze_and_a_second_look_goes_elsewhere():
    density = torch.zeros(1, 1, 36, 48)
    density[0, 0, 6, 40] = density[0, 0, 30, 8] = 1
    path = search(torch.rand(1, 3, 75, 100), px_per_deg=3.0, n_glances=3, density=density)
    targets = {(-8.85, 11.5), (8.5, -11.5)}
    for gaze in path[0, 1:].tolist():
        near = min(targets, key=lambda at: (at[0] - gaze[0]) ** 2 + (at[1] - gaze[1]) ** 2)
        assert (near[0] - gaze[0]) ** 2 + (near[1] - gaze[1]) ** 2 < 1
        targets.remove(near)
    assert path[0, 0].tolist() == [0, 0]


def test_own_sight_finds_more_of_what_matters_than_an_even_grid():
    """On bundled photographs, which it did not learn from: what is left of the sharp photograph's priority."""
    grid = torch.tensor([(0.0, 0.0), *((y, x) for y in (-6.2, 6.2) for x in (-12.5, -4.2, 4.2, 12.5))][:8])
    left = {"own": 0.0, "grid": 0.0, "known": 0.0}
    for name in ("astronaut", "rocket", "chelsea", "coffee"):
        image = F.interpolate(bundled(240).find(name).image[None], size=(180, 240), mode="bilinear")
        _, density = whole_priority(image, px_per_deg=7.2)
        light = srgb_to_linear(image)
        paths = {
            "own": search(light, px_per_deg=7.2, n_glances=8, centre_exponent=0)[0],
            "known": search(light, px_per_deg=7.2, n_glances=8, density=density)[0],
            "grid": grid,
        }
        for which, path in paths.items():
            mosaic = mosaic_after(*map(tuple, path.tolist()), light=light, px_per_deg=7.2)
            left[which] += float(believe(mosaic, LATTICE, density=density).unresolved_share) / 4
    assert left["known"] < left["own"] < left["grid"] - 0.03
