"""What ``open`` is asked to do: whose page, and where it is served."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Annotated, ClassVar

from ciliary.cortex.installing import install_extra
from ciliary.tuning.cli.exit_codes import IN_WORDS
from ciliary.tuning.cli.options import at_least, option
from ciliary.tuning.cli.settings import Changes, Images, PerceiverOptions, Seed
from ciliary.tuning.sessions.settings import SessionSettings

HOST = "127.0.0.1"
FIRST_PORT = 8400
LIBRARY = "nicegui"


def not_installed() -> str:
    """What to do about it."""
    return f"the page is made with NiceGUI, which is not installed; {install_extra('app')}"


@dataclass(frozen=True, kw_only=True)
class OpenSettings(PerceiverOptions):
    """Open a page in the browser: the image, a slider for each parameter, the percept live, and accommodation.

    Without IMAGE, the bundled photographs are offered. Needs NiceGUI, the extra app; see ciliary doctor.
    """

    epilog: ClassVar[str] = f"""\
accommodate   plays the episode that `ciliary accommodate` would with the same --controller, --trials, --seed and --set
export        settings as JSON, which --set takes up again; maps as --save of accommodate writes them, and as NPZ
who may look  whoever reaches HOST: 127.0.0.1, this machine alone, unless --host says otherwise
{IN_WORDS}

examples      ciliary open photo.jpg holiday/
              ciliary open photo.jpg --set settings.json --controller cmaes --trials 128
              ciliary open cells.png --perceiver mine:segment
"""

    images: Images = field(default=(), kw_only=False)
    answer: Annotated[
        str, option("--answer", "integrated|best", "what all looks come to, or the best setting; as of accommodate")
    ] = ""
    controller: Annotated[
        str, option("--controller", "NAME|module:object", "who proposes settings (panel; tpe for the best setting)")
    ] = ""
    objective: Annotated[str, option("--objective", "NAME|FILE", "what is minimised; as of accommodate")] = ""
    n_trials: Annotated[int, option("--trials", "N", "settings per episode, the defaults included"), at_least(1)] = (
        SessionSettings.n_trials
    )
    use_guard: Annotated[
        bool, option("--guard/--no-guard", "", "apply the defaults where the gain of the best trial may be noise")
    ] = True
    changes: Changes = field(default_factory=dict)
    seed: Seed = 0
    host: Annotated[str, option("--host", "ADDRESS", "where it is served")] = HOST
    port: Annotated[
        int | None, option("--port", "N", f"that port ({FIRST_PORT}, or the next that is free)"), at_least(1)
    ] = None
    has_browser: Annotated[
        bool, option("--browser/--no-browser", "", "open it in the browser; else only say its address")
    ] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.port is not None and self.port > 65535:
            raise ValueError(f"--port must be at most 65535, got {self.port}")
        _ = self.session  # the session's own checks, now

    def hopeless(self) -> Sequence[str]:
        """Also that what makes the page is not installed."""
        if importlib.util.find_spec(LIBRARY) is None:
            return [not_installed()]
        return super().hopeless()

    @property
    def session(self) -> SessionSettings:
        """The session whose episodes are played."""
        return SessionSettings(
            **{one.name: getattr(self, one.name) for one in fields(PerceiverOptions)},
            answer=self.answer,
            controller=self.controller,
            objective=self.objective,
            n_trials=self.n_trials,
            use_guard=self.use_guard,
            changes=self.changes,
            seed=self.seed,
        )
