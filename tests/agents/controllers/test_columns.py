"""Policies and memories in an environment with other columns than those of their training: brought together by name."""

import numpy as np
import pytest
import torch

from ciliary.agents import run_episode
from ciliary.agents.controllers.columns import STATISTICS_V0, TERMS_V0, Aligned, align
from ciliary.agents.controllers.memory import Memories, MemoryController, aligned, load_memories
from ciliary.agents.controllers.network import NetworkShape, PolicyNetwork
from ciliary.agents.controllers.policy import Policy, PolicyController, load_policy, proposer_for
from ciliary.cortex.parameters import COLUMNS_V0, ParameterTable
from ciliary.envs.core import Settings
from ciliary.envs.toy import ToyEnv
from ciliary.tuning.sessions.experience import add, save_memories

TERMS = ("stability", "consistency", "collapse", "economy", "total")


class NamedToy(ToyEnv):
    """The toy world with names; its statistics show the optimum, one a parameter."""

    def __init__(self, names, statistics, default_u=None):
        super().__init__(n_parameters=len(names), action_mode="absolute", is_context_visible=True)
        self._settings = Settings(ParameterTable.generic(names), default_u)
        self._statistics = statistics

    @property
    def observed(self):
        return {"statistics": self._statistics, "terms": TERMS}


def made(names, statistics, seed=0):
    """A policy with weights at random that says what its columns are."""
    torch.manual_seed(seed)
    network = PolicyNetwork(NetworkShape(len(names), len(statistics), len(TERMS), has_image=False, n_hidden=8)).eval()
    torch.nn.init.normal_(network.head.weight)
    network.statistics_mean.copy_(torch.linspace(-0.5, 0.5, len(statistics)))
    about = {"names": list(names), "statistics": list(statistics), "terms": list(TERMS)}
    return Policy(network.requires_grad_(False), about)


def info_of(names, statistics, terms=TERMS, default_u=None):
    table = ParameterTable.generic(names)
    default_u = np.zeros(len(names), np.float32) if default_u is None else np.asarray(default_u, np.float32)
    return {
        "parameters": table,
        "parameter_names": table.names,
        "default_u": default_u,
        "observed": {"statistics": tuple(statistics), "terms": tuple(terms)},
    }


def test_the_same_columns_leave_the_policy_as_it_is():
    policy = made("abc", "pqr")
    assert align(policy, info_of("abc", "pqr")) is policy
    assert proposer_for(policy, info_of("abc", "pqr")) is policy


def test_other_columns_in_another_order_are_the_same_setting():
    policy = made("abc", "pqr")
    turned = proposer_for(policy, info_of("cab", "rqp"))
    assert isinstance(turned, Aligned)
    assert turned.notes == ()
    u, statistics, terms = np.array([0.1, -0.2, 0.3], np.float32), np.array([0.5, 0.0, -0.5]), np.zeros(5)
    expected = policy.propose({"u": u, "statistics": statistics, "terms": terms})
    found = turned.propose({"u": u[[2, 0, 1]], "statistics": statistics[::-1], "terms": terms})
    np.testing.assert_array_equal(found, expected[[2, 0, 1]])


def test_a_parameter_and_an_entry_more_and_one_fewer():
    policy = made("abc", "pqr")
    here = info_of("axc", ("q", "y", "p"), ("new", *TERMS[1:]), default_u=[0, 0.7, 0])
    found = proposer_for(policy, here)
    told = {
        "u": np.array([0.1, 0.9, 0.3], np.float32),
        "statistics": np.array([0.4, 9.0, -0.4]),
        "terms": np.arange(5.0),
    }
    expected = policy.propose(
        {
            "u": np.array([0.1, 0.0, 0.3], np.float32),  # b is in the middle of its range
            "statistics": np.array([-0.4, 0.4, 0.5]),  # r as in its training, on average
            "terms": np.array([0.0, 1, 2, 3, 4]),
        }
    )
    np.testing.assert_allclose(found.propose(told), [expected[0], 0.7, expected[2]], rtol=1e-6)
    assert found.notes == (
        "statistics that the policy does not know are not looked at: y",
        "statistics that the policy knows and are none here: r",
        "terms that the policy does not know are not looked at: new",
        "terms that the policy knows and are none here: stability",
        "parameters that the policy does not know keep their defaults: x",
        "parameters that the policy knows and are none here: b",
    )


