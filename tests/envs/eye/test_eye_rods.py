"""Rods in what an eye sees: none by day, and grey light at night."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from ciliary.envs.data.active.synthetic import planes_scene
from ciliary.envs.eye.config import EyeConfig
from ciliary.envs.eye.sight import Eyes, Ground, Sight


@pytest.fixture(scope="module")
def look():
    scene = planes_scene()
    scene = replace(scene, light=scene.light * torch.tensor([1.0, 0.6, 0.3]).view(3, 1, 1))

    def looked(white_cd_m2: float, *, rods: bool):
        config = EyeConfig(white_cd_m2=white_cd_m2, rods=rods, n_layers=2)
        sight = Sight(config)
        sight.place([Ground(scene, config)])
        eyes = Eyes(torch.zeros(1, 2).double(), torch.ones(1).double(), torch.full((1,), 4.0).double())
        return sight.look(eyes, None)

    return looked


def test_by_day_nothing_is_changed(look):
    with_rods, without = look(80.0, rods=True), look(80.0, rods=False)
    assert torch.equal(with_rods.glance.samples, without.glance.samples)
    assert torch.equal(with_rods.window, without.window)


def test_at_night_there_is_no_colour(look):
    seen, by_cones = look(1e-3, rods=True), look(1e-3, rods=False)

    def chroma(light: torch.Tensor) -> float:
        return float((light.amax(1) - light.amin(1)).max())

    assert chroma(by_cones.window) > 0.01
    assert chroma(seen.window) == 0
    assert chroma(seen.glance.samples) == 0
