"""PPO of an eye: the policy's network within stable-baselines3, that begins as the rule, and what is kept of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.policies import MultiInputActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from ciliary.agents.eye.arbiter import N_COMMANDS
from ciliary.agents.eye.network import EyeEncoder, EyeNetwork, EyeNetworkShape, hidden_layers
from ciliary.agents.eye.policy import EyePolicy
from ciliary.agents.eye.promise import PlacePromise
from ciliary.agents.training.eye_vec_env import CRITIC, MAPS, EyeVecEnv

GAMMA = 0.99
ROLLOUT_STEPS = 128  # of each copy between two updates: eight episodes
RATE = 3e-4
_LOG_STD = -1.3
_N_HIDDEN = 64

#: What was seen, and what was paid.
Step = tuple[dict[str, np.ndarray], float]
_N_EPOCHS_TAUGHT = 200
_RATE_TAUGHT = 3e-3


class Extractor(BaseFeaturesExtractor):
    """:class:`ciliary.agents.eye.network.EyeEncoder` in the library's form."""

    def __init__(self, observation_space: gym.Space[Any], vectors: Mapping[str, int], has_maps: bool) -> None:
        encoder = EyeEncoder(EyeNetworkShape(vectors, has_maps=has_maps))
        super().__init__(observation_space, encoder.n_outputs)
        self.encoder = encoder

    def forward(self, observations: Any) -> Tensor:
        """Standardised vectors, and what the maps come to."""
        out: Tensor = self.encoder(observations)
        return out


