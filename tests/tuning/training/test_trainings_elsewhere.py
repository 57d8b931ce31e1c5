"""Every training on a device that is not there, with numbers: what it learns is what it learns on the CPU.

What is made on the way lies where the training does (a meeting of two devices fails), and what is kept is on the CPU.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ciliary.cortex.cues.fitting import fit_projection
from ciliary.cortex.cues.network import Network
from ciliary.cortex.device import to_device
from ciliary.cortex.stages.weights import stages_to_bytes
from ciliary.envs.data.depth import DepthImage
from ciliary.envs.data.sources import bundled
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.evaluation.gaze_mixture import fit_mixture
from ciliary.tuning.gaze import expectation_data
from ciliary.tuning.gaze.expectation_data import Lessons, make_lessons
from ciliary.tuning.gaze.expectation_job import divergence
from ciliary.tuning.gaze.expectation_job import teach as teach_expectation
from ciliary.tuning.training import cortex as maturing
from ciliary.tuning.training.appraisal import appraise
from ciliary.tuning.training.batches import Batches
from ciliary.tuning.training.cortex import State, newborn, run_phase, save
from ciliary.tuning.training.curriculum import Curriculum, PhaseSettings
from ciliary.tuning.training.depth import TeachSettings, teach, trust_curve
from ciliary.tuning.training.depth_report import provider_of
from ciliary.tuning.training.depth_views import DepthViews, see_views
from ciliary.tuning.training.filters import GrowSettings, grow
from ciliary_tests.other_device import ELSEWHERE, Elsewhere, OtherDevice, assert_same_weights, lying_here, numbers

pytestmark = pytest.mark.slow  # some seconds each

CPU = torch.device("cpu")
WEIGHTS = {
    "m2": {"align": 1.0, "consistency": 0.5, "scale": 0.2, "density": 0.2},
    "m3": {"contrast": 1.0, "invariance": 0.5, "redundancy": 0.1},
    "m5": {"contrast": 1.0, "completion": 1.0, "doubt": 0.05, "imbalance": 0.5},
}


@pytest.fixture(autouse=True)
def elsewhere():
    """Fails, in the end, if tensors of two devices met; says on which lines."""
    with OtherDevice() as watched:
        yield watched
    assert list(dict.fromkeys(watched.mixed)) == []


# --- the cortex


@pytest.fixture(scope="module")
def photographs():
    return bundled(96, ("coffee", "chelsea"))


@pytest.mark.parametrize("name", [pytest.param("m2", marks=pytest.mark.slow), "m3", "m5"])
def test_a_phase(name, photographs, monkeypatch, tmp_path):
    monkeypatch.setattr(maturing, "N_CHECK_BATCHES", 1)
    phase = PhaseSettings((name,), 1, 1e-3, WEIGHTS[name], n_rounds=1, n_pairs=16)
    shared = {"long_side_px": 48, "n_batch": 2, "check_every": 1, "n_settings": 2, "seed": 3}
    curriculum = Curriculum({name: phase}, **shared)

    def learned(device):
        batches = Batches(photographs, shape_px=(32, 48), seed=0, device=device)
        state, told = State(newborn(3, device)), []
        run_phase(name, phase, curriculum, state, batches, batches, on_check=told.append)
        save(state, tmp_path / f"{device}.pt")
        return state, told

    (here, told_here), (there, told_there) = learned(CPU), learned(ELSEWHERE)
    assert lying_here(dict(there.stages[name].state_dict())) == []
    assert_same_weights(there.stages[name], here.stages[name])
    assert [row.keys() for row in told_there] == [row.keys() for row in told_here]
    assert told_there[-1]["total"] == pytest.approx(told_here[-1]["total"], rel=1e-4)
    kept = torch.load(tmp_path / f"{ELSEWHERE}.pt", weights_only=True)  # as a machine without the device reads it
    assert not any(isinstance(x, Elsewhere) for x in kept["stages"][name].values())
    assert stages_to_bytes(there.stages, {}) == stages_to_bytes(to_cpu(there.stages), {})


def to_cpu(stages):
    copies = newborn(3)
    for name, stage in stages.items():
        copies[name].load_state_dict({k: numbers(v) for k, v in stage.state_dict().items()})
    return copies


@pytest.mark.slow
def test_the_report(photographs):
    rows = []
    for device in (CPU, ELSEWHERE):
        batches = Batches(photographs, shape_px=(32, 48), seed=0, device=device)
        rows.append(appraise(newborn(1, device), newborn(2, device), batches, n_batch=2, n_settings=2))
    for here, there in zip(*rows, strict=True):
        assert here.metric == there.metric
        assert there.values == pytest.approx(here.values, rel=1e-3, abs=1e-4)


# --- depth, features


def test_depth(monkeypatch):
    rng = torch.Generator().manual_seed(1)
    maps = tuple(torch.randn(6, 3, 20 >> i, 28 >> i, generator=rng) for i in range(3))
    depth = 0.2 * maps[0][:, :1]
    views = DepthViews(maps, depth, torch.ones_like(depth, dtype=torch.bool), torch.arange(6) % 2)
    how = TeachSettings(n_steps=2, n_batch=4)
    there = to_device(views, ELSEWHERE)
    monkeypatch.setattr(nn.Dropout2d, "forward", lambda self, x: x)  # drawn by the device's own numbers
    monkeypatch.setattr(nn.Dropout, "forward", lambda self, x: x)
    heads = [teach(one, how) for one in (views, there)]
    assert_same_weights(heads[1], heads[0])
    torch.testing.assert_close(numbers(trust_curve(heads[1], there)), trust_curve(heads[0], views))


class Trunk(nn.Module):
    """Something that sees as the frozen trunk does: three strides."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1), requires_grad=False)

    def forward(self, image):
        return [self.gain * nn.functional.avg_pool2d(image, stride) for stride in (8, 16, 32)]


