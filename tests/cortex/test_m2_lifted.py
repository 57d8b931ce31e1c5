"""M2 lifted to position and angle: its contract; gaps, an illusory square and junctions whose answer is known."""

import math

import pytest
import torch

from ciliary.cortex import Cortex
from ciliary.cortex.stages.m2_lifted import N_LIFTED, LiftedM2, lift
from ciliary.testing.stage import StageContract
from ciliary.tuning.benchmarks.contour_fields import (
    FIELDS,
    PROCESS,
    TODAY,
    arms,
    completed_at,
    count_arms,
    look,
    named_rightly,
)
from ciliary.tuning.benchmarks.contour_scenes import (
    BESIDE,
    JUNCTION_SIDE_PX,
    Junction,
    draw_junctions,
    gap_scenes,
    kanizsa_scenes,
    strokes,
)


class TestLiftedM2(StageContract):
    name = "m2"
    ignored = LiftedM2.inert

    @pytest.fixture
    def stage(self):
        return LiftedM2()


def test_a_cortex_takes_it_by_name(small_image):
    cortex = Cortex(m2="ciliary.cortex.stages.m2_lifted:LiftedM2")
    percept, plain = cortex(small_image), Cortex()(small_image)
    assert torch.equal(percept.m1.boundary, plain.m1.boundary)
    assert (percept.m2.contour - plain.m2.contour).abs().max() > 0.01
    assert (percept.m2.contour >= percept.m1.boundary - 1e-6).all()


@pytest.mark.parametrize("channel", [0, 3, 8, 13])
def test_a_line_is_lifted_to_its_own_angle(channel):
    middle, angle = (JUNCTION_SIDE_PX - 1) / 2, channel * math.pi / N_LIFTED
    dx, dy = 20 * math.cos(angle), 20 * math.sin(angle)
    picture = strokes([((middle - dx, middle - dy), (middle + dx, middle + dy))], JUNCTION_SIDE_PX)
    lifted = lift(*look(picture[None]))[0]
    at = lifted[:, 14:18, 14:18].sum((1, 2))
    assert at.argmax() == channel
    assert at.roll(N_LIFTED // 2)[channel] < 0.01 * at[channel]
    assert lifted[:, :3].max() < 0.05 * lifted.max()  # nothing where there is no line


@pytest.mark.parametrize("degrees", [0, 33, 90])
def test_what_lines_up_is_completed_and_nothing_else(degrees):
    scenes = gap_scenes(16, math.radians(degrees))
    found = {name: completed_at([probe], FIELDS[PROCESS]) for name, probe in scenes.items()}
    assert found["aligned"] > 0.02
    assert found["shifted"] < 0.75 * found["aligned"]
    assert max(found["at right angles"], found["one alone"]) < 0.15 * found["aligned"]


def test_it_is_more_selective_than_the_association_field():
    scenes = gap_scenes(16, 0.4)
    today, lifted = (
        completed_at([scenes["aligned"]], FIELDS[name]) / completed_at([scenes["at right angles"]], FIELDS[name])
        for name in (TODAY, PROCESS)
    )
    assert lifted > 3 * today


def test_an_illusory_square_has_edges():
    scenes = kanizsa_scenes(4, math.pi / 4)
    edge, beside = (completed_at([scenes[name]], FIELDS[PROCESS]) for name in ("illusory", BESIDE))
    assert edge > 3 * beside


def test_a_blank_is_not_completed():
    m1, theta = look(torch.full((1, 3, 48, 64), 0.5))
    assert LiftedM2()(m1, {**theta, "completion_gain": torch.tensor([4.0])}).contour.max() < 1e-3


def test_a_lower_gain_completes_less(small_image):
    m1, theta = look(small_image)
    none, some, much = (LiftedM2(gain)(m1, theta).contour for gain in (0.0, 1.0, 16.0))
    torch.testing.assert_close(none, m1.boundary, atol=1e-3, rtol=0)
    assert some.mean() < much.mean()
    assert (some <= much + 1e-6).all()


def test_arms_are_counted_by_hand():
    peaks = torch.zeros(1, 32)
    peaks[0, [0, 8, 16]] = torch.tensor([1.0, 0.5, 0.3])
    peaks[0, [1, 31]] = 0.9  # flanks
    assert [count_arms(peaks, least)[0] for least in (0.1, 0.4, 0.6)] == [3, 2, 1]


def test_junctions_have_their_names():
    junctions = draw_junctions(12, seed=3)
    assert [one.name for one in junctions[:3]] == ["L", "T", "X"]
    profile = arms(junctions, FIELDS[PROCESS])
    assert named_rightly(junctions, profile, 0.3).mean() > 0.7
    assert not named_rightly([Junction(j.picture, "X", j.place) for j in junctions], profile, 0.3)[::3].any()
