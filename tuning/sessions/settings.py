"""What a session is asked to do: a frozen dataclass, and the names and hashes which follow from it."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from ciliary.cortex.options import CORTEX, GLANCES, default_objective, is_of_looks
from ciliary.tuning.cli.options import Check, at_least, one_of, option
from ciliary.tuning.cli.settings import Changes, Images, PerceiverOptions
from ciliary.tuning.runs.fingerprints import digest
from ciliary.tuning.runs.record import EpisodeKey
from ciliary.tuning.runs.secrets import masked
from ciliary.tuning.sessions import parts
from ciliary.tuning.sessions.manual import EPILOG
from ciliary.tuning.sessions.options import Controller, Disturbances, ObjectiveName, SessionOptions, Trials

if TYPE_CHECKING:
    from ciliary.cortex.glance import GlancingPerceiver

#: Controllers that play the weights that come with the project unless they are given others.
POLICY_CONTROLLERS = ("policy", "hybrid", "hybrid-cmaes")
CALIBRATED_CONTROLLERS = (*POLICY_CONTROLLERS, "memory", "reflex", "sb3")

#: What comes of an episode, and the controllers that choose looks.
ANSWERS = ("integrated", "best")
LOOKERS = ("panel", "disagreement")

_MOST_OF_NAME = 40  # characters of an image's name in that of a session
DEFAULT_OUT = Path("runs/accommodate")


_SEEN_WITH = (
    *("size_px", "perceiver", "depth", "features", "features_weights", "inherited", "inherited_weights", "contours"),
    *("learned", "own_stages", "answer", "objective", "changes"),
)


def distance(texts: Sequence[str]) -> float | None:
    """``0`` -> None, which is anywhere; any other number as it is."""
    return float(texts[-1]) or None


@dataclass(frozen=True, kw_only=True)
class SessionSettings(SessionOptions, PerceiverOptions):
    """Accommodate the cortex to photographs, and show what it gained.

    Without IMAGE, three bundled photographs are shown in low light and with noise.
    """

    epilog: ClassVar[str] = EPILOG
    unnumbered: ClassVar[tuple[str, ...]] = (
        *SessionOptions.unnumbered,
        *("images", "storage", "is_trusted", "disturbances", "controller", "is_coco"),
    )

    images: Images = field(default=(), kw_only=False)
    answer: Annotated[
        str,
        option(
            "--answer",
            "|".join(ANSWERS),
            "what all looks come to, or the best setting (integrated, unless a controller or an objective is named)",
        ),
        one_of("", *ANSWERS),
    ] = ""
    controller: Controller = ""
    n_trials: Trials = 64
    population: Annotated[
        int | None, option("--population", "N", "settings evaluated in one batch (16; 4 for gp)"), at_least(1)
    ] = None
    spread: Annotated[
        float | None,
        option("--spread", "U", "how far from the defaults a search starts; 0: anywhere", convert=distance),
        at_least(0),
    ] = 0.25
    disturbances: Disturbances = ()
    seed: Annotated[int, option("--seed", "N", "of views, disturbance and controller"), at_least(0)] = 0
    objective: ObjectiveName = ""
    policy: Annotated[
        str | Path | None,
        option("--policy", "FILE", "a trained policy: .safetensors, .zip for sb3, or models:/NAME/VERSION"),
    ] = None
    is_trusted: Annotated[
        bool, option("--trust", "", "read all of that .zip: only if you trust its maker, whose code may then run")
    ] = False
    changes: Changes = field(default_factory=dict)
    use_guard: Annotated[
        bool, option("--guard/--no-guard", "", "apply the defaults where the gain of the best trial may be noise")
    ] = True
    out: Annotated[Path, option("--out", "DIR", "where results go")] = DEFAULT_OUT
    save: Annotated[
        Path | None, option("--save", "DIR", "write maps (labels, regions, boundary, uncertainty) and JSON there")
    ] = None
    is_coco: Annotated[bool, option("--coco", "", "with --save: proto-objects as instances in COCO's format, too")] = (
        False
    )
    storage: Annotated[
        str | None, option("--storage", "URL|FILE", "keep Optuna studies there, and continue those it holds")
    ] = None
    is_animated: Annotated[
        bool, option("--animation/--no-animation", "", "write a GIF of each episode beside its figure")
    ] = True

    figures: Annotated[
        str,
        option("--figures", "all|none|best:N", "which episodes are drawn; best:N those that gained most, at the end"),
        Check(parts.wrong_figures),
    ] = "all"
    has_fluency: Annotated[bool, option("--fluency", "", "also tell how easily each image is seen; see fluency")] = (
        False
    )
    is_bare: Annotated[bool, option("--no-figures", "", "draw nothing, as --figures none")] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.is_bare:
            object.__setattr__(self, "figures", "none")
        if self.has_fluency and self.perceiver != CORTEX:
            raise ValueError(f"--fluency is of the cortex's stages, and {self.perceiver} is to see; leave it out")
        if self.is_coco and self.save is None:
            raise ValueError("--coco writes beside the maps; say where with --save DIR")
        if self.controller == "memory" and self.is_shared:
            flag = "--workers" if self.engine == "local" else "--engine"
            raise ValueError(f"memory learns from one episode to the next, which workers cannot; leave {flag} out")
        is_looks = not self.objective or is_of_looks(self.objective)
        chooses_looks = self.controller in ("", *LOOKERS) and is_looks and self.policy is None
        resolved = {"answer": self.answer or ("integrated" if chooses_looks else "best")}
        is_integrated = resolved["answer"] == "integrated"
        resolved["controller"] = self.controller or (LOOKERS[0] if is_integrated else "tpe")
        # what learned under the calibration is asked with it; a search is not: it did not hold on new images
        searched = default_objective(self.name) if resolved["controller"] in CALIBRATED_CONTROLLERS else "agreement"
        resolved["objective"] = self.objective or ("looks" if is_integrated else searched)
        for name, value in resolved.items():
            object.__setattr__(self, name, value)

    @property
    def is_integrated(self) -> bool:
        """Whether the answer is what all looks come to."""
        return self.answer == "integrated"

    def make_seer(self, *, searches_all: bool = False) -> "GlancingPerceiver":
        """Who looks, in other light and at other sizes too, where looks are put together."""
        from ciliary.cortex.perceivers import make_glancing  # brings torch

        if self.perceiver != CORTEX:
            return make_glancing(self.perceiver, device=self.device)
        options = self.cortex | ({"searches_all": True} if searches_all else {})
        return make_glancing(options, device=self.device)

    @property
    def called(self) -> str:
        """``<first image>-<perceiver, if another than the cortex>-<looks or controller>-seed<seed>``."""
        first = self.images[0] if self.images else "bundled"
        image = Path(first).resolve().stem if isinstance(first, (str, Path)) else "image"
        more = f"-and-{len(self.images) - 1}" if len(self.images) > 1 else ""
        how = "looks" if self.controller == LOOKERS[0] else self.controller
        seer = [] if self.perceiver == CORTEX else [self.perceiver]
        return _legal("-".join([image[:_MOST_OF_NAME] + more, *seer, how, f"seed{self.seed}"]))

    @property
    def draws_all(self) -> bool:
        """Whether each episode is drawn as soon as it was played."""
        return self.figures == "all"

    @property
    def n_best(self) -> int:
        """How many are drawn at the end, of those that gained most."""
        return parts.n_best(self.figures)

    def as_params(self) -> dict[str, str]:
        """The settings as strings, for the parameters of a tracked run."""
        values = self._named()
        values["changes"] = json.dumps(dict(self.changes), sort_keys=True)
        values["disturbances"] = ",".join(self.shown_as)
        values["learned"] = ",".join(self.learned) or "none"
        return {name: masked(str(value)) for name, value in values.items() if name != "images"}

    def key(self, image: str, fingerprint: str, disturbance: str, *, settings: str | None = None) -> EpisodeKey:
        """The key of an image under a disturbance; ``settings``: :meth:`fingerprint`, if known: that reads files."""
        settings = self.fingerprint() if settings is None else settings
        return EpisodeKey(image, fingerprint, disturbance, self.controller, self.seed, settings)

    @property
    def shown_as(self) -> tuple[str, ...]:
        """How each image is disturbed; ``none`` where nothing was said."""
        return self.disturbances or ("none",)

    @property
    def mark(self) -> str:
        """What totals are measured by: objective, another perceiver, a user's stages, files the cortex is made of."""
        from ciliary.envs.objective.make import objective_mark  # brings torch

        seer = "" if self.perceiver == CORTEX else f" seen by {self.seer}"
        own = "".join(f" stage {mark}" for mark in self._own_stage_marks())
        files = "".join(f" {name} {mark}" for name, mark in self.cortex_marks.items())
        return objective_mark(self.objective, perceiver=self.name) + seer + own + files

    @property
    def seen_with(self) -> dict[str, Any]:
        """The fields by which an episode's environment can be made again."""
        return {name: getattr(self, name) for name in _SEEN_WITH}

    def fingerprint(self) -> str:
        """Twelve hex digits which change whenever a setting that shapes the numbers of an episode changes."""
        return self._digest_without(self.unnumbered)

    def study_fingerprint(self) -> str:
        """The same for a study, which may be continued with more trials, with or without the guard."""
        return self._digest_without((*self.unnumbered, "n_trials", "use_guard"))

    def _digest_without(self, names: tuple[str, ...]) -> str:
        from ciliary.cortex.loading import names_object, object_mark
        from ciliary.cortex.perceivers import perceiver_mark
        from ciliary.envs.objective.make import objective_mark

        numbers = {name: value for name, value in self._named().items() if name not in names}
        # a file may be recalibrated under its old name
        numbers["objective"] = objective_mark(self.objective, perceiver=self.name)
        if names_object(self.controller):  # likewise: edited under its old name
            numbers["controller"] = object_mark(self.controller, what="controller")
        if self.is_integrated:  # who else looks, and what is in their files
            numbers["seer"] = perceiver_mark(GLANCES)
        del numbers["policy"], numbers["learned"]
        numbers |= self.cortex_marks
        weights = self.policy or _shipped_policy(self.controller, self.objective)
        if weights is not None:  # likewise: trained anew under its old name
            numbers["policy"] = digest(Path(weights).read_bytes())
        return digest(json.dumps(numbers, sort_keys=True, default=str).encode())

    @property
    def plays_what_comes_along(self) -> bool:
        """Whether the controller plays what comes with the project, learned with the cortex."""
        is_learned = self.controller == "reflex" or _shipped_policy(self.controller, self.objective) is not None
        return self.policy is None and is_learned

    def _named(self) -> dict[str, Any]:
        """The settings under the names that they have had in fingerprints and tracked runs from the first version."""
        values = self.values()
        # Later fields do not count while they say what was the only thing to say.
        if self.perceiver == CORTEX:
            del values["perceiver"]
        else:
            values["perceiver"] = self.seer
        if not self.is_integrated:
            del values["answer"]
        if not self.is_trusted:
            del values["is_trusted"]
        for name in ("figures", "is_bare", "has_fluency", "is_coco"):  # nothing that a run is known by
            del values[name]
        if self.features_weights is None:
            del values["features_weights"]
        if self.inherited == "none":
            del values["inherited"]
        del values["inherited_weights"]  # what is in the file counts
        if self.contours is None:
            del values["contours"]
        if not self.own_stages:
            del values["own_stages"]
        else:
            values["own_stages"] = self._own_stage_marks()
        return {"long_side_px": values.pop("size_px"), **values, "disturbances": self.shown_as}

    def _own_stage_marks(self) -> list[str]:
        from ciliary.cortex.loading import object_mark

        return [object_mark(text.split("=", 1)[1], what="stage") for text in self.own_stages]


def _legal(name: str) -> str:
    """A name with what cannot be in a session's name as ``-``."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-._") or "session"


def _shipped_policy(controller: str, objective: str) -> Path | None:
    """Weights that a controller takes when it is given none."""
    from ciliary.agents.controllers.policy import SHIPPED

    path = SHIPPED / f"policy_{objective}.safetensors"
    return path if controller in POLICY_CONTROLLERS and path.is_file() else None
