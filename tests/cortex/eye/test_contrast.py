"""Contrast at the gaze: what lies beyond the scene's border does not count."""

from __future__ import annotations

import pytest
import torch

from ciliary.cortex.eye.contrast import window_contrast
from ciliary.envs import EyeEnv
from ciliary.envs.data.active.scene import EyeScene

GAZE = torch.zeros(1, 2)
FIELDS = ("energy", "noise", "coarse", "mean", "counted")


def window(side=64, seed=0):
    return torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(seed))


def rows_inside(n, side=64):
    """The scene ends after n rows of the window."""
    return torch.stack([torch.arange(side) < n, torch.ones(side, dtype=torch.bool)])[None]


def test_a_window_within_the_scene_is_weighed_as_if_nobody_asked():
    light, photons = window(), torch.tensor([900.0])
    asked = window_contrast(light, GAZE, photons, rows_inside(64))
    plain = window_contrast(light, GAZE, photons)
    assert all(torch.equal(getattr(asked, name), getattr(plain, name)) for name in FIELDS)
    assert torch.equal(plain.counted, torch.ones(1, 1, 3))


@pytest.mark.parametrize("n", [33, 40, 50])
def test_what_lies_beyond_the_border_changes_nothing(n):
    light, inside = window(), rows_inside(n)
    other = torch.where(inside[:, :1, :, None], light, window(seed=1))
    first, second = (window_contrast(one, GAZE, None, inside) for one in (light, other))
    for name in FIELDS:
        torch.testing.assert_close(getattr(first, name), getattr(second, name), rtol=1e-5, atol=1e-7)


def test_a_repeated_row_is_no_contrast():
    """A grey wall whose last row is striped: going on as the border is, the stripes would fill half the window."""
    light = torch.full((1, 3, 64, 64), 0.4)
    light[:, :, 40:, ::2] = 0.8
    counted = window_contrast(light, GAZE, None, rows_inside(41))
    blind = window_contrast(light, GAZE)
    assert float(blind.energy[..., 0].min()) > 5 * float(counted.energy[..., 0].max())
    # Not even the mean is theirs: of rows up to 40 about a gaze at 31.5, only one is brighter.
    assert float(counted.mean.max()) < 0.405 < float(blind.mean.min())


def test_fewer_values_are_less_sure_by_the_root_of_their_share():
    light, photons = window(), torch.tensor([900.0])
    half = window_contrast(light, GAZE, photons, rows_inside(34))  # half of what the finest band has about the gaze
    share = half.counted[0, 0, 0]
    assert float(share) == pytest.approx(0.5, abs=0.02)
    plain = window_contrast(light, GAZE, photons)
    ratio = (half.noise_error / half.noise) / (plain.noise_error / plain.noise)
    torch.testing.assert_close(ratio[0, :, 0], (1 / share.sqrt()).expand(3))


def test_a_band_without_a_value_inside_counts_as_it_is():
    light = window(32)
    told = window_contrast(light, GAZE, None, rows_inside(16, 32))
    assert torch.isfinite(told.energy).all()
    assert float(told.counted[0, 0, 2]) == 1


def test_another_shape_is_named():
    with pytest.raises(ValueError, match="is_inside"):
        window_contrast(window(), GAZE, None, rows_inside(20, 32))


def test_an_eye_at_the_border_is_not_paid_for_rows_that_are_not_there():
    """Only the last column of a grey scene is light and dark by turns: its repetition would be a striped field."""
    light = torch.full((3, 96, 128), 0.4)
    light[:, ::2, -1] = 0.8
    env = EyeEnv(
        scenes=EyeScene("wall", light, torch.ones(1, 96, 128), 8.0, n_layers=1),
        size_px=None,
        photon_noise=False,
        focus_dpt=1.0,
        pupil_mm=2.0,
    )
    env.reset(seed=0)
    assert env.world.sighting.is_inside is None
    for x, columns in ((0.9, 38), (1.0, 32)):
        env.reset(seed=0, options={"gaze": (0.0, x)})
        sighting = env.world.sighting
        assert sighting.is_inside.sum(-1).tolist() == [[64, columns]]
        blind = window_contrast(sighting.window, sighting.offset_px)
        assert float(blind.energy[0, 1, 0]) >= float(env.world.contrast.energy[0, 1, 0])
    assert float(blind.energy[0, 1, 0]) > 5 * float(env.world.contrast.energy[0, 1, 0])
