"""What every session is told: its name, whether it goes on, who does it, and which part. Imports nothing heavy."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, TypeVar

from ciliary.tuning.cli.early import ACCOMMODATES, DISTURBANCES, OBJECTIVE
from ciliary.tuning.cli.options import Check, at_least, one_of, option, words
from ciliary.tuning.cli.settings import OnDevice, Workers
from ciliary.tuning.runs.fingerprints import digest
from ciliary.tuning.runs.secrets import masked
from ciliary.tuning.sessions import parts

T = TypeVar("T")

# How a session is done: no part of what is done, and of what its runs are known by.
_WAYS = ("n_workers", "engine", "address")


Controller = Annotated[
    str,
    option("--controller", "NAME|module:object", "who proposes settings (panel; tpe for the best setting)"),
    ACCOMMODATES,
]
Trials = Annotated[
    int,
    option(
        "--trials",
        "N",
        "looks, or settings tried, the defaults included; looks end when they change nothing",
        also="--looks",
    ),
    at_least(1),
]
Disturbances = Annotated[
    tuple[str, ...],
    option("--disturb", "KIND:SEVERITY", "repeatable, or a comma list (none)", convert=words),
    DISTURBANCES,
]
ObjectiveName = Annotated[
    str,
    option(
        "--objective",
        "looks|calibrated|raw|recognition|worst_case|texture|agreement|joint|FILE|module:object",
        "what is minimised (looks; for the best setting agreement, calibrated if the controller learned under it)",
    ),
    OBJECTIVE,
]


@dataclass(frozen=True, kw_only=True)
class SessionOptions(OnDevice):
    """A session: inputs, each an episode or more, by one process, several, or a cluster; all of it, or a shard.

    Attributes:
        unnumbered: fields that shape no number of an episode; they name places, and what its key says otherwise.
        untold: fields that are no parameters of a tracked run.
        beside: fields that a command which goes on may change.
    """

    unnumbered: ClassVar[tuple[str, ...]] = ("out", "save", "session", "is_resumed", "is_animated", "shard", "seed")
    untold: ClassVar[tuple[str, ...]] = ("images",)
    beside: ClassVar[tuple[str, ...]] = (
        *("out", "save", "storage", "session", "is_resumed", "shard"),
        *("is_animated", "figures", "is_bare"),
    )

    out: Path
    session: Annotated[str | None, option("--session", "NAME", "name of the session")] = None
    is_resumed: Annotated[bool, option("--resume", "", "open a complete session again")] = False
    n_workers: Workers = 1
    engine: Annotated[str, option("--engine", "local|ray", "who does the episodes"), one_of("local", "ray")] = "local"
    address: Annotated[
        str | None,
        option("--address", "HOST:PORT|auto", "of a Ray cluster (one of its own, here)"),
        Check(parts.wrong_address),
    ] = None
    shard: Annotated[
        str, option("--shard", "I/N", "only the I-th of N parts of the images; see merge"), Check(parts.wrong_shard)
    ] = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.address is not None and self.engine != "ray":
            raise ValueError("--address is of a Ray cluster; add --engine ray, or leave it out")

    @property
    def called(self) -> str:
        """The session's name where none is asked for."""
        raise NotImplementedError

    @property
    def session_base(self) -> str:
        """The name asked for, or one of the job's own; a shard's says which."""
        return (self.session or self.called) + parts.suffix(self.shard)

    @property
    def mark_of_asked(self) -> str:
        """Twelve hex digits of the command but for how it is done and where it leaves what; "" for a name asked for.

        An image in memory counts as any other.
        """
        if self.session is not None:
            return ""
        asked = {name: value for name, value in self.values().items() if name not in self.beside}
        text = json.dumps(asked, sort_keys=True, default=lambda one: str(one) if isinstance(one, Path) else "")
        return digest(text.encode())

    @property
    def is_shared(self) -> bool:
        """Whether others than this process do the episodes."""
        return self.n_workers > 1 or self.engine != "local"

    @property
    def is_parted(self) -> bool:
        """The same, or only a shard of it is done here."""
        return self.is_shared or bool(self.shard)

    def own_part(self, items: Sequence[T]) -> Sequence[T]:
        """What of all inputs is this shard's; all, without shards."""
        return parts.part(items, self.shard)

    def values(self) -> dict[str, object]:
        """All fields by name but those that say how a job runs, not what it does."""
        apart = _WAYS if self.shard else (*_WAYS, "shard")
        return {name: value for name, value in super().values().items() if name not in apart}

    def as_params(self) -> dict[str, str]:
        """The settings as strings, for the parameters of a tracked run."""
        return {name: masked(str(value)) for name, value in self.values().items() if name not in self.untold}

    def numbers(self) -> dict[str, str]:
        """Those of the parameters that shape the numbers of an episode."""
        return {name: text for name, text in self.as_params().items() if name not in self.unnumbered}

    def fingerprint(self) -> str:
        """Twelve hex digits which change whenever a setting that shapes the numbers of an episode changes."""
        return digest(json.dumps(self.numbers(), sort_keys=True).encode())
