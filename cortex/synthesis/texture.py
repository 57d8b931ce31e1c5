"""Texture as the correlations of maps (Gram matrices, Gatys et al. 2015), to compare by, to make, and to lend."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Maps = Callable[[Tensor], Sequence[Tensor]]
"""Images (B, 3, H, W) to the maps (B, C_i, h_i, w_i) of some layers."""

_SLACK = 1e-4  # from 0 and 1, in logits


def gram(maps: Tensor) -> Tensor:
    """(B, C, H, W) to (B, C, C): mean over places of the products of two maps, over C. Blind to where.

    Symmetric, without negative eigenvalues, the same when all maps are shifted around the borders together.
    """
    flat = maps.flatten(2)
    return flat @ flat.transpose(1, 2) / (flat.shape[1] * flat.shape[2])


def texture_distance(maps: Sequence[Tensor], others: Sequence[Tensor]) -> Tensor:
    """(B,) in [0, 1]: how far the Gram matrices of two images' layers are apart, mean over layers.

    ||G - G'|| / (||G|| + ||G'||), by Frobenius' norm, 0 where both are blank: free of the maps' scale.
    """
    return torch.stack([_apart(gram(a), gram(b)) for a, b in zip(maps, others, strict=True)]).mean(0)


def _apart(a: Tensor, b: Tensor) -> Tensor:
    apart = (a - b).flatten(1).square().sum(1)
    size = (a.flatten(1).square().sum(1) + 1e-20).sqrt() + (b.flatten(1).square().sum(1) + 1e-20).sqrt()
    return (apart + 1e-20).sqrt() / size.clamp_min(1e-8)


def with_style(
    maps: Maps,
    style: Tensor,
    start: Tensor,
    *,
    content: Tensor | None = None,
    content_weight: float = 0.0,
    n_steps: int = 60,
    on_step: Callable[[], object] = lambda: None,
) -> Tensor:
    """Images (B, 3, H, W) in [0, 1] with the texture of ``style`` and, as much as weighed, the maps of ``content``.

    Texture synthesis without content (start from noise), style transfer with it (Gatys et al. 2016; start from the
    content). By L-BFGS on logits, which keep within [0, 1].

    Args:
        maps: the layers by which texture is judged; content by the same.
        style: (B, 3, h, w), of any size.
        start: (B, 3, H, W).
        content: (B, 3, H, W), or None.
        content_weight: of the relative squared error of content's maps, beside that of the Gram matrices.
        n_steps: evaluations of the loss.
        on_step: called after each.
    """
    with torch.no_grad():
        asked = [gram(layer) for layer in maps(style)]
        kept = None if content is None else [layer.detach() for layer in maps(content)]

    def loss(image: Tensor) -> Tensor:
        layers = maps(image)
        total = torch.stack([relative_error(gram(a), b) for a, b in zip(layers, asked, strict=True)]).mean(0)
        if kept is not None:
            errors = [relative_error(a, b) for a, b in zip(layers, kept, strict=True)]
            total = total + content_weight * torch.stack(errors).mean(0)
        return total

    return descend(loss, start, n_steps=n_steps, on_step=on_step)


def relative_error(a: Tensor, b: Tensor) -> Tensor:
    """(B,): squared error of ``a`` (B, ...) over the squared size of ``b``."""
    return (a - b).flatten(1).square().sum(1) / b.flatten(1).square().sum(1).clamp_min(1e-12)


def descend(
    loss: Callable[[Tensor], Tensor],
    start: Tensor,
    *,
    n_steps: int,
    on_step: Callable[[], object] = lambda: None,
) -> Tensor:
    """The images of least ``loss`` (B,) that L-BFGS met in ``n_steps`` evaluations, each its own best.

    On logits of the image, so that it stays in [0, 1]. The images of a batch share their steps.
    """
    logits = torch.logit(start.detach().clamp(_SLACK, 1 - _SLACK)).requires_grad_(True)
    optimiser = torch.optim.LBFGS(
        [logits],
        lr=1.0,
        max_iter=n_steps,
        max_eval=n_steps,
        history_size=20,
        line_search_fn="strong_wolfe",
        tolerance_grad=0.0,
        tolerance_change=0.0,
    )
    best = start.detach().clone()
    least = torch.full_like(start[:, 0, 0, 0], torch.inf)

    def closure() -> Tensor:
        nonlocal best, least
        optimiser.zero_grad()
        with torch.enable_grad():
            image = torch.sigmoid(logits)
            losses = loss(image)
            total = losses.sum()
            torch.autograd.backward(total)
        is_better = losses.detach() < least
        best = torch.where(is_better[:, None, None, None], image.detach(), best)
        least = torch.where(is_better, losses.detach(), least)
        if logits.grad is not None:  # contiguous: torch 2.7's step takes no other
            logits.grad = logits.grad.nan_to_num(0.0, 0.0, 0.0).contiguous()
        on_step()
        return total.detach()

    optimiser.step(closure)
    return best
