#!/usr/bin/env python
"""PPO in one file, every detail in view, on an eye that moves gaze, lens and pupil: an agent of your own begins here.

In the manner of CleanRL's ``ppo_continuous_action.py`` (Huang et al. 2022, JMLR 23): its names in its order, and no
library of agents. From top to bottom: arguments, environments, agent, advantages, update, training, telling.

    python scripts/ppo_eye.py --seed 1
    python scripts/ppo_eye.py --env-id ciliary.envs:Ciliary/Focus-v0 --rules lens-reflex --total-timesteps 4096
"""

import csv
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import cyclopts
import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorWrapper
from gymnasium.vector.utils import batch_space
from gymnasium.wrappers import vector as wrappers
from torch import Tensor, nn
from torch.distributions.normal import Normal

from ciliary.agents import make_controller
from ciliary.agents.eye.playing import play_eyes
from ciliary.envs.metrics.statistics import bootstrap_mean, paired_difference

#: Small frames and coarse optics: looks cost less. What is told is told of these, too.
SMALL: dict[str, Any] = {"size_px": (96, 128), "n_layers": 2, "window_px": 32, "coarse": 8, "mosaic_coarse": 4}
EVAL_SEED = 1_000_000  # of the first episode that tells what was learned; those of training are far below


@dataclass
class Args:
    """Every number of a run, by CleanRL's name where it has one."""

    seed: int = 1  # of weights, actions and training scenes
    out: Path = Path("runs/ppo_eye")  # a folder in it for each run: progress.csv, agent.pt, returns_*.csv
    track: bool = False  # log to MLflow, too, where MLFLOW_TRACKING_URI says
    env_id: str = "ciliary.envs:Ciliary/Eye-v0"  # or Focus-v0, Gaze-v0
    scenes: str = "mixed"  # trained on: synthetic (drawn for each episode), photographs (bundled), mixed, or a folder
    eval_scenes: tuple[str, ...] = ("synthetic",)  # told on: other seeds of synthetic, or a folder of photographs
    eval_episodes: int = 48  # of each kind at most, one a scene
    rules: tuple[str, ...] = ("eye-reflex", "eye-settle")  # hand-written controllers that play the same scenes
    total_timesteps: int = 6_144  # looks
    learning_rate: float = 2e-3
    num_envs: int = 16  # eyes side by side
    num_steps: int = 32  # of each between two updates
    anneal_lr: bool = True  # the rate falls to 0 over the run
    gamma: float = 0.95
    gae_lambda: float = 0.8  # 0 trusts the value, 1 the rewards
    num_minibatches: int = 4
    update_epochs: int = 10
    norm_adv: bool = True  # advantages of a minibatch have mean 0 and deviation 1
    clip_coef: float = 0.2
    clip_vloss: bool = True
    ent_coef: float = 0.0
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    target_kl: float | None = None  # an update that has gone farther ends
    log_std_init: float = -0.7  # of the actions, which range from -1 to 1
    is_endless: bool = False  # value what a truncation cuts off; here the eye sees the time, and its last look is last


# --- environments
class EyeCentred(VectorWrapper):
    """One vector to see, and a gaze that goes or stays: spaces in which some thousand looks teach something.

    Seen are muscles, statistics, time, and where priority peaks and how high; not the glance, which is 7,776 numbers.
    The gaze's action is one number for two, how far it goes to that peak: 1 all the way; at 0 or less it stays.
    """

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.has_gaze = "gaze_y_deg" in env.unwrapped.config.muscles
        n_seen = sum(env.single_observation_space[name].shape[0] for name in ("eye", "statistics", "time")) + 3
        n_actions = env.single_action_space.shape[0] - self.has_gaze
        seen, action = (gym.spaces.Box(-1.0, 1.0, (n,), np.float32) for n in (n_seen, n_actions))
        self.single_observation_space, self.observation_space = seen, batch_space(seen, self.num_envs)
        self.single_action_space, self.action_space = action, batch_space(action, self.num_envs)

    def reset(self, **options: Any) -> tuple[np.ndarray, dict[str, Any]]:
        """As the environment's."""
        obs, info = self.env.reset(**options)
        return self._seen(obs), info

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, Any, Any, Any, dict[str, Any]]:
        """Actions (E, n) in [-1, 1]."""
        if self.has_gaze:
            gaze = self.gaze + actions[:, :1].clip(0, 1) * (self.peak - self.gaze)
            actions = np.concatenate([gaze, actions[:, 1:]], 1).astype(np.float32)
        obs, *rest = self.env.step(actions)
        return self._seen(obs), *rest

    def _seen(self, obs: dict[str, np.ndarray]) -> np.ndarray:
        priority = obs["priority"][:, 0]
        rows, columns = priority.shape[1:]
        y, x = np.unravel_index(priority.reshape(len(priority), -1).argmax(1), (rows, columns))
        self.gaze, self.peak = obs["eye"][:, :2], np.stack([(2 * y + 1) / rows - 1, (2 * x + 1) / columns - 1], 1)
        height = priority.max((1, 2))[:, None] / 255
        seen = obs["eye"], obs["statistics"], obs["time"], self.peak, height
        return np.concatenate(seen, 1).astype(np.float32)


