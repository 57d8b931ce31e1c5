"""One image seen through given views: what settings are worth on it."""

from __future__ import annotations

from ciliary.envs.batch import make_batch
from ciliary.envs.evaluator import Evaluator


class OneImage:
    """An evaluator and its batch of one."""

    def __init__(self, perceiver, objective, views, image, *, max_images=20):
        self.evaluator = Evaluator(perceiver, objective, max_images=max_images)
        self.look = make_batch(perceiver, objective, image[None], [views])

    def evaluate(self, u, *, with_percepts=False, with_kl=False):
        self.evaluator.with_kl = with_kl
        return self.evaluator.evaluate(self.look, [0] * len(u), u, with_percepts=with_percepts)

    def loss(self, u):
        return self.evaluator.loss(self.look, u)
