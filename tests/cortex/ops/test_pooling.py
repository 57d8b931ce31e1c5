"""Halving, against torch's own average pooling."""

import pytest
import torch
import torch.nn.functional as F

from ciliary.cortex.ops.pooling import halve


@pytest.mark.parametrize("lead", [(2, 3), (4,), (2, 3, 5)])
def test_even_sizes_are_average_pooling(lead):
    x = torch.rand(*lead, 8, 12)
    torch.testing.assert_close(halve(x), F.avg_pool2d(x.reshape(1, -1, 8, 12), 2).reshape(*lead, 4, 6))


@pytest.mark.parametrize("size", [(7, 12), (8, 11), (7, 11), (1, 1)])
def test_an_odd_last_row_or_column_is_repeated(size):
    x = torch.rand(2, 3, *size)
    h, w = size
    padded = F.pad(x, (0, w % 2, 0, h % 2), mode="replicate")
    torch.testing.assert_close(halve(x), F.avg_pool2d(padded, 2))
    torch.testing.assert_close(halve(torch.full_like(x, 0.3)), torch.full((2, 3, -(-h // 2), -(-w // 2)), 0.3))
