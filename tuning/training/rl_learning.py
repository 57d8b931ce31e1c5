"""The learning itself: a model of stable-baselines3 on any vector environment; checkpoints, evaluation, resume."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback, CallbackList, CheckpointCallback, EvalCallback
from stable_baselines3.common.logger import KVWriter, Logger, TensorBoardOutputFormat
from stable_baselines3.common.vec_env import VecEnv, VecMonitor

from ciliary.tuning.cli.stopping import Stopper
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.sessions.figures import write_figure
from ciliary.tuning.training.curves import Curve, LearningRun, claim, draw_learning_curve
from ciliary.tuning.training.progress import Bar

if TYPE_CHECKING:
    from ciliary.tuning.training.settings import RlSettings

_ROLLOUT_STEPS = 32  # steps of each copy between two updates of PPO
_CHECKPOINT = re.compile(r"policy_(\d+)_steps\.zip")


def learn(
    settings: RlSettings, envs: VecEnv, eval_envs: VecEnv, *, about: Mapping[str, Any], is_quiet: bool = False
) -> Path:
    """Train on ``envs`` until ``settings.n_steps``, from the last checkpoint in ``settings.out`` if there is one.

    Args:
        settings: of the training; those that shape the environments have been heeded already.
        envs: to learn in.
        eval_envs: one episode in each copy is an evaluation.
        about: what is learned; kept in the zip as ``ciliary``, and compared when a training goes on.
        is_quiet: no progress bar.

    Returns, raises: as :func:`ciliary.tuning.training.rl_job.train_rl`.
    """
    out, policy = settings.out, settings.out / "policy.zip"
    claim(out, about)
    checkpoint, n_done = latest_checkpoint(out / "checkpoints")
    if policy.is_file() and n_done >= settings.n_steps:
        return policy
    envs, eval_envs = VecMonitor(envs), VecMonitor(eval_envs)
    curve = Curve(out / "progress.jsonl", n_done)
    with Stopper() as stopper, LearningRun(out, about, name=f"{settings.algo}-{Path(settings.objective).stem}") as run:
        if checkpoint is None:
            model = new_model(settings, envs)
            model.ciliary = dict(about)  # type: ignore[attr-defined]  # saved with the rest, as plain JSON
        else:
            model = load_checkpoint(settings, checkpoint, envs)
        # other episodes than before the checkpoint, and the same ones whenever it is started from there
        envs.seed(int(np.random.SeedSequence([settings.seed, n_done]).generate_state(1)[0]))
        model.set_logger(_logger(out, curve, run))
        evaluation = _Evaluation(settings, eval_envs, curve)
        saving = _Saving(settings)
        with Bar(settings.n_steps, n_done, is_quiet=is_quiet) as bar:
            told = CallbackList([evaluation, saving, _Watch(stopper, bar, evaluation)])
            model.learn(max(settings.n_steps - n_done, 1), callback=told, reset_num_timesteps=False, log_interval=1)
        saving.save()
        stopper.check()
        evaluation.evaluate()
        model.save(out / "last.zip")
        write_atomically(policy, (out / "best_model.zip").read_bytes())
        figure = write_figure(draw_learning_curve(curve.rows, about), out / "learning_curve.png")
        run.keep(policy)
        run.keep(curve.path)
        run.keep(figure, "figures")
        return policy


def new_model(settings: RlSettings, envs: VecEnv) -> BaseAlgorithm:
    """An untrained model with small networks."""
    network: dict[str, Any] = {"net_arch": list(settings.hidden)}
    if settings.has_image:
        network["features_extractor_kwargs"] = {"cnn_output_dim": 32}
    common: dict[str, Any] = {
        "gamma": settings.gamma,
        "learning_rate": settings.rate,
        "seed": settings.seed,
        "device": "cpu",
    }
    if settings.algo == "ppo":
        # 36 actions at once: exploring each by a third of the largest step leaves the total readable
        network["log_std_init"] = -1.0
        batch = _ROLLOUT_STEPS * envs.num_envs
        return PPO(
            "MultiInputPolicy",
            envs,
            n_steps=_ROLLOUT_STEPS,
            batch_size=max(2, min(64, batch)),
            target_kl=0.03,  # without it updates ran to 0.4 and what had been learned was lost
            policy_kwargs=network,
            **common,
        )
    return SAC(
        "MultiInputPolicy",
        envs,
        buffer_size=min(settings.n_steps, 50_000),
        learning_starts=min(32 * envs.num_envs, settings.n_steps // 4),
        gradient_steps=envs.num_envs,
        ent_coef="auto_0.001",  # rewards are hundredths: the usual start at 1 would drown them
        policy_kwargs=network,
        **common,
    )


def load_checkpoint(settings: RlSettings, path: Path, envs: VecEnv) -> BaseAlgorithm:
    """A model as it was saved, with SAC's replay buffer if it is there."""
    algorithm: type[BaseAlgorithm] = PPO if settings.algo == "ppo" else SAC
    model = algorithm.load(path, env=envs, device="cpu")
    buffer = _buffer_of(path)
    if isinstance(model, SAC) and buffer.is_file():
        model.load_replay_buffer(buffer)
    return model


