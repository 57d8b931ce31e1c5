"""What a session is asked to do: a frozen dataclass, and the names and hashes which follow from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ciliary.agents.controllers.policy import SHIPPED
from ciliary.envs.objective.make import objective_mark
from ciliary.tuning.runs.fingerprints import digest, learned_mark
from ciliary.tuning.runs.record import EpisodeKey
from ciliary.tuning.runs.store import masked

#: Controllers that play the weights that come with the project unless they are given others.
POLICY_CONTROLLERS = ("policy", "hybrid", "hybrid-cmaes")

DEFAULT_OUT = Path("runs/accommodate")

# What can be changed without changing the result of an episode (it names places, not computations).
_PLACES = ("out", "save", "session", "storage", "is_resumed", "is_animated", "disturbances", "controller", "seed")


@dataclass(frozen=True)
class SessionSettings:
    """Everything a session does, apart from which images it is shown.

    Attributes:
        controller: name known to the registry of controllers.
        n_trials: candidate settings per episode, the default (trial 0) included.
        long_side_px: photographs are reduced to this long side before they are perceived.
        disturbances: specifications such as ``"gaussian_noise:3"``; ``"none"`` shows the photograph as it is.
        seed: the one seed from which views, disturbance and controller draw.
        out: folder of the tracking store, the episode records and the figures.
        save: folder for label maps, boundary maps and JSON, or None.
        session: name of the session; None makes one from controller and seed.
        storage: Optuna storage (a database URL, or the path of a journal file) or None for memory only.
        depth: provider of the depth cue.
        features: provider of the backbone cue.
        learned: stages of the cortex that use their learned part.
        objective: ``raw``, ``recognition``, ``calibrated``, or the path of a calibration.
        policy: file of a trained policy, for controllers that play one; None is the one that comes with the project.
        use_guard: fall back to the defaults unless the gain exceeds the objective's own noise.
        population: candidates evaluated in one batch; None leaves it to the controller (16, and 4 for gp).
        spread: how far from the defaults searches start, as a standard deviation in u; None: anywhere.
        changes: perceptual parameters whose default is replaced (name -> physical value).
        is_resumed: continue the session even when it was complete.
        is_animated: write an animation of each episode of more than one trial beside its figure.
    """

    controller: str = "tpe"
    n_trials: int = 64
    long_side_px: int = 192
    disturbances: tuple[str, ...] = ("none",)
    seed: int = 0
    out: Path = DEFAULT_OUT
    save: Path | None = None
    session: str | None = None
    storage: str | None = None
    depth: str = "none"
    features: str = "none"
    learned: tuple[str, ...] = ()
    objective: str = "calibrated"
    policy: Path | None = None
    use_guard: bool = True
    population: int | None = None
    spread: float | None = 0.25
    changes: Mapping[str, float] = field(default_factory=dict)
    is_resumed: bool = False
    is_animated: bool = True

    @property
    def session_base(self) -> str:
        """The name asked for, or ``<controller>-seed<seed>``."""
        return self.session or f"{self.controller}-seed{self.seed}"

    def as_params(self) -> dict[str, str]:
        """The settings as strings, for the parameters of a tracked run."""
        values = asdict(self)
        values["changes"] = json.dumps(dict(self.changes), sort_keys=True)
        values["disturbances"] = ",".join(self.disturbances)
        values["learned"] = ",".join(self.learned) or "none"
        return {name: masked(str(value)) for name, value in values.items()}

    def numbers(self) -> dict[str, str]:
        """Those of the parameters that shape the numbers of an episode."""
        return {name: text for name, text in self.as_params().items() if name not in _PLACES}

    def key(self, image: str, fingerprint: str, disturbance: str) -> EpisodeKey:
        """The key of one image (its pixels' fingerprint) under one disturbance."""
        return EpisodeKey(image, fingerprint, disturbance, self.controller, self.seed, self.fingerprint())

    @property
    def mark(self) -> str:
        """What totals are measured by: the mark of the objective, and of learned stages if there are any."""
        return objective_mark(self.objective) + (f" learned {learned_mark(self.learned)}" if self.learned else "")

    def fingerprint(self) -> str:
        """Twelve hex digits which change whenever a setting that shapes the numbers of an episode changes."""
        return self._digest_without(_PLACES)

    def study_fingerprint(self) -> str:
        """The same for a study, which may be continued with more trials, with or without the guard."""
        return self._digest_without((*_PLACES, "n_trials", "use_guard"))

    def _digest_without(self, names: tuple[str, ...]) -> str:
        numbers = {name: value for name, value in asdict(self).items() if name not in names}
        numbers["objective"] = objective_mark(self.objective)  # a file may be recalibrated under its old name
        del numbers["policy"], numbers["learned"]
        if self.learned:
            numbers["learned"] = learned_mark(self.learned)
        weights = self.policy or _shipped_policy(self.controller, self.objective)
        if weights is not None:  # likewise: trained anew under its old name
            numbers["policy"] = digest(weights.read_bytes())
        return digest(json.dumps(numbers, sort_keys=True, default=str).encode())


def _shipped_policy(controller: str, objective: str) -> Path | None:
    """Weights that a controller takes when it is given none."""
    path = SHIPPED / f"policy_{objective}.safetensors"
    return path if controller in POLICY_CONTROLLERS and path.is_file() else None
