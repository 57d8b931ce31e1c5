"""The learning itself: a model of stable-baselines3 on any vector environment; checkpoints, evaluation, resume."""

from __future__ import annotations

import importlib.util
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import DictReplayBuffer
from stable_baselines3.common.callbacks import CallbackList, CheckpointCallback, ConvertCallback, EvalCallback
from stable_baselines3.common.logger import KVWriter, Logger, TensorBoardOutputFormat
from stable_baselines3.common.vec_env import VecEnv, VecMonitor

from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.cli.stopping import Stopper
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.sessions.figures import write_figure
from ciliary.tuning.training.curves import Curve, LearningRun, claim, draw_learning_curve
from ciliary.tuning.training.going_on import restore, restore_buffer, save_buffer
from ciliary.tuning.training.settings import RlSettings

_ROLLOUT_STEPS = 32  # steps of each copy between two updates of PPO
_CHECKPOINT = re.compile(r"policy_(\d+)_steps\.zip")
_BUFFER = "policy_replay_buffer_"
_GAIN = "eval/mean_reward"


def learn(
    settings: RlSettings,
    envs: VecEnv,
    eval_envs: VecEnv,
    *,
    about: Mapping[str, Any],
    columns: Mapping[str, Any] | None = None,
    is_quiet: bool = False,
) -> Path:
    """Train on ``envs`` until ``settings.n_steps``, from the last checkpoint in ``settings.out`` if there is one.

    Args:
        settings: of the training; those that shape the environments have been heeded already.
        envs: to learn in.
        eval_envs: one episode in each copy is an evaluation.
        about: what is learned; kept in the zip as ``ciliary``, and compared when a training goes on.
        columns: names of what it sets and sees; kept with it.
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
        model = new_model(settings, envs) if checkpoint is None else load_checkpoint(settings, checkpoint, envs)
        model.ciliary = {**about, **(columns or {})}  # type: ignore[attr-defined]  # saved with the rest, as plain JSON
        # other episodes than before the checkpoint, and the same ones whenever it is started from there
        envs.seed(int(np.random.SeedSequence([settings.seed, n_done]).generate_state(1)[0]))
        model.set_logger(_logger(out, curve, run))
        evaluation, saving = _Evaluation(settings, eval_envs, curve), _Saving(settings)
        with Bar(settings.n_steps, n_done=n_done, title="training", is_quiet=is_quiet) as bar:

            def on_step(*_: Any) -> bool:
                gain = evaluation.last_mean_reward  # not finite before the first
                bar.move(model.num_timesteps, note=f"gain {gain:+.4f}" if np.isfinite(gain) else "")
                return not stopper.is_asked

            told = CallbackList([evaluation, saving, ConvertCallback(on_step)])
            model.learn(max(settings.n_steps - n_done, 1), callback=told, reset_num_timesteps=False, log_interval=1)
        saving.save_freq = evaluation.eval_freq = 1  # now is the turn of either
        saving._on_step()  # noqa: SLF001 -- no public call has it
        stopper.check()
        if curve.values(_GAIN)[-1][0] != model.num_timesteps:
            evaluation._on_step()  # noqa: SLF001 -- no public call has it
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
    """A model as it was saved, with SAC's replay buffer if it is there; what earlier versions pickled is not read."""
    model = new_model(settings, envs)
    restore(model, path)
    buffer = path.with_name(path.name.replace("policy_", _BUFFER)).with_suffix(".npz")
    if isinstance(model, SAC) and buffer.is_file():
        assert isinstance(model.replay_buffer, DictReplayBuffer)
        restore_buffer(model.replay_buffer, buffer)
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
    """Checkpoints now and then, whole or not at all; of SAC's replay buffers, which may be large, the last is kept."""

    def __init__(self, settings: RlSettings) -> None:
        every = max(settings.checkpoint_every // settings.n_envs, 1)
        self.folder = settings.out / "checkpoints"
        super().__init__(every, str(settings.out / "part"), name_prefix="policy")

    def _on_step(self) -> bool:
        if self.n_calls % self.save_freq:
            return True
        part, buffers = (
            Path(self.save_path),
            [p for kind in ("npz", "pkl") for p in self.folder.glob(f"*buffer_*.{kind}")],
        )
        shutil.rmtree(part, ignore_errors=True)  # of one that was killed
        part.mkdir()
        self.folder.mkdir(exist_ok=True)
        super()._on_step()
        if isinstance(self.model, SAC):
            assert isinstance(self.model.replay_buffer, DictReplayBuffer)
            save_buffer(self.model.replay_buffer, part / f"{_BUFFER}{self.num_timesteps}_steps.npz")
        new = [path.replace(self.folder / path.name) for path in sorted(part.iterdir(), reverse=True)]  # the zip last
        for old in {*buffers} - {*new}:
            old.unlink()
        part.rmdir()
        return True


class _Evaluation(EvalCallback):
    """Evaluations on the images held out: the curve begins with the untrained policy, the best outlives a stop."""

    def __init__(self, settings: RlSettings, envs: VecEnv, curve: Curve) -> None:
        every = max(settings.evaluate_every // settings.n_envs, 1)
        best = str(settings.out)
        super().__init__(envs, n_eval_episodes=envs.num_envs, eval_freq=every, best_model_save_path=best, verbose=0)
        self.earlier = [gain for _, gain in curve.values(_GAIN)]
        if self.earlier and (settings.out / "best_model.zip").is_file():
            self.best_mean_reward = max(self.earlier)

    def _on_training_start(self) -> None:
        if not self.earlier:
            self._on_step()  # no call yet, which counts as its turn


def _logger(out: Path, *told: Curve | LearningRun) -> Logger:
    """To the curve, the run and, where TensorBoard is installed, to it."""
    writers: list[KVWriter] = [_Writer(told)]
    if importlib.util.find_spec("tensorboard") is not None:
        writers.append(TensorBoardOutputFormat(str(out / "tensorboard")))
    return Logger(str(out), writers)