def make_envs(args: Args, scenes: str, rms: Any = None) -> tuple[Any, Any]:
    """Eyes, and mean and variance of what they see; where these are given, nothing adapts and rewards are as they are.

    By NEXT_STEP the step after an episode's last one ignores its action, pays 0 and shows the next one's first look.
    """
    envs = gym.make_vec(args.env_id, num_envs=args.num_envs, scenes=scenes, in_depth=True, **SMALL)
    assert envs.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    envs = EyeCentred(wrappers.RecordEpisodeStatistics(envs))  # below all that changes rewards
    envs = wrappers.ClipAction(envs)  # the policy is a Gaussian, the muscles end at -1 and 1
    envs = wrappers.NormalizeObservation(envs)
    if rms is not None:
        envs.obs_rms, envs.update_running_mean = rms, False
        return envs, rms
    # points of light in the dark pay or cost ten times what is usual
    return wrappers.ClipReward(wrappers.NormalizeReward(envs, gamma=args.gamma), -1, 1), envs.obs_rms


# --- agent
def layer_init(layer: nn.Linear, std: float = 2**0.5, bias_const: float = 0.0) -> nn.Linear:
    """Orthogonal weights of that gain."""
    nn.init.orthogonal_(layer.weight, std)
    nn.init.constant_(layer.bias, bias_const)
    return layer


def tower(n_seen: int, n_out: int, std: float) -> nn.Sequential:
    """Two hidden layers."""
    hidden = [layer_init(nn.Linear(n_seen, 64)), nn.Tanh(), layer_init(nn.Linear(64, 64)), nn.Tanh()]
    return nn.Sequential(*hidden, layer_init(nn.Linear(64, n_out), std))