def latest_checkpoint(folder: Path) -> tuple[Path | None, int]:
    """The checkpoint of most steps and their number; (None, 0) if there is none."""
    found = [(int(match[1]), path) for path in folder.glob("*.zip") if (match := _CHECKPOINT.fullmatch(path.name))]
    n_done, path = max(found, default=(0, None))
    return path, n_done


class _Writer(KVWriter):
    """Tells the curve and the run what the library's logger says."""

    def __init__(self, told: Sequence[Curve | LearningRun]) -> None:
        self.told = told

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """One line to each."""
        del key_excluded
        for one in self.told:
            one.log(key_values, step)

    def close(self) -> None:
        """They are closed elsewhere."""


class _Saving(CheckpointCallback):
    """Checkpoints now and then; only the last replay buffer is kept, which may be large."""

    def __init__(self, settings: RlSettings) -> None:
        every = max(settings.checkpoint_every // settings.n_envs, 1)
        folder = str(settings.out / "checkpoints")
        super().__init__(every, folder, name_prefix="policy", save_replay_buffer=False)

    def _on_step(self) -> bool:
        if self.n_calls % self.save_freq == 0:
            self.save()
        return True

    def save(self) -> None:
        """One checkpoint, whole or not at all: the zip that makes it one comes last."""
        path = Path(self._checkpoint_path(extension="zip"))
        buffer = _buffer_of(path)
        if isinstance(self.model, SAC):
            self.model.save_replay_buffer(buffer)
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            self.model.save(file)
        part.replace(path)
        for old in path.parent.glob("buffer_*.pkl"):
            if old != buffer:
                old.unlink()


class _Evaluation(EvalCallback):
    """Evaluations that go on where an earlier start of the training left off."""

    def __init__(self, settings: RlSettings, envs: VecEnv, curve: Curve) -> None:
        self.out = settings.out
        every = max(settings.evaluate_every // settings.n_envs, 1)
        super().__init__(envs, n_eval_episodes=envs.num_envs, eval_freq=every, verbose=0)
        self.best_model_save_path = str(settings.out)
        earlier = curve.values("eval/mean_reward")
        if earlier and (settings.out / "best_model.zip").is_file():
            self.best_mean_reward = max(value for _, value in earlier)
        self.has_earlier = bool(earlier)
        self.n_evaluated = curve.values("eval/mean_reward")[-1][0] if earlier else -1

    def _on_training_start(self) -> None:
        if not self.has_earlier:  # the curve begins with the untrained policy
            self.evaluate()

    def _on_step(self) -> bool:
        if self.n_calls % self.eval_freq == 0:
            self.evaluate()
        return True

    def evaluate(self) -> None:
        """One evaluation now, unless there was one at this very step."""
        if self.num_timesteps == self.n_evaluated:
            return
        self.n_evaluated = self.num_timesteps
        n_calls, self.n_calls = self.n_calls, self.eval_freq  # what EvalCallback takes as its turn
        super()._on_step()
        self.n_calls = n_calls


class _Watch(BaseCallback):
    """Moves the bar; ends the training when a signal came."""

    def __init__(self, stopper: Stopper, bar: Bar, evaluation: EvalCallback) -> None:
        super().__init__()
        self.stopper, self.bar, self.evaluation = stopper, bar, evaluation

    def _on_step(self) -> bool:
        self.bar.move(self.num_timesteps, self.evaluation.last_mean_reward)
        return not self.stopper.is_asked


def _buffer_of(checkpoint: Path) -> Path:
    return checkpoint.with_name(checkpoint.name.replace("policy_", "buffer_")).with_suffix(".pkl")


def _logger(out: Path, *told: Curve | LearningRun) -> Logger:
    """To the curve, the run and, where TensorBoard is installed, to it."""
    writers: list[KVWriter] = [_Writer(told)]
    if importlib.util.find_spec("tensorboard") is not None:
        writers.append(TensorBoardOutputFormat(str(out / "tensorboard")))
    return Logger(str(out), writers)
