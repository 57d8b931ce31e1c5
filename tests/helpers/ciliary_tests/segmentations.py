"""Segmentation functions and images for tests; in a module, so that worker processes can import them: quickly."""

import os

import numpy as np


def bands(image, *, threshold=0.5, n=3):
    """Bright above the threshold; the bright part in n columns."""
    columns = np.arange(image.shape[1]) * n // image.shape[1]
    return np.where(image.mean(-1) > threshold, 10 + columns, -5)


def divides(image, *, threshold, n):
    """Fails where n is 0."""
    return bands(image, threshold=threshold, n=3) + 1 // n


def process_in_bits(image, *, a=1.0):
    """The number of the process that calls, in binary along the first row."""
    labels = np.zeros(image.shape[:2], int)
    labels[0, :32] = [os.getpid() >> bit & 1 for bit in range(32)]
    return labels


class Counting:
    """A segmentation that counts how often it is called, and what with."""

    def __init__(self):
        self.calls = []

    def __call__(self, image, *, a=1.0, n=4):
        self.calls.append((image, a, n))
        return np.arange(image[..., 0].size).reshape(image.shape[:2]) % n


def images(batch=2, size=(32, 48), seed=0):
    """(B, 3, H, W) noise."""
    import torch

    return torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(seed))
