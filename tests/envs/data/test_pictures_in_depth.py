from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
import torch

from ciliary.envs.data.active.pictures import RANGE_DPT, UNEVEN_OCTAVES, photograph_in_depth, photograph_in_uneven_light
from ciliary.envs.data.active.scene import photograph_scene
from ciliary.envs.data.sources import bundled
from ciliary.envs.eye import EyeEnv, EyeVectorEnv


@lru_cache(maxsize=1)
def coffee():
    return bundled(96).find("coffee")


def named(name):
    return replace(coffee(), name=name)


def test_depth_is_drawn_by_the_name_alone():
    one, again = photograph_in_depth(named("a")), photograph_in_depth(named("a"))
    torch.testing.assert_close(one.distance_dpt, again.distance_dpt, rtol=0, atol=0)
    torch.testing.assert_close(one.light, photograph_scene(named("a")).light, rtol=0, atol=0)
    others = [photograph_in_depth(named(str(i))).distance_dpt for i in range(4)]
    assert not any(torch.equal(one.distance_dpt, other) for other in others)


def test_kinds_are_planes_strips_and_slants_within_the_range():
    kinds = {"plane": 0, "strips": 0, "slant": 0}
    n = 200
    for i in range(n):
        scene = photograph_in_depth(named(f"{i}.jpg"))
        distance = scene.distance_dpt[0]
        assert RANGE_DPT[0] <= float(distance.min())
        assert float(distance.max()) <= RANGE_DPT[1]
        n_columns, n_rows = len(distance[0].unique()), len(distance[:, 0].unique())
        kind = "plane" if n_columns == n_rows == 1 else "strips" if n_rows == 1 else "slant"
        kinds[kind] += 1
        if kind == "strips":
            assert n_columns <= 3
        if kind == "slant":
            steps = distance[:, 0].diff()
            torch.testing.assert_close(steps, steps.mean().expand_as(steps), atol=1e-5, rtol=1e-3)
    shares = np.array([kinds["plane"], kinds["strips"], kinds["slant"]]) / n
    np.testing.assert_allclose(shares, [0.3, 0.45, 0.25], atol=0.12)


def test_the_environment_looks_at_photographs_in_depth():
    flat, deep = EyeEnv(scenes="photographs"), EyeEnv(scenes="photographs", in_depth=True)
    for env in (flat, deep):
        env.reset(seed=0, options={"scene": "coffee"})
    wanted = photograph_in_depth(bundled().find("coffee")).distance_dpt
    assert flat.world.scene(0).distance_dpt.max() == 0
    assert deep.world.scene(0).distance_dpt.max() == pytest.approx(float(wanted.max()), abs=0.02)


def test_copies_begin_at_scenes_of_their_own():
    small = {"size_px": (64, 80), "width_deg": 10.0, "n_layers": 1, "window_px": 32, "coarse": 8}
    envs = EyeVectorEnv(2, scenes="photographs", **small)
    names = list(envs.world.source.names[:2])
    envs.reset(seed=0, options={"scene": names[::-1]})
    assert [envs.world.scene(i).name for i in range(2)] == names[::-1]
    with pytest.raises(ValueError, match="one for each of 2"):
        envs.reset(seed=0, options={"scene": names[:1]})


def test_uneven_light_spans_octaves_about_middle_grey():
    scene, flat = photograph_in_uneven_light(named("a")), photograph_scene(named("a"))
    torch.testing.assert_close(scene.light, photograph_in_uneven_light(named("a")).light, rtol=0, atol=0)
    lit = (flat.light > 1e-4).all(0)
    octaves = (scene.light / flat.light.clamp_min(1e-9)).log2()[:, lit]
    torch.testing.assert_close(octaves[0], octaves[2], rtol=0, atol=1e-3)  # light has no colour of its own
    assert UNEVEN_OCTAVES[0] * 0.7 < float(octaves[0].std()) < UNEVEN_OCTAVES[1] * 1.3
    grey = (scene.light * torch.tensor([0.2126, 0.7152, 0.0722]).view(3, 1, 1)).sum(0)
    assert float(grey[grey > 0].log().mean().exp()) == pytest.approx(0.18, rel=1e-3)
