"""Rules by which synapses learn from what lies on either side of them: Oja, Sanger, and the timing of spikes.

All take batches: x (B, n_in) what comes in, y (B, n_out) = x W^T what goes out, W (n_out, n_in); a rule answers with
the change of W for a learning rate of 1, the mean over the batch, and changes nothing itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


def oja(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Hebb's rule that keeps its length (Oja 1982): y x - y^2 w. Each unit goes to the first principal component."""
    return (y.T @ x - y.square().sum(0)[:, None] * weight) / len(x)


def sanger(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """The generalised Hebbian algorithm (Sanger 1989): y x^T - LT[y y^T] W; unit k goes to the k-th component.

    Each unit learns what the units before it leave over: Oja's rule for one, and without their all going the same way.
    """
    return (y.T @ x - torch.tril(y.T @ y) @ weight) / len(x)


@dataclass(frozen=True)
class STDP:
    """Plasticity by the timing of spikes (Bi & Poo 1998; Song, Miller & Abbott 2000).

    Attributes:
        a_plus: largest gain of a synapse, where the input fires just before the neuron; >= 0.
        a_minus: largest loss, where it fires just after; >= 0.
        tau_plus_ms, tau_minus_ms: how fast either fades with the time between, > 0.
        dt_ms: step.
    """

    a_plus: float = 0.1
    a_minus: float = 0.105
    tau_plus_ms: float = 20.0
    tau_minus_ms: float = 20.0
    dt_ms: float = 1.0

    def window(self, post_minus_pre_ms: Tensor) -> Tensor:
        """Change of weight of a pair of spikes so many ms apart: above 0 where the input came first; 0 at once."""
        t = post_minus_pre_ms
        gain = self.a_plus * torch.exp(-t.clamp_min(0) / self.tau_plus_ms) * (t > 0)
        return gain - self.a_minus * torch.exp(t.clamp_max(0) / self.tau_minus_ms) * (t < 0)


def stdp(pre: Tensor, post: Tensor, rule: STDP) -> Tensor:
    """Change of weights (n_out, n_in): the window summed over all pairs of spikes, mean over the batch.

    By a trace of each side, so that the work grows with the steps and not with their pairs. Spikes of one step tell
    nothing of an order and change nothing.

    Args:
        pre: (T, B, n_in) spikes, 0 or 1.
        post: (T, B, n_out).
        rule: the window.
    """
    keep_pre, keep_post = (math.exp(-rule.dt_ms / tau) for tau in (rule.tau_plus_ms, rule.tau_minus_ms))
    seen_pre, seen_post = torch.zeros_like(pre[0]), torch.zeros_like(post[0])
    change = pre.new_zeros(post.shape[-1], pre.shape[-1])
    for now_pre, now_post in zip(pre, post, strict=True):
        seen_pre, seen_post = seen_pre * keep_pre, seen_post * keep_post
        change = change + rule.a_plus * now_post.T @ seen_pre - rule.a_minus * seen_post.T @ now_pre
        seen_pre, seen_post = seen_pre + now_pre, seen_post + now_post
    return change / pre.shape[1]
