"""Contours hardened against attacks: what is learned, judged, written and told."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ciliary.cortex import Cortex
from ciliary.cortex.stages.contour_net import ContourNet
from ciliary.cortex.stages.weights import provenance
from ciliary.cortex.synthesis.attack import pgd
from ciliary.tuning.training import robust_job
from ciliary.tuning.training.contours import harden as hardening
from ciliary.tuning.training.contours import held
from ciliary.tuning.training.contours.harden import (
    CONDITIONS,
    Hardening,
    harden,
    image_losses,
    judge,
    precision,
    samples_to_judge,
    stacked,
)
from ciliary.tuning.training.contours.pool import UNDECIDED, Bucket
from ciliary.tuning.training.options import RobustTraining


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(hardening, "BUCKET", Bucket("small", 32, 48, 0.7, 0.9, 0, 0))


@pytest.fixture
def net() -> ContourNet:
    torch.manual_seed(0)
    return ContourNet().eval()


def test_each_image_has_its_own_loss(net, labelled):
    images, target = stacked(samples_to_judge(labelled))
    both = image_losses(net, target, images)
    alone = torch.cat([image_losses(net, target[i : i + 1], images[i : i + 1]) for i in range(2)])
    torch.testing.assert_close(both, alone)


def test_the_attack_reaches_the_pixels_through_v1(net, labelled):
    sample = samples_to_judge(labelled)[0]
    seen = judge(net, sample, 8 / 255)
    assert tuple(seen) == CONDITIONS
    assert seen["attacked"][0] > seen["random"][0]
    assert seen["attacked"][0] > seen["clean"][0]


def test_what_is_hardened_is_hurt_less(net, labelled):
    """On the samples themselves: the attacked loss falls, and the network that was given is left as it was."""
    before = {name: value.clone() for name, value in net.state_dict().items()}
    losses = []
    how = Hardening(epsilon=8 / 255, n_steps=6, n_batch=2, rate=2e-3)
    after = harden(net, labelled, how, on_step=lambda *told: losses.append(told))
    assert [step for step, _, _ in losses] == list(range(1, 7))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    images, target = stacked(samples_to_judge(labelled))

    def attacked(one: ContourNet) -> float:
        worst = pgd(lambda x: image_losses(one, target, x), images, how.epsilon, n_steps=3)
        return float(image_losses(one, target, worst).mean().detach())

    assert attacked(after) < attacked(net)
    again = harden(net, labelled, how)
    assert all(torch.equal(a, b) for a, b in zip(after.state_dict().values(), again.state_dict().values(), strict=True))


def test_precision_leaves_undecided_pixels_out():
    target = torch.tensor([[200, 0, UNDECIDED, 0]], dtype=torch.uint8)
    assert precision(torch.tensor([[3.0, 1.0, 9.0, 0.0]]), target) == 1.0
    assert precision(torch.tensor([[1.0, 3.0, -9.0, 0.0]]), target) == pytest.approx(0.5)
    assert math.isnan(precision(torch.zeros(1, 2), torch.tensor([[0, UNDECIDED]], dtype=torch.uint8)))


@pytest.mark.parametrize("wrong", [{"epsilon": 0.0}, {"n_steps": 0}, {"rate": -1.0}])
def test_a_hardening_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="expected 0 < epsilon"):
        Hardening(**wrong)


def test_images_that_judge_are_not_learned_from(labelled_root):
    learned, checked = robust_job.parted(labelled_root, 5)
    assert {one.name for one in learned} == {"im1"}
    assert {one.name for one in checked} == {"im0"}


def test_conditions_are_compared_image_by_image():
    before = [dict.fromkeys(CONDITIONS, (1.0, 0.5)), dict.fromkeys(CONDITIONS, (2.0, math.nan))]
    after = [dict.fromkeys(CONDITIONS, (0.5, 0.6)), dict.fromkeys(CONDITIONS, (1.0, 0.7))]
    row = robust_job.compare(before, after)[-1]
    assert row.seen == "attacked"
    assert (row.error_before.mean, row.error_after.mean, row.error_change.mean) == (1.5, 0.75, -0.75)
    assert row.precision_change.mean == pytest.approx(0.1)  # of the image that has one in both
    assert row.precision_change.n == 1


def test_a_percept_is_itself_when_nothing_changes(labelled):
    cortex = Cortex(inherited="contours").eval().requires_grad_(False)
    seen = held.look_at(cortex, labelled[0], 8 / 255, size_px=64)
    assert tuple(seen.covering) == tuple(seen.held) == held.CONDITIONS
    assert seen.held["clean"] >= max(seen.held["random"], seen.held["attacked"]) - 0.05
    assert seen.held["attacked"] < seen.held["clean"]
    assert 0 < seen.covering["clean"] <= 1


def test_percepts_are_compared_image_by_image():
    def seen(value: float) -> held.Seen:
        return held.Seen(dict.fromkeys(held.CONDITIONS, value), dict.fromkeys(held.CONDITIONS, value / 2))

    rows = held.rows_of([seen(0.2), seen(0.6)], [seen(0.3), seen(0.7)])
    assert [row.seen for row in rows] == list(held.CONDITIONS)
    assert rows[0].covering_before.mean == pytest.approx(0.4)
    assert rows[0].covering_change.mean == pytest.approx(0.1)
    assert rows[0].covering_change.low == pytest.approx(0.1)  # the same for both: pairs, not means
    assert rows[0].held_change.mean == pytest.approx(0.05)


def test_the_job_writes_weights_that_a_cortex_inherits(labelled_root, tmp_path, capsys):
    asked = RobustTraining(labelled=labelled_root, n_steps=2, out=tmp_path, is_quiet=False)
    assert robust_job.run(asked) == 0
    path = tmp_path / "inherited_contours.safetensors"
    assert str(path) in capsys.readouterr().out
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert report.count("| attacked |") == 2
    assert "| fog:3 |" in report
    assert provenance(path)["hardened"]["n_steps"] == 2
    cortex = Cortex(inherited="contours", inherited_weights=path)
    plain = Cortex(inherited="contours")
    image = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    assert not torch.equal(cortex(image).boundary, plain(image).boundary)
    kept = load_file(path)
    assert all(np.isfinite(value.float().numpy()).all() for value in kept.values())


def test_what_cannot_be_done_is_told(tmp_path, capsys):
    assert robust_job.run(RobustTraining(labelled=tmp_path / "none", out=tmp_path)) == 1
    assert "train robust: " in capsys.readouterr().err
    with pytest.raises(ValueError, match="--epsilon between"):
        RobustTraining(labelled=tmp_path, epsilon=300.0)
