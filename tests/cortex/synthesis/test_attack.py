"""Worst cases of linear scores, which are known, and what any attack must keep to."""

from __future__ import annotations

import pytest
import torch

from ciliary.cortex.synthesis.attack import fgsm, pgd, random_within


def as_images(values: list[float]) -> torch.Tensor:
    return torch.tensor(values).view(1, 1, 1, -1)


def test_of_a_linear_score_the_worst_is_epsilon_times_the_sum_of_weights():
    w = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    image = torch.full((2, 3, 8, 8), 0.5)
    worst = fgsm(lambda x: (w * x).sum((1, 2, 3)), image, 0.01)
    rise = (w * (worst - image)).sum((1, 2, 3))
    torch.testing.assert_close(rise, (0.01 * w.abs().sum()).expand(2), rtol=1e-4, atol=1e-5)


def test_the_course_example_with_its_own_numbers():
    """CS231n's ten numbers: -3 becomes 2 (4.7 to 88.1 %) by half the sign of w, added."""
    x = torch.tensor([2.0, -1, 3, -2, 2, 2, 1, -4, 5, 1])
    w = torch.tensor([-1.0, -1, 1, -1, 1, -1, 1, 1, -1, 1])
    before, after = w @ x, w @ (x + 0.5 * w.sign())
    assert (before, after) == (-3, 2)
    assert [round(100 * float(torch.sigmoid(s)), 1) for s in (before, after)] == [4.7, 88.1]


def test_an_attack_stays_within_epsilon_and_within_an_image(chelsea):
    def loss(image: torch.Tensor) -> torch.Tensor:
        return image[:, 0].mean((1, 2)) - image[:, 2].square().mean((1, 2))

    for attacked in (fgsm(loss, chelsea, 0.03), pgd(loss, chelsea, 0.03), random_within(chelsea, 0.03)):
        assert (attacked - chelsea).abs().max() <= 0.03 + 1e-6
        assert attacked.min() >= 0
        assert attacked.max() <= 1
    assert loss(pgd(loss, chelsea, 0.03)) > loss(random_within(chelsea, 0.03)) > loss(chelsea) - 0.03


def test_a_loss_that_compares_with_the_image_needs_a_start_beside_it(chelsea):
    """At the image it has no slope: without a start within epsilon nothing is found."""

    def change(image: torch.Tensor) -> torch.Tensor:
        return (image - chelsea).square().mean((1, 2, 3))

    assert change(pgd(change, chelsea, 0.03, seed=None)) == 0
    assert change(pgd(change, chelsea, 0.03, seed=0)) > 0.9 * change(fgsm(lambda x: x.mean((1, 2, 3)), chelsea, 0.03))


def test_towards_a_target_the_loss_falls():
    image = torch.full((1, 3, 8, 8), 0.5)

    def from_white(x: torch.Tensor) -> torch.Tensor:
        return (1 - x).square().mean((1, 2, 3))

    near = pgd(from_white, image, 0.1, is_targeted=True)
    torch.testing.assert_close(near, image + 0.1)


def test_each_image_keeps_its_own_worst_step():
    """A loss that is worst half way: the last step is not what is kept."""
    image = torch.zeros(2, 3, 4, 4)

    def bump(x: torch.Tensor) -> torch.Tensor:
        return -(x.mean((1, 2, 3)) - torch.tensor([0.05, 0.1])).abs()

    worst = pgd(bump, image, 0.1, n_steps=7, step=0.03, seed=None)
    assert bump(worst)[0] >= -0.0101
    assert bump(worst)[1] >= -0.011


@pytest.mark.parametrize("wrong", [{"epsilon": -0.1}, {"epsilon": 0.1, "n_steps": 0}])
def test_an_attack_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="expected epsilon"):
        pgd(lambda x: x.sum((1, 2, 3)), torch.zeros(1, 3, 4, 4), **wrong)