class Agent(nn.Module):
    """Actor and critic share nothing; how widely actions spread does not depend on what is seen."""

    def __init__(self, n_seen: int, n_actions: int, log_std_init: float = 0.0) -> None:
        super().__init__()
        self.critic, self.actor_mean = tower(n_seen, 1, 1.0), tower(n_seen, n_actions, 0.01)
        self.actor_logstd = nn.Parameter(torch.full((1, n_actions), log_std_init))

    def get_value(self, x: Tensor) -> Tensor:
        """(N,)."""
        return torch.squeeze(self.critic(x), 1)

    def get_action_and_value(self, x: Tensor, action: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Action (N, n), drawn unless it is given; its log-probability, the entropy and the value, (N,)."""
        probs = Normal(self.actor_mean(x), self.actor_logstd.exp())
        action = probs.sample() if action is None else action
        return action, probs.log_prob(action).sum(1), probs.entropy().sum(1), self.get_value(x)


# --- advantages: a rollout is tensors (T, E) of T steps of E eyes, by name
def gae(rollout: dict[str, Tensor], next_value: Tensor, *, gamma: float, gae_lambda: float) -> Tensor:
    """Advantages (T, E), Schulman et al. 2016; those of steps that only begin an episode mean nothing.

    With NEXT_STEP, what is seen after an episode's last step is its own last look, so that ``values[t + 1]`` is the
    value that a truncation cut off (a termination has none), and nothing flows back over an end.
    """
    rewards, values, dones, terminations = (rollout[name] for name in ("rewards", "values", "dones", "terminations"))
    advantages, lastgaelam = torch.zeros_like(rewards), torch.zeros_like(next_value)
    for t in reversed(range(len(rewards))):
        nextvalues = next_value if t == len(rewards) - 1 else values[t + 1]
        delta = rewards[t] + gamma * nextvalues * (1 - terminations[t]) - values[t]
        advantages[t] = lastgaelam = delta + gamma * gae_lambda * (1 - dones[t]) * lastgaelam
    return advantages


# --- update
def update(agent: Agent, optimizer: torch.optim.Optimizer, rollout: dict[str, Tensor], args: Args) -> dict[str, float]:
    """Some epochs over the steps of a rollout that were one; means over minibatches, by CleanRL's names."""
    b = {name: values[rollout["is_real"] > 0] for name, values in rollout.items()}
    returns = b["advantages"] + b["values"]
    told = []
    for _ in range(args.update_epochs):
        for mb in torch.randperm(len(returns)).tensor_split(args.num_minibatches):
            _, newlogprob, entropy, newvalue = agent.get_action_and_value(b["obs"][mb], b["actions"][mb])
            logratio = newlogprob - b["logprobs"][mb]
            ratio = logratio.exp()

            mb_advantages = b["advantages"][mb]
            if args.norm_adv:
                mb_advantages = (mb_advantages - mb_advantages.mean()) / (mb_advantages.std() + 1e-8)
            pg_loss2 = -mb_advantages * ratio.clamp(1 - args.clip_coef, 1 + args.clip_coef)
            pg_loss = torch.max(-mb_advantages * ratio, pg_loss2).mean()

            v_error = (newvalue - returns[mb]).square()
            if args.clip_vloss:
                v_clipped = b["values"][mb] + (newvalue - b["values"][mb]).clamp(-args.clip_coef, args.clip_coef)
                v_error = torch.max(v_error, (v_clipped - returns[mb]).square())
            v_loss, entropy_loss = 0.5 * v_error.mean(), entropy.mean()

            loss = pg_loss - args.ent_coef * entropy_loss + args.vf_coef * v_loss
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), args.max_grad_norm)
            optimizer.step()
            approx_kl = ((ratio - 1) - logratio).mean()  # http://joschu.net/blog/kl-approx.html
            clipfrac = ((ratio - 1).abs() > args.clip_coef).float().mean()
            told.append([float(x.detach()) for x in (v_loss, pg_loss, entropy_loss, approx_kl, clipfrac)])
        if args.target_kl is not None and told[-1][3] > args.target_kl:
            break
    names = ("value_loss", "policy_loss", "entropy", "approx_kl", "clipfrac", "explained_variance")
    explained_var = 1 - float(b["advantages"].var() / returns.var())
    return {f"losses/{name}": value for name, value in zip(names, [*np.mean(told, 0), explained_var], strict=True)}


