"""The job of training an eye: photographs in; weights with provenance, a curve and a tracked run out."""

from __future__ import annotations

import datetime
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load, save
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecMonitor

from ciliary.agents.base import ControllerBase
from ciliary.agents.eye.arbiter import Arbiter, settling_rule
from ciliary.agents.eye.playing import Played, play_from
from ciliary.agents.eye.policy import EyePolicyController
from ciliary.agents.eye.promise import PlacePromise
from ciliary.agents.training.eye_promise import learn_promise
from ciliary.agents.training.eye_vec_env import EyeVecEnv
from ciliary.envs.eye.config import EyeConfig
from ciliary.envs.eye.vector import EyeVectorEnv
from ciliary.tuning.cli.complain import complain
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, STOPPED
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.cli.stopping import Stopper
from ciliary.tuning.eye.learning import RATE, Averaged, new_ppo, policy_of, teach
from ciliary.tuning.eye.scenes import ENDLESS, QUICK, parts_of, scenes_of
from ciliary.tuning.eye.settings import EyeTraining
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.fingerprints import versions
from ciliary.tuning.sessions.figures import write_figure
from ciliary.tuning.training.curves import Curve, LearningRun, claim, draw_learning_curve
from ciliary.tuning.training.going_on import restore

WEIGHTS, CHECKPOINT, BEST = "eye.safetensors", "checkpoint.zip", "eval/gain"
PROMISE = "promise.safetensors"
RULE = "eval/rule"
_PHOTONS = 10_000  # seed of the photons of evaluations
_EVALUATE_EVERY = 6  # rollouts
_N_STARTS = 4


def run(settings: EyeTraining) -> int:
    """Train and write.

    Returns:
        0 all well, 1 nothing could be done, 130 stopped by Ctrl-C.
    """
    try:
        path = train(settings)
    except (ValueError, OSError, ImportError) as error:
        _complain(error)
        return NOTHING
    except KeyboardInterrupt:
        _complain("stopped; the same command goes on")
        return STOPPED
    if not settings.is_quiet:
        print(f"eye      {path}")
    return ALL_WELL


def train(settings: EyeTraining) -> Path:
    """Train an eye, or go on with a training that was stopped; returns the file of weights.

    Raises:
        ValueError: too few photographs, or the folder holds another training.
        Stopped: by SIGINT or SIGTERM, after a checkpoint.
    """
    s, out = settings, settings.out
    rule = settling_rule()
    about: dict[str, Any] = {
        "algo": "ppo" if not s.is_scratch else "ppo, from scratch",
        "objective": "Ciliary/Eye-v0",
        "seed": s.seed,
        "n_envs": s.n_envs,
        "n_places": 0 if s.is_scratch else s.n_places,
        "n_taught": 0 if s.is_scratch else s.n_taught,
        "with_maps": s.with_maps or s.is_scratch,
        "n_saccades": rule.gaze.n_saccades,  # type: ignore[union-attr]
        "photographs": s.scenes.name,
        "optics": {k: int(v) for k, v in QUICK.items()},
    }
    claim(out, about)
    with Stopper() as stopper, LearningRun(out, about, name=f"eye-{s.seed}") as run:
        job = _Job(s, about, stopper, run)
        job.learn()
        stopper.check()
        for path in (job.weights, job.curve.path, out / "curve.csv"):
            run.keep(path)
        run.keep(out / "curve.png", "figures")
    return out / WEIGHTS


