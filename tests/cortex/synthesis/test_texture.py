"""Gram matrices by their properties, texture and style and metamers where the answer is known."""

from __future__ import annotations

import pytest
import torch

from ciliary.cortex.synthesis.metamers import find_metamer
from ciliary.cortex.synthesis.texture import descend, gram, texture_distance, with_style


@pytest.fixture
def maps() -> torch.Tensor:
    return torch.randn(2, 5, 12, 16, generator=torch.Generator().manual_seed(0))


def test_a_gram_matrix_by_hand():
    maps = torch.tensor([[[[1.0, 2.0]], [[3.0, 0.0]]]])  # two maps of two places
    torch.testing.assert_close(gram(maps), torch.tensor([[[5.0, 3.0], [3.0, 9.0]]]) / 4)


def test_a_gram_matrix_is_symmetric_without_negative_eigenvalues_and_blind_to_where(maps):
    g = gram(maps)
    torch.testing.assert_close(g, g.transpose(1, 2))
    assert torch.linalg.eigvalsh(g).min() > -1e-6
    torch.testing.assert_close(gram(maps.roll((3, -5), (2, 3))), g)
    shuffled = maps.flatten(2)[..., torch.randperm(12 * 16)].view_as(maps)
    torch.testing.assert_close(gram(shuffled), g)


def test_texture_distance_is_0_of_itself_1_of_nothing_and_free_of_scale(maps):
    assert texture_distance([maps], [maps.roll(2, 3)]).max() < 1e-3
    torch.testing.assert_close(texture_distance([maps], [torch.zeros_like(maps)]), torch.ones(2))
    others = maps.flip(1)
    torch.testing.assert_close(
        texture_distance([maps], [others]), texture_distance([7 * maps], [7 * others]), rtol=1e-4, atol=1e-6
    )


def test_the_texture_asked_for_is_made(chelsea):
    """By maps that are colour and a constant, texture is mean colour and its covariance."""

    def colour(image: torch.Tensor) -> list[torch.Tensor]:
        return [torch.cat([image, torch.ones_like(image[:, :1])], 1)]

    start = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    made = with_style(colour, chelsea, start, n_steps=60)
    assert texture_distance(colour(made), colour(chelsea)) < 0.01
    torch.testing.assert_close(made.mean((2, 3)), chelsea.mean((2, 3)), rtol=0, atol=0.02)


def test_content_holds_as_it_is_weighed(chelsea):
    def colour(image: torch.Tensor) -> list[torch.Tensor]:
        return [torch.cat([image, torch.ones_like(image[:, :1])], 1)]

    style = torch.tensor([0.1, 0.2, 0.9]).view(1, 3, 1, 1).expand(1, 3, 16, 16)
    free, held = (
        with_style(colour, style, chelsea, content=chelsea, content_weight=weight, n_steps=30) for weight in (0.0, 1e3)
    )
    assert (held - chelsea).abs().mean() < 0.1 * (free - chelsea).abs().mean()


def test_a_code_that_holds_all_leads_back_to_the_image(chelsea):
    start = torch.full_like(chelsea, 0.5)
    found = find_metamer(lambda image: image, chelsea, start, n_steps=60)
    assert found.image_rms < 0.01
    assert found.code_error < 1e-3 * found.start_error


def test_a_code_that_holds_little_leads_elsewhere(chelsea):
    """The mean colour alone: the same code, another image."""
    start = torch.rand(chelsea.shape, generator=torch.Generator().manual_seed(0))
    found = find_metamer(lambda image: image.mean((2, 3)), chelsea, start, n_steps=40)
    assert found.code_error < 1e-6
    assert found.image_rms > 0.2


def test_what_is_kept_is_the_best_that_was_met_of_each_image():
    target = torch.tensor([0.2, 0.8]).view(2, 1, 1, 1)
    seen: list[torch.Tensor] = []

    def loss(image: torch.Tensor) -> torch.Tensor:
        seen.append((image - target).square().mean((1, 2, 3)).detach())
        return (image - target).square().mean((1, 2, 3))

    best = descend(loss, torch.full((2, 3, 4, 4), 0.5), n_steps=9)
    torch.testing.assert_close((best - target).square().mean((1, 2, 3)), torch.stack(seen).min(0).values)