# --- training
def train(args: Args, log: Callable[[int, dict[str, float]], None]) -> tuple[Agent, Any]:
    """The agent, and mean and variance of what it saw; ``log`` is told of every episode's end and of every update."""
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)  # networks this small are slower in two
    envs, rms = make_envs(args, args.scenes)
    agent = Agent(envs.single_observation_space.shape[0], envs.single_action_space.shape[0], args.log_std_init)
    optimizer = torch.optim.Adam(agent.parameters(), args.learning_rate, eps=1e-5)
    num_iterations = max(1, args.total_timesteps // (args.num_envs * args.num_steps))
    global_step, start_time = 0, time.perf_counter()
    next_obs, next_done = envs.reset(seed=args.seed * args.num_envs)[0], np.zeros(args.num_envs, dtype=bool)
    for iteration in range(num_iterations):
        if args.anneal_lr:
            optimizer.param_groups[0]["lr"] = (1 - iteration / num_iterations) * args.learning_rate
        steps: list[dict[str, Any]] = []
        for _ in range(args.num_steps):
            obs, is_real = torch.from_numpy(next_obs), ~next_done
            with torch.no_grad():
                action, logprob, _, value = agent.get_action_and_value(obs)
            next_obs, reward, terminations, truncations, infos = envs.step(action.numpy())
            next_done = terminations | truncations
            ends = terminations if args.is_endless else next_done
            one = {"obs": obs, "actions": action, "logprobs": logprob, "values": value, "rewards": reward}
            steps.append({**one, "dones": next_done, "terminations": ends, "is_real": is_real})
            global_step += int(is_real.sum())
            for i in np.flatnonzero(next_done):
                log(global_step, {"charts/episodic_return": float(infos["episode"]["r"][i])})
        rollout = {k: torch.stack([torch.as_tensor(one[k], dtype=torch.float32) for one in steps]) for k in steps[0]}
        with torch.no_grad():
            next_value = agent.get_value(torch.from_numpy(next_obs))
        rollout["advantages"] = gae(rollout, next_value, gamma=args.gamma, gae_lambda=args.gae_lambda)
        losses = update(agent, optimizer, rollout, args)
        log(global_step, {**losses, "charts/SPS": global_step / (time.perf_counter() - start_time)})
    envs.close()
    return agent, rms


# --- telling
def evaluate(act: Callable[[np.ndarray], np.ndarray], envs: Any, scenes: list[Any]) -> np.ndarray:
    """Returns (N,) of one episode a scene; scenes and photons of episode i are those of ``EVAL_SEED + i``."""
    returns = []
    for start in range(0, len(scenes), envs.num_envs):
        wanted = scenes[start : start + envs.num_envs]
        filled = wanted + wanted[-1:] * (envs.num_envs - len(wanted))
        obs, _ = envs.reset(seed=EVAL_SEED + start, options={"scene": filled})
        gain, is_over = np.zeros(envs.num_envs), np.zeros(envs.num_envs, dtype=bool)
        while not is_over.all():
            obs, reward, terminations, truncations, _ = envs.step(act(obs))
            gain += np.where(is_over, 0, reward)
            is_over |= terminations | truncations
        returns.append(gain[: len(wanted)])
    return np.concatenate(returns)


def tell(args: Args, agent: Agent, rms: Any, scenes: str) -> dict[str, np.ndarray]:
    """Returns at the same scenes and photons: of who knows nothing, of the rules, and of the agent's mean action."""
    envs, _ = make_envs(args, scenes, rms)
    named = envs.unwrapped.world.source.names if scenes != "synthetic" else ()
    wanted: list[Any] = list(range(len(named)))[: args.eval_episodes] or [None] * args.eval_episodes
    rng = np.random.default_rng(args.seed)

    def played(name: str) -> np.ndarray:
        return play_eyes(envs.unwrapped, make_controller(name), wanted, seed=EVAL_SEED).gain

    found = {"nothing moves": played("fixed")}
    found["random actions"] = evaluate(lambda _: rng.uniform(-1, 1, envs.action_space.shape), envs, wanted)
    found |= {rule: played(rule) for rule in args.rules}
    with torch.no_grad():
        found["PPO"] = evaluate(lambda obs: agent.actor_mean(torch.from_numpy(obs)).numpy(), envs, wanted)
    return found


def main(args: Annotated[Args, cyclopts.Parameter(name="*")] = Args()) -> None:  # noqa: B008
    """PPO on an eye: train, then stand beside who knows nothing and who was written by hand."""
    folder = args.out / f"{args.env_id.rpartition('/')[2]}__{args.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    if args.track:
        import mlflow

        mlflow.start_run(run_name=folder.name)
        mlflow.log_params(asdict(args))
    with (folder / "progress.csv").open("w", newline="", encoding="utf-8") as file:
        progress = csv.writer(file)
        progress.writerow(["global_step", "name", "value"])

        def log(global_step: int, values: dict[str, float]) -> None:
            progress.writerows([global_step, name, value] for name, value in values.items())
            words = [f"{name.rpartition('/')[2]}={value:.3g}" for name, value in values.items()]
            print(f"global_step={global_step}", *words, sep=", ", flush=True)
            if args.track:
                mlflow.log_metrics(values, step=global_step)

        agent, rms = train(args, log)
    torch.save({"agent": agent.state_dict(), "mean": rms.mean, "var": rms.var}, folder / "agent.pt")
    for scenes in args.eval_scenes:
        found = tell(args, agent, rms, scenes)
        print(f"\n{scenes}, {len(found['PPO'])} episodes: return, and PPO less it, with 95 % intervals")
        for name, returns in found.items():
            one, less = bootstrap_mean(returns), paired_difference(found["PPO"], returns)
            more = "" if name == "PPO" else f"   {less.mean:6.3f} [{less.low:.3f}, {less.high:.3f}]"
            print(f"{name:15} {one.mean:6.3f} [{one.low:.3f}, {one.high:.3f}]{more}", flush=True)
        with (folder / f"returns_{Path(scenes).name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([list(found), *np.stack(list(found.values()), 1).tolist()])


if __name__ == "__main__":
    cyclopts.run(main)