class _Job:
    """One training."""

    def __init__(self, settings: EyeTraining, about: dict[str, Any], stopper: Stopper, run: LearningRun) -> None:
        s = self.settings = settings
        self.about, self.stopper, self.run = about, stopper, run
        self.weights, self.checkpoint = s.out / WEIGHTS, s.out / CHECKPOINT
        config, parts = EyeConfig(in_depth=True, device=s.device), parts_of(s.scenes)
        with Bar(len(parts["learn"]) + len(parts["choose"]), title="reading", is_quiet=s.is_quiet) as bar:
            learned = scenes_of(s.scenes, parts["learn"], config, on_scene=bar.advance)
            self.held_out = scenes_of(s.scenes, parts["choose"], config, on_scene=bar.advance)
        envs = EyeVectorEnv(s.n_envs, scenes=learned, device=s.device, **QUICK, **ENDLESS)
        self.judging = EyeVectorEnv(8, scenes=self.held_out, device=s.device, **QUICK)
        self.promise = None if s.is_scratch else self._promise(envs)
        arbiter = None if s.is_scratch else Arbiter(settling_rule(), self.promise)
        self.envs = EyeVecEnv(envs, arbiter, has_maps=bool(about["with_maps"]))
        if not s.is_scratch:
            gains = play_from(envs, settling_rule(), learned, n_starts=2, seed=_PHOTONS).gain
            self.envs.rule_gains = {scene.name: float(gain) for scene, gain in zip(learned, gains, strict=True)}
        n_done = _steps_of(self.checkpoint)
        self.curve = Curve(s.out / "progress.jsonl", n_done)
        self.minutes = max((row.get("minutes", 0.0) for row in self.curve.rows), default=0.0)
        self.began = time.perf_counter()
        self.best = max((gain for _, gain in self.curve.values(BEST)), default=-np.inf)
        watched = VecMonitor(self.envs)
        self.model = new_ppo(watched, seed=s.seed, has_maps=bool(about["with_maps"]))
        if n_done:
            restore(self.model, self.checkpoint)
        elif not s.is_scratch and s.n_taught:
            rule_gain = teach(self.model, self.envs, s.n_taught, seed=s.seed)
            self.log({"teach/gain": rule_gain})
        self.averaged = Averaged(self.model)
        self.envs.seed(int(np.random.SeedSequence([s.seed, n_done]).generate_state(1)[0]))

    def _promise(self, envs: EyeVectorEnv) -> PlacePromise:
        """Learned first, and kept for a training that goes on."""
        path = self.settings.out / PROMISE
        if path.is_file():
            return PlacePromise.of(load(path.read_bytes()))
        s = self.settings
        with Bar(s.n_places, title="places", is_quiet=s.is_quiet) as bar:
            promise = learn_promise(envs, s.n_places, seed=s.seed, on_places=lambda n: bar.move(min(n, s.n_places)))
        write_atomically(path, save(promise.tensors()))
        return promise

    def slow_down(self) -> None:
        """The rate of learning falls to a tenth while the time runs out."""
        rate = RATE * max(1 - self.spent / max(self.settings.minutes, 1e-6), 0.1)
        self.model.lr_schedule = partial(_always, rate)

    @property
    def spent(self) -> float:
        """Minutes of learning, those before an interruption included."""
        return self.minutes + (time.perf_counter() - self.began) / 60

    def learn(self) -> None:
        """Until the time is spent or someone asks to stop."""
        s = self.settings
        if not self.curve.values(BEST):
            self.log({RULE: float(self._play(settling_rule()).gain.mean())})
            self.evaluate()
        with Bar(max(int(60 * s.minutes), 1), title="seconds", is_quiet=s.is_quiet) as bar:
            callback = _Callback(self, bar)
            if self.spent < s.minutes and not self.stopper.is_asked:
                self.model.learn(10**9, callback=callback, reset_num_timesteps=False, log_interval=10**9)
        if callback.n_since:
            self.evaluate()
        self.write()

    def evaluate(self) -> None:
        """What the mean command gains on the photographs held out; the best is kept. Then a checkpoint."""
        with self.averaged.in_place():
            self._judge()
        part = self.checkpoint.with_suffix(".part.zip")
        self.model.save(part)
        part.replace(self.checkpoint)
        write_atomically(self.checkpoint.with_suffix(".txt"), str(self.model.num_timesteps).encode())

    def _judge(self) -> None:
        played = self._play(EyePolicyController(policy_of(self.model, self.about, self.promise)))
        gain = float(played.gain.mean())
        terms = {f"eval/{name}": float(values.mean()) for name, values in played.after.items()}
        self.log({BEST: gain, **terms, "eval/steps": float(played.n_steps.mean()), **_rollout_of(self.model)})
        if gain > self.best:
            self.best = gain
            self.about_best = self.about | {
                "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                "versions": versions(),
                "gain_held_out": gain,
                "n_steps": int(self.model.num_timesteps),
                "minutes": round(self.spent, 2),
            }
            write_atomically(self.weights, policy_of(self.model, self.about_best, self.promise).to_bytes())

    def _play(self, controller: ControllerBase) -> Played:
        return play_from(self.judging, controller, list(range(len(self.held_out))), n_starts=_N_STARTS, seed=_PHOTONS)

    def log(self, values: dict[str, float]) -> None:
        """To the curve and the tracked run, with the minutes spent."""
        for one in (self.curve, self.run):
            one.log({**values, "minutes": self.spent}, self.model.num_timesteps)

    def write(self) -> None:
        """The curve as a figure and as a table."""
        unit = "steps (one look each)"
        write_figure(draw_learning_curve(self.curve.rows, self.about, unit=unit), self.settings.out / "curve.png")
        names = sorted({name for row in self.curve.rows for name in row} - {"step"})
        lines = [",".join(["step", *names])]
        lines += [",".join([str(row["step"]), *(str(row.get(name, "")) for name in names)]) for row in self.curve.rows]
        write_atomically(self.settings.out / "curve.csv", ("\n".join(lines) + "\n").encode())


class _Callback(BaseCallback):
    """Stops when the time is spent; evaluates now and then."""

    def __init__(self, job: _Job, bar: Bar) -> None:
        super().__init__()
        self.job, self.bar, self.n_since = job, bar, 0

    def _on_step(self) -> bool:
        job = self.job
        self.bar.move(int(60 * job.spent), note=f"gain {job.best:+.3f}")
        return not job.stopper.is_asked and job.spent < job.settings.minutes

    def _on_rollout_end(self) -> None:
        self.n_since += 1
        self.job.slow_down()

    def _on_rollout_start(self) -> None:
        self.job.averaged.update()
        if self.n_since >= _EVALUATE_EVERY:
            self.n_since = 0
            self.job.evaluate()


def _always(rate: float, _: float) -> float:
    """A schedule that can be saved."""
    return rate


def _rollout_of(model: PPO) -> dict[str, float]:
    gains = [one["r"] for one in (model.ep_info_buffer or ())]
    logged = model.logger.name_to_value if hasattr(model, "_logger") else {}
    told = {name: float(value) for name, value in logged.items() if name.startswith("train/")}
    return told | ({"rollout/ep_rew_mean": float(np.mean(gains))} if gains else {})


def _steps_of(checkpoint: Path) -> int:
    """Steps of a checkpoint; 0 without one."""
    path = checkpoint.with_suffix(".txt")
    return int(path.read_text()) if path.is_file() and checkpoint.is_file() else 0


_complain = partial(complain, "train_eye")
