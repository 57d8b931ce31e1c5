"""Thresholds of spikes chosen from the command line: the job, its file, its table, and exit codes."""

from __future__ import annotations

import datetime
import json
from functools import partial

from ciliary.cortex.options import cortex_name
from ciliary.cortex.spiking import SHIPPED
from ciliary.tuning.cli.complain import complain, failure
from ciliary.tuning.cli.exit_codes import ALL_WELL, NOTHING, SOME_FAILED, STOPPED
from ciliary.tuning.cli.many import cortex_or_code
from ciliary.tuning.cli.progress import Bar
from ciliary.tuning.runs.files import write_atomically
from ciliary.tuning.runs.tables import rows_to_markdown
from ciliary.tuning.spikes.exam import read_labelled
from ciliary.tuning.spikes.fit import Choice, Heard, candidates, chosen, compare, hear
from ciliary.tuning.spikes.settings import SpikesTraining

COMMAND = "train_spikes"
_complain = partial(complain, COMMAND)


def run(settings: SpikesTraining) -> int:
    """Hear all candidates on all photographs, and write the best; returns the exit code.

    Returns:
        0 all well, 1 nothing could be done, 2 wrong usage, 3 some photographs could not be heard, 130 stopped.
    """
    cortex = cortex_or_code(settings, _complain)
    if isinstance(cortex, int):
        return cortex
    try:
        data = read_labelled(settings)
    except (ValueError, OSError) as error:
        _complain(error)
        return NOTHING
    among, heard = candidates(), list[Heard]()
    with Bar(len(data), unit="photographs", is_quiet=settings.is_quiet) as bar:
        for i, name in enumerate(data.names):
            bar.move(i, title=name)
            try:
                heard.append(hear(data[i], cortex, among, settings.times_ms, settings.size_px))
            except (ValueError, OSError, RuntimeError, MemoryError) as error:
                _complain(failure(name, error))
            except KeyboardInterrupt:
                _complain("stopped; nothing is kept of a choice among some photographs")
                return STOPPED
    if not heard:
        return NOTHING
    found = compare(heard, among)
    _write(settings, found, len(heard))
    return ALL_WELL if len(heard) == len(data) else SOME_FAILED


def _write(settings: SpikesTraining, found: list[Choice], n: int) -> None:
    name = cortex_name(settings.inherited)
    about = {
        "photographs": n,
        "split": settings.split,
        "size_px": settings.size_px,
        "times_ms": settings.times_ms,
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    }
    before = json.loads((settings.out if settings.out.is_file() else SHIPPED).read_text())
    best = chosen(found)
    kept = before | {name: best.thresholds | {"about": about}}
    times = ", ".join(f"{t:g}" for t in settings.times_ms)
    page = (
        f"# Thresholds of spikes: {name}\n\n{n} photographs ({settings.split}) at {settings.size_px} px; covering is "
        f"the mean over latency and rate code after {times} ms. Intervals: 95 %, "
        "bootstrap over photographs; the candidate without a difference to the first is the first.\n\n"
        + rows_to_markdown(found)
        + f"\n\n{_in_words(best)}\n"
    )
    paths = {
        "thresholds": write_atomically(settings.out, (json.dumps(kept, indent=1) + "\n").encode()),
        "table": write_atomically(settings.out.with_suffix(".md"), page.encode()),
    }
    if not settings.is_quiet:
        print("\n".join([page, *(f"{what:10} {path}" for what, path in paths.items())]))


def _in_words(best: Choice) -> str:
    if best.less_first is None:
        return "Kept: the first, which none of the others beats beyond chance."
    v1, m2 = best.thresholds["v1"], best.thresholds["m2"]
    return f"Kept: V1 {v1['rheobase']:g} by exponent {v1['exponent']:g}, M2 {m2['rheobase']:g} by {m2['exponent']:g}."
