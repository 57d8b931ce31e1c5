"""What the settings of all jobs share, each option once. They are checked whenever they are made, here or in Python.

Imports nothing heavy: ``--help`` must not wait for torch. Modules of settings do without ``from __future__ import
annotations``: the annotations of a field are read where a job inherits it, and there its names need not be known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, get_type_hints

from cyclopts import Parameter

from ciliary.cortex.loading import object_mark
from ciliary.cortex.options import (
    BACKBONES,
    CORTEX,
    DEPTHS,
    DEVICES,
    EYE_DEVICES,
    INHERITED,
    INHERITED_TRUNK,
    INHERITS,
    LEARNED,
    PERCEIVERS,
    cortex_name,
    inherits,
)
from ciliary.tuning.cli.options import (
    PYTHON_ONLY,
    Check,
    assignments,
    at_least,
    is_stage,
    one_of,
    one_of_or_object,
    option,
    stage_objects,
    stages,
)
from ciliary.tuning.runs.fingerprints import cortex_options, depth_mark, features_mark, inherited_mark, learned_mark

if TYPE_CHECKING:
    from ciliary.cortex.perceiver import Perceiver

_PLACES = ("out", "save", "store")  # fields of settings

Changes = Annotated[
    Mapping[str, float],
    option("--set", "NAME=VALUE|FILE", "change a default, or those that a JSON of settings names", convert=assignments),
]
Features = Annotated[
    str, option("--features", "|".join((*BACKBONES, "NAME")), "backbone cue; NAME is any model of timm's")
]
FeaturesWeights = Annotated[
    str | None, option("--features-weights", "FILE", "state dict of the backbone (the package's, or the hub's)")
]
Inherited = Annotated[
    str,
    option(
        "--inherited",
        "|".join(INHERITED),
        "stages that people's drawings taught (contours; none with --learned m2 or m3)",
    ),
    one_of(*INHERITED),
]
InheritedWeights = Annotated[
    str | None,
    option("--inherited-weights", "FILE", "these, as `ciliary train cortex --labelled` taught them on yours"),
]
Learned = option("--learned", "all|none|m2,m3,...", "stages that use their learned part", convert=stages)
Depth = Annotated[
    str,
    option("--depth", "|".join((*DEPTHS, "hub:REPO:MODEL", "module:object")), "depth cue"),
    one_of_or_object(*DEPTHS),
]
Device = Annotated[
    str,
    option("--device", "|".join(DEVICES), "where it is computed; auto is cuda where there is one, else cpu"),
    one_of(*DEVICES),
]
EyeDevice = Annotated[
    str, option("--device", "|".join(EYE_DEVICES), "where the eye, its scenes and its memory lie"), one_of(*EYE_DEVICES)
]
Seed = Annotated[int, option("--seed", "N", "of everything that is drawn"), at_least(0)]
Size = Annotated[int, option("--size", "PX", "long side that images are shrunk to"), at_least(32)]
Workers = Annotated[int, option("--workers", "N", "processes"), at_least(1)]
#: Positional; the command line gives them in front of everything else.
Images = Annotated[tuple[str, ...], PYTHON_ONLY]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every job is told: how much to say, and on how many threads.

    A job's settings are a frozen subclass, whose docstring opens the page of ``--help`` and :attr:`epilog` closes it.
    """

    epilog: ClassVar[str] = ""
    out_is_file: ClassVar[bool] = False  # else a folder
    computes: ClassVar[bool] = True  # with torch

    is_quiet: Annotated[bool, option("--quiet", "", "no progress, no tables: only problems and the exit code")] = False
    n_threads: Annotated[int | None, option("--threads", "N", "threads of computation (torch's)"), at_least(1)] = None

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self)).items():  # in Python a folder may be given as text
            value = getattr(self, name)
            if isinstance(value, str) and kind in (Path, Path | None):
                object.__setattr__(self, name, Path(value))
        for name, (flag, checks) in _checks(type(self)).items():
            value = getattr(self, name)
            for check in checks if value is not None else ():
                if complaint := check.wrong(value):
                    raise ValueError(f"{flag} {complaint}")

    @property
    def places(self) -> tuple[Path, ...]:
        """Folders that results go to; they are tried before the work."""
        given = [getattr(self, name, None) for name in _PLACES]
        return tuple(one.parent if self.out_is_file and i == 0 else one for i, one in enumerate(given) if one)

    def hopeless(self) -> Sequence[str]:
        """Lines that say why nothing can come of it; asked before the job, and with it torch, is imported.

        Raises:
            ValueError: wrong usage that only the job would find.
        """
        from ciliary.tuning.cli.early import nothing_there

        images = getattr(self, "images", ())
        return nothing_there(images) if isinstance(images, tuple) else []

    def values(self) -> dict[str, Any]:
        """All fields by name but those that say how a job runs, not what it does."""
        return {k: v for k, v in asdict(self).items() if k not in ("is_quiet", "n_threads", "device")}


@dataclass(frozen=True, kw_only=True)
class OnDevice(Settings):
    """Where it is computed; no part of what is."""

    device: Device = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.device not in ("auto", "cpu"):
            from ciliary.cortex.device import choose_device  # brings torch

            choose_device(self.device)  # better now than in a worker


