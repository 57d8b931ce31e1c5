"""Whitening: unit variance without noise, less where there is little but noise, and back."""

from __future__ import annotations

import torch

from ciliary.cortex.ops.whitening import fit_whitening


def samples():
    generator = torch.Generator().manual_seed(0)
    axes = torch.linalg.qr(torch.randn(5, 5, generator=generator)).Q
    scale = torch.tensor([4.0, 2.0, 1.0, 0.5, 0.1])
    return torch.randn(20_000, 5, generator=generator) * scale @ axes.T + 3.0, axes


def test_without_noise_every_direction_has_variance_one():
    x, _ = samples()
    white = fit_whitening(x, noise=0.0)(x)
    torch.testing.assert_close(white.T @ white / len(x), torch.eye(5), atol=2e-3, rtol=0)


def test_noise_is_a_low_pass_of_known_height():
    x, axes = samples()
    found = fit_whitening(x, noise=0.01)  # of 16: a variance of .16
    spread = (found(x) @ axes).std(0)
    variance = torch.tensor([16.0, 4.0, 1.0, 0.25, 0.01])
    torch.testing.assert_close(spread, variance / (variance + 0.16), atol=0.02, rtol=0)


def test_it_is_symmetric_and_can_be_undone():
    x, _ = samples()
    found = fit_whitening(x, noise=0.01)
    torch.testing.assert_close(found.matrix, found.matrix.T)
    torch.testing.assert_close(found(x) @ found.inverse + found.mean, x, atol=1e-3, rtol=0)