class Frames(list):
    """Two frames of two scenes."""

    scenes = ("a", "b")

    @property
    def entries(self):
        return self


def test_views_of_depth_and_who_sees_it():
    rng = torch.Generator().manual_seed(0)
    frames = Frames(
        DepthImage(s, s, torch.rand(3, 64, 96, generator=rng), 1000 + 100 * torch.rand(64, 96)) for s in "ab"
    )
    here, there = (see_views(frames, Trunk().to(device), n_views=4, seed=0) for device in (CPU, ELSEWHERE))
    assert lying_here(there) == []
    torch.testing.assert_close(numbers(there.maps[0]), here.maps[0])
    see = provider_of(lambda maps: maps[0].mean(1, keepdim=True), Trunk().to(ELSEWHERE))
    seen = see(frames[0].image[None])
    assert seen.shape == (1, 1, 64, 96)
    assert not isinstance(seen, Elsewhere)


def test_features(photographs):
    images, projections = [photographs[0].image[:, :48, :64]], []
    for device in (CPU, ELSEWHERE):
        net = nn.Conv2d(3, 5, 4, stride=4, bias=False)
        with torch.no_grad():
            net.weight.copy_(torch.linspace(-1, 1, net.weight.numel()).sin().view_as(net.weight))
        stages = _Stages(net)
        network = Network(stages, strides=(4,), channels=(5,), mean=(0.5,) * 3, std=(0.5,) * 3).to(device)
        projections.append(fit_projection(network, images, sizes_px=(48, 64)))
    here, there = projections
    for one, other in zip((*here.mean, *here.axes, *here.scale), (*there.mean, *there.axes, *there.scale), strict=True):
        assert not isinstance(other, Elsewhere)
        torch.testing.assert_close(other, one)


class _Stages(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, image):
        return [self.net(image)]


# --- gaze, expectation


def test_gaze():
    rng = torch.Generator().manual_seed(0)
    maps, counts = torch.randn(4, 3, 5, 6, generator=rng), torch.randint(1, 4, (4, 5, 6), generator=rng).float()
    prior = torch.rand(1, 5, 6, generator=rng) + 0.5
    here, there = (
        fit_mixture(*(x.to(device) for x in (maps, counts, prior)), n_iterations=3) for device in (CPU, ELSEWHERE)
    )
    torch.testing.assert_close(numbers(there.weights), here.weights)


def test_expectation(photographs, monkeypatch):
    monkeypatch.setattr(expectation_data, "N_GLANCES", 2)
    nets, told = [], []
    for device in (CPU, ELSEWHERE):
        how = {"mixture": None, "trunk": None, "on_view": lambda: None, "on_broken": print}
        lessons = make_lessons(photographs[:1], n_views=1, seed=0, device=device, **how)
        rows = torch.nonzero(lessons.photograph[lessons.view] == 0).flatten()
        with Bar(1, is_quiet=True) as bar:
            nets.append(teach_expectation(lessons, rows, seed=0, n_epochs=1, bar=bar))
        told.append((lessons, divergence(nets[-1], lessons, rows)))
    assert lying_here(told[1][0]) == []
    assert isinstance(told[1][0], Lessons)
    assert_same_weights(nets[1], nets[0])
    assert told[1][1] == pytest.approx(told[0][1], rel=1e-4)


# --- filters


@pytest.mark.parametrize("rule", ["sanger", "sparse", "stdp"])
def test_filters(rule):
    patches = torch.randn(300, 36, generator=torch.Generator().manual_seed(0)).cumsum(1)
    settings = GrowSettings(rule, n_units=8, n_steps=3, patch_px=6)
    here, there = (grow(patches, settings, device=device) for device in (CPU, ELSEWHERE))
    assert torch.equal(here.weights, numbers(there.weights))
    assert there.weights.device == CPU
