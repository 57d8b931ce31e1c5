"""Component and pattern cells: whom they answer, pymoten as referee, and the plaids of Movshon et al."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ciliary.cortex.motion.energy import EnergySettings
from ciliary.cortex.motion.mt import PatternSettings, plane_weights
from ciliary.cortex.motion.perceive import see_motion
from ciliary.envs.data.active.drifting import grating_frames
from ciliary.envs.metrics.pattern import CRITERION, pattern_index

SIZE = (96, 96)
DIRECTIONS = np.arange(12) * 30.0


def at_the_middle(cells: torch.Tensor) -> np.ndarray:
    """(B, 8) of (B, 8, h, w)."""
    h, w = cells.shape[-2:]
    return cells[:, :, h // 2 - 2 : h // 2 + 2, w // 2 - 2 : w // 2 + 2].mean((2, 3)).numpy()


def answers(wavelength_px: float, speed_px: float, directions, *, half_angle: float | None = None):
    """V1's and MT's answers (N, 8) to gratings, or plaids, of N directions."""
    frames = []
    for d in directions:
        both = d if half_angle is None else [d - half_angle, d + half_angle]
        frames.append(
            grating_frames(direction_deg=both, wavelength_px=wavelength_px, speed_px=speed_px, n_frames=7, size_px=SIZE)
        )
    with torch.no_grad():
        out = see_motion(torch.stack(frames), is_last_only=True)[0]
    return at_the_middle(out.component.direction), at_the_middle(out.pattern.response)


@pytest.fixture(scope="module")
def gratings():
    return answers(12.0, 1.5, DIRECTIONS)


def test_each_direction_is_answered_by_its_own_cells():
    for cells in answers(12.0, 1.5, np.arange(8) * 45.0):
        assert (cells.argmax(1) == np.arange(8)).all()
        own, opposite = np.diag(cells), cells[np.arange(8), (np.arange(8) + 4) % 8]
        assert (opposite < 0.02 * own).all()
        assert cells.min() >= 0
        assert cells.max() < 1


def test_cells_are_one_cell_turned(gratings):
    # Every third cell's preferred direction is one that was shown, at equal offsets: the curves are one curve shifted.
    for cells in gratings:
        for quarter in range(1, 4):
            np.testing.assert_allclose(
                np.roll(cells[:, 2 * quarter], -3 * quarter), cells[:, 0], atol=0.03 * cells.max()
            )


def test_a_scene_at_rest_is_nothing_to_v1_and_mt(chelsea):
    out = see_motion(chelsea[:, None].expand(-1, 4, -1, -1, -1))[-1]
    assert not bool(out.component.energy.any())
    assert not bool(out.pattern.response.any())


def test_plaids_part_v1_from_mt(gratings):
    plaids = answers(12.0, 1.5, DIRECTIONS, half_angle=60.0)
    v1, mt = ([pattern_index(g[:, d], p[:, d]) for d in range(0, 8, 2)] for g, p in zip(gratings, plaids, strict=True))
    # Cell d answers most to d x 45 degrees; those at multiples of 90 were shown their preferred direction.
    assert all(one.component - one.pattern >= CRITERION for one in v1)
    assert all(one.pattern - one.component >= CRITERION for one in mt)


def test_pattern_weights_are_a_plane_through_the_origin():
    weights = plane_weights()
    torch.testing.assert_close(weights.sum(1), torch.zeros(8, dtype=weights.dtype), atol=1e-12, rtol=0)
    assert torch.linalg.matrix_rank(weights) == 2
    assert (weights.diagonal() == 1).all()


def test_a_referee_finds_the_same_tuning(gratings):
    moten = pytest.importorskip("moten", reason="pymoten is not installed")
    theirs = []
    for d in DIRECTIONS:
        frames = grating_frames(direction_deg=float(d), wavelength_px=12.0, speed_px=1.5, n_frames=30, size_px=SIZE)
        pyramid = moten.pyramids.StimulusMotionEnergy(
            frames.mean(1).numpy(),
            stimulus_fps=30,
            temporal_frequencies=[3.75],
            spatial_frequencies=[SIZE[1] / 12.0],
            spatial_directions=[float(a) for a in range(0, 360, 45)],
            sf_gauss_ratio=0.3,  # as broad as ours
        )
        parameters, answer = pyramid.project_at_vhposition(0.5, 0.5, output_nonlinearity=np.square)
        # Theirs are anticlockwise, ours are y down; and a grating that drifts right is answered by what they call 180.
        order = np.argsort([(180 - p["direction"]) % 360 for p in parameters])
        theirs.append(answer[15, order])
    ours = gratings[0]
    theirs = np.asarray(theirs)
    for d in range(8):
        assert np.corrcoef(ours[:, d], theirs[:, d])[0, 1] > 0.9
    assert (ours[::3].argmax(1) == theirs[::3].argmax(1)).all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: EnergySettings(wavelengths_px=()), "fine to coarse"),
        (lambda: EnergySettings(wavelengths_px=(12.0, 6.0)), "fine to coarse"),
        (lambda: EnergySettings(wavelengths_px=(2.0,)), ">= 3"),
        (lambda: EnergySettings(cell_px=3), "cell_px"),
        (lambda: EnergySettings(semi_saturation=0), "semi_saturation"),
        (lambda: PatternSettings(pool_cells=0), "pool_cells"),
    ],
)
def test_what_is_wrong_is_said(make, words):
    with pytest.raises(ValueError, match=words):
        make()
