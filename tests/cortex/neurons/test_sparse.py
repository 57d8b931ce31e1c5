"""Lateral inhibition against the lasso, the dictionary against one that is known, and homeostasis against silence."""

from __future__ import annotations

import pytest
import torch
from sklearn.linear_model import Lasso

from ciliary.cortex.neurons.sparse import dictionary_change, kept_threshold, lca, soft_threshold, unit_length


@pytest.fixture(scope="module")
def problem():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3, 12, generator=generator), unit_length(torch.randn(20, 12, generator=generator))


def test_the_threshold_is_soft():
    values = soft_threshold(torch.tensor([-3.0, -0.5, 0.0, 0.5, 2.0]), torch.tensor(1.0))
    assert values.tolist() == [-2.0, 0.0, 0.0, 0.0, 1.0]


def test_the_fixed_point_is_the_lasso(problem):
    x, dictionary = problem
    code = lca(x, dictionary, torch.full((20,), 0.3), n_steps=1500)
    # scikit-learn divides the squared error by the number of rows, which are the 12 pixels
    lasso = Lasso(alpha=0.3 / 12, fit_intercept=False, tol=1e-10, max_iter=100_000)
    for one, own in zip(x, code, strict=True):
        expected = torch.tensor(lasso.fit(dictionary.T.numpy(), one.numpy()).coef_)
        torch.testing.assert_close(own.double(), expected.double(), atol=2e-4, rtol=0)
        assert 0 < (own != 0).sum() < 12


def test_a_unit_of_a_higher_threshold_is_penalised_more(problem):
    x, dictionary = problem
    even = lca(x, dictionary, torch.full((20,), 0.3), n_steps=300).abs().sum(0)
    raised = torch.full((20,), 0.3)
    raised[even.argmax()] = 5.0
    assert lca(x, dictionary, raised, n_steps=300).abs().sum(0)[even.argmax()] == 0


def sparse_data(n_units=10, n_inputs=8, n=4000):
    """Two units of a known dictionary at a time, of either sign."""
    generator = torch.Generator().manual_seed(1)
    truth = unit_length(torch.randn(n_units, n_inputs, generator=generator))
    which = torch.rand(n, n_units, generator=generator).topk(2, 1).indices
    size = (1 + torch.rand(n, 2, generator=generator)) * torch.randn(n, 2, generator=generator).sign()
    return torch.zeros(n, n_units).scatter_(1, which, size) @ truth, truth


def test_it_recovers_the_dictionary_that_made_the_data():
    x, truth = sparse_data()
    generator = torch.Generator().manual_seed(2)
    dictionary = unit_length(torch.randn(len(truth), x.shape[1], generator=generator))
    threshold = torch.full((len(truth),), 0.3)
    for _ in range(400):
        batch = x[torch.randint(len(x), (100,), generator=generator)]
        code = lca(batch, dictionary, threshold, n_steps=25)
        dictionary = unit_length(dictionary + 0.3 * dictionary_change(batch, code, dictionary))
    likeness = (truth @ dictionary.T).abs().max(1).values
    assert (likeness > 0.97).sum() >= 9, likeness


def test_homeostasis_wakes_a_silent_unit_and_calms_a_loud_one():
    x, truth = sparse_data()
    threshold = torch.full((len(truth),), 0.5)
    threshold[0], threshold[1] = 8.0, 1e-3
    start = (lca(x[:200], truth, threshold) != 0).float().mean(0)
    assert start[0] == 0
    for step in range(300):
        code = lca(x[(100 * step) % 3000 :][:100], truth, threshold)
        threshold = kept_threshold(threshold, code, 0.2, gain=0.1)
    rates = (lca(x, truth, threshold) != 0).float().mean(0)
    assert (rates - 0.2).abs().max() < 0.06, rates