class Towers(nn.Module):
    """Hidden layers of actor and critic, whose inputs differ in number, in the library's form."""

    def __init__(self, n_actor: int, n_critic: int, n_hidden: int) -> None:
        super().__init__()
        self.latent_dim_pi = self.latent_dim_vf = n_hidden
        self.policy_net, self.value_net = hidden_layers(n_actor, n_hidden), hidden_layers(n_critic, n_hidden)

    def forward(self, features: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Of both."""
        return self.forward_actor(features[0]), self.forward_critic(features[1])

    def forward_actor(self, features: Tensor) -> Tensor:
        """(N, n_hidden)."""
        out: Tensor = self.policy_net(features)
        return out

    def forward_critic(self, features: Tensor) -> Tensor:
        """(N, n_hidden)."""
        out: Tensor = self.value_net(features)
        return out


class Policy(MultiInputActorCriticPolicy):
    """The library's, whose critic alone is told what the reward is made of (Pinto et al. 2017): less to guess."""

    def make_features_extractor(self) -> BaseFeaturesExtractor:
        """The actor's the first time, the critic's after that."""
        is_actor, self._n_made = getattr(self, "_n_made", 0) == 0, getattr(self, "_n_made", 0) + 1
        kwargs = dict(self.features_extractor_kwargs)
        vectors = {name: n for name, n in kwargs["vectors"].items() if not (is_actor and name == CRITIC)}
        return Extractor(self.observation_space, vectors, kwargs["has_maps"])

    def _build_mlp_extractor(self) -> None:
        n_actor, n_critic = (one.features_dim for one in (self.pi_features_extractor, self.vf_features_extractor))
        self.mlp_extractor = Towers(n_actor, n_critic, _N_HIDDEN)  # type: ignore[assignment]


def new_ppo(envs: EyeVecEnv | Any, *, seed: int, has_maps: bool) -> PPO:
    """An untrained model on an environment of commands (or muscles)."""
    seen = envs.observation_space
    assert isinstance(seen, gym.spaces.Dict)
    vectors = {name: int((space.shape or (0,))[0]) for name, space in seen.spaces.items() if name not in MAPS}
    torch.manual_seed(seed)
    return PPO(
        Policy,
        envs,
        n_steps=ROLLOUT_STEPS,
        batch_size=min(512, ROLLOUT_STEPS * envs.num_envs),
        n_epochs=6,
        gamma=GAMMA,
        gae_lambda=0.9,
        learning_rate=RATE,
        target_kl=0.03,
        seed=seed,
        device="cpu",
        policy_kwargs={
            "features_extractor_class": Extractor,
            "features_extractor_kwargs": {"vectors": vectors, "has_maps": has_maps},
            "share_features_extractor": False,
            "log_std_init": _LOG_STD,
        },
    )


class Averaged:
    """The model's weights averaged over its updates, the latest most: what is judged and kept swings less.

    Args:
        model: whose weights at this moment are the first.
        share: of the latest weights in the average, in (0, 1].
    """

    def __init__(self, model: PPO, share: float = 0.25) -> None:
        self.model, self.share = model, share
        self.weights = {name: value.clone() for name, value in model.policy.state_dict().items()}

    def update(self) -> None:
        """After an update of the model."""
        for name, value in self.model.policy.state_dict().items():
            self.weights[name].lerp_(value, self.share)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The model has the averaged weights meanwhile."""
        own = {name: value.clone() for name, value in self.model.policy.state_dict().items()}
        self.model.policy.load_state_dict(self.weights)
        try:
            yield
        finally:
            self.model.policy.load_state_dict(own)


def policy_of(model: PPO, about: Mapping[str, Any], promise: PlacePromise | None = None) -> EyePolicy:
    """The model's mean action as a network that needs no library."""
    inner = model.policy
    assert isinstance(inner.pi_features_extractor, Extractor)
    shape = inner.pi_features_extractor.encoder.shape
    network = EyeNetwork(EyeNetworkShape(shape.vectors, int(model.action_space.shape[0]), shape.has_maps, _N_HIDDEN))  # type: ignore[index]
    network.encoder.load_state_dict(inner.pi_features_extractor.encoder.state_dict())
    network.trunk.load_state_dict(inner.mlp_extractor.policy_net.state_dict())
    network.head.load_state_dict(inner.action_net.state_dict())
    return EyePolicy(network.eval().requires_grad_(False), dict(about), promise)


def teach(model: PPO, envs: EyeVecEnv, n_episodes: int, *, seed: int) -> float:
    """Have the model begin as the rule, and its critic know what the rule earns, by ``n_episodes`` of its episodes.

    The actor corrects nothing yet; the inputs' scale is measured. Every second copy strays as PPO will.

    Returns:
        mean return of the rule where it did not stray.
    """
    rng = np.random.default_rng(seed)
    envs.seed(seed)
    obs: dict[str, np.ndarray] = envs.reset()
    episodes: list[list[Step]] = []
    gains: list[float] = []
    going: list[list[Step]] = [[] for _ in range(envs.num_envs)]
    while len(episodes) < n_episodes:
        strays = np.exp(_LOG_STD) * rng.normal(size=(envs.num_envs, N_COMMANDS))
        strays[::2] = 0
        new, rewards, dones, _ = envs.step(strays.clip(-1, 1).astype(np.float32))
        for i in range(envs.num_envs):
            going[i].append(({name: values[i].copy() for name, values in obs.items()}, float(rewards[i])))
            if dones[i]:
                if i % 2 == 0:
                    gains.append(sum(reward for _, reward in going[i]))
                episodes.append(going[i])
                going[i] = []
        assert isinstance(new, dict)
        obs = new
    steps = [step for episode in episodes for step in episode]
    returns = np.concatenate([_discounted([reward for _, reward in episode]) for episode in episodes])
    seen = {name: torch.as_tensor(np.stack([step[0][name] for step in steps])) for name in steps[0][0]}
    _fit(model, seen, torch.as_tensor(returns, dtype=torch.float32), seed)
    return float(np.mean(gains))


def _fit(model: PPO, seen: Mapping[str, Tensor], returns: Tensor, seed: int) -> None:
    policy = model.policy
    assert isinstance(policy.action_net, nn.Linear)
    nn.init.zeros_(policy.action_net.weight)
    nn.init.zeros_(policy.action_net.bias)
    for extractor in (policy.pi_features_extractor, policy.vf_features_extractor):
        extractor.encoder.standardise(seen)  # type: ignore[union-attr,operator]
    optimiser = torch.optim.Adam(policy.parameters(), _RATE_TAUGHT)
    order = torch.Generator().manual_seed(seed)
    for epoch in range(_N_EPOCHS_TAUGHT):
        for group in optimiser.param_groups:
            group["lr"] = _RATE_TAUGHT * (1 - epoch / _N_EPOCHS_TAUGHT)
        for rows in torch.randperm(len(returns), generator=order).split(256):
            part = {name: values[rows] for name, values in seen.items()}
            loss = (policy.predict_values(part)[:, 0] - returns[rows]).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()


def _discounted(rewards: list[float]) -> np.ndarray:
    out = np.zeros(len(rewards))
    ahead = 0.0
    for k in range(len(rewards) - 1, -1, -1):
        ahead = rewards[k] + GAMMA * ahead
        out[k] = ahead
    return out