def test_an_episode_with_a_parameter_that_is_new(tmp_path):
    path = tmp_path / "policy.safetensors"
    path.write_bytes(made("abc", "abc").to_bytes())
    trace = run_episode(NamedToy("abcd", tuple("abcd")), PolicyController(path, n_steps=2), 0, guard=None)
    assert trace.n_trials == 3
    np.testing.assert_array_equal(trace.u[:, 3], 0)
    assert np.abs(trace.u[1, :3]).min() > 0


def test_nothing_in_common_is_refused_in_words():
    with pytest.raises(ValueError, match="belongs to another environment"):
        run_episode(NamedToy("wxyz", tuple("wxyz")), PolicyController(made("abc", "abc")), 0)


def test_files_without_names_have_the_columns_of_the_first_version():
    policy = load_policy()
    assert "names" not in policy.about
    assert policy.columns == {"u": COLUMNS_V0, "statistics": STATISTICS_V0, "terms": TERMS_V0}
    names = tuple(name for name in COLUMNS_V0 if name != "blur_sigma_px")
    found = align(policy, info_of((*names, "new"), STATISTICS_V0))
    obs = {
        "u": np.zeros(len(names) + 1, np.float32),
        "statistics": np.zeros(len(STATISTICS_V0)),
        "terms": np.zeros(5),
        "image": np.zeros((3, 48, 48), np.uint8),
    }
    own = policy.propose({**obs, "u": np.zeros(len(COLUMNS_V0), np.float32)})
    rows = [COLUMNS_V0.index(name) for name in names]
    np.testing.assert_allclose(found.propose(obs), [*own[rows], 0], rtol=1e-6)


def memories_of(parameters):
    u = np.array([[0.5, -0.5, 0.25], [0.1, 0.2, 0.3]])
    return Memories(np.ones((2, 3)), u, np.ones(2), ("raw", "raw"), ("one", "two"), tuple(parameters))


def test_memories_keep_their_names_in_the_file(tmp_path):
    assert load_memories(save_memories(tmp_path / "m.npz", memories_of("abc"))).parameters == ("a", "b", "c")
    assert load_memories(save_memories(tmp_path / "m.npz", memories_of(""))).parameters == ()
    old = Memories(np.ones((1, 3)), np.zeros((1, 36)), np.ones(1), ("raw",), ("one",))
    assert load_memories(save_memories(tmp_path / "m.npz", old)).parameters == COLUMNS_V0
    with pytest.raises(ValueError, match="names of parameters"):
        memories_of("ab")


def test_memories_of_another_table_are_brought_to_this_one():
    table = ParameterTable.generic("cxa")
    found = aligned(memories_of("abc"), table)
    np.testing.assert_array_equal(found.u, [[0.25, 0.0, 0.5], [0.3, 0.0, 0.1]])
    assert found.parameters == table.names
    for foreign in (memories_of("rst"), memories_of("")):
        assert aligned(foreign, table) is foreign
    trace = run_episode(NamedToy("cxa", tuple("cxa")), MemoryController(memories_of("abc")), 0, guard=None)
    np.testing.assert_allclose(trace.u[1:], found.u[::-1], atol=1e-6)


def test_an_episode_is_added_in_the_columns_of_its_table():
    table = ParameterTable.generic("abd")
    record = {
        "parameters": list("abd"),
        "status": "FINISHED",
        "statistics": [1.0, 1.0, 1.0],
        "history": {"u": [[0.0, 0.1, 0.2]]},
        "i_chosen": 0,
        "before": {"total": 1.0},
        "after": {"total": 0.5},
    }
    found = add(memories_of("abc"), record, table)
    np.testing.assert_allclose(found.u, [[0.5, -0.5, 0.0], [0.1, 0.2, 0.0], [0.0, 0.1, 0.2]])
    assert found.parameters == ("a", "b", "d")