@dataclass(frozen=True, kw_only=True)
class CortexOptions(OnDevice):
    """Which cortex looks, and how large it sees."""

    size_px: Size = 192
    depth: Depth = "none"
    features: Features = "none"
    features_weights: FeaturesWeights = None
    inherited: Inherited = ""
    inherited_weights: InheritedWeights = None
    contours: Annotated[
        str | None, option("--contours", "module:object", "a contour network of your own: image to boundary strength")
    ] = None
    learned: Annotated[tuple[str, ...], Learned, one_of(*LEARNED)] = ()
    own_stages: Annotated[
        tuple[str, ...],
        option(
            "--stage", "STAGE=module:object", "a stage of your own in place of ours; repeatable", convert=stage_objects
        ),
        Check(is_stage),
    ] = ()

    def __post_init__(self) -> None:
        if not self.inherited:
            object.__setattr__(self, "inherited", inherits(self.learned))
        super().__post_init__()
        if self.features_weights is not None and self.features == "none":
            raise ValueError("--features-weights is of a backbone; say which with --features NAME")
        if self.inherited_weights is not None and self.inherited == "none":
            raise ValueError("--inherited-weights is of what is inherited; say what with --inherited contours or all")
        if self.inherited == "all" and self.features not in ("none", INHERITED_TRUNK):
            raise ValueError(
                f"--inherited all was taught on {INHERITED_TRUNK}, got --features {self.features}; leave --features "
                "out, or use --inherited contours"
            )

    @property
    def cortex(self) -> dict[str, Any]:
        """Keyword arguments of the cortex, in JSON types."""
        return cortex_options(
            depth=self.depth,
            features=self.features,
            features_weights=self.features_weights,
            learned=self.learned,
            own_stages=self.own_stages,
            inherited=self.inherited,
            inherited_weights=self.inherited_weights,
            contours=self.contours,
        )

    @property
    def cortex_marks(self) -> dict[str, str]:
        """What is in the files that the cortex is made of: learned and inherited stages, cues; nothing without them.

        Raises:
            FileNotFoundError, ValueError: a file is not there, is something else, or there is no such backbone.
        """
        marks = {
            "learned": learned_mark(self.learned),
            "trunk": features_mark(self.features, self.features_weights),
            "depth": depth_mark(self.depth),
            "inherited": inherited_mark(self.inherited, self.inherited_weights),
            "contours": object_mark(self.contours, what="contours") if self.contours else "",
        }
        return {name: mark for name, mark in marks.items() if mark}


@dataclass(frozen=True, kw_only=True)
class PerceiverOptions(CortexOptions):
    """Who sees: which cortex, or another perceiver."""

    perceiver: Annotated[
        str, option("--perceiver", "|".join((*PERCEIVERS, "module:object")), "who sees"), one_of_or_object(*PERCEIVERS)
    ] = CORTEX

    def __post_init__(self) -> None:
        if self.perceiver != CORTEX and self.inherited in ("", INHERITS):
            object.__setattr__(self, "inherited", "none")
        super().__post_init__()
        asked = {"--depth": self.depth != "none", "--features": self.features != "none"}
        asked |= {"--features-weights": self.features_weights is not None}
        asked |= {"--learned": bool(self.learned), "--stage": bool(self.own_stages)}
        asked |= {"--inherited-weights": self.inherited_weights is not None}
        asked |= {"--inherited": self.inherited != "none", "--contours": self.contours is not None}
        wrong = [flag for flag, is_asked in asked.items() if is_asked]
        if self.perceiver != CORTEX and wrong:
            raise ValueError(f"{', '.join(wrong)} is of the cortex, and {self.perceiver} is to see; leave one out")

    @property
    def name(self) -> str:
        """The perceiver's name, which says what is fitted to it."""
        return cortex_name(self.inherited) if self.perceiver == CORTEX else self.perceiver

    def make_other(self) -> "Perceiver | None":
        """The perceiver in place of the cortex; None where the cortex is to see."""
        from ciliary.cortex.perceivers import make_perceiver  # brings torch

        return None if self.perceiver == CORTEX else make_perceiver(self.perceiver, device=self.device)

    @property
    def seer(self) -> str:
        """The perceiver as numbers that depend on it are stored with: a user's own with a mark of its source."""
        from ciliary.cortex.perceivers import perceiver_mark  # brings torch

        return perceiver_mark(self.perceiver)


def _checks(settings: type["Settings"]) -> dict[str, tuple[str, list[Check]]]:
    """Field -> what to call it in a complaint, and its checks."""
    found = {}
    for name, hint in get_type_hints(settings, include_extras=True).items():
        about = getattr(hint, "__metadata__", ())
        flags = [flag for one in about if isinstance(one, Parameter) for flag in one.name or ()]
        called = f"{name} ({flags[0]})" if flags and flags[0] != f"--{name}" else name
        found[name] = called, [one for one in about if isinstance(one, Check)]
    return {name: row for name, row in found.items() if row[1]}
