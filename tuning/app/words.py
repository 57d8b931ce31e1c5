"""What is said of an episode, in a line or two."""

from __future__ import annotations

from ciliary.tuning.app.eye import Episode


def told(episode: Episode) -> str:
    """What was done, what it came to, and why."""
    trace = episode.trace
    before, after = trace.before["total"], trace.after["total"]
    if trace.is_integrated:
        done = (
            f"{trace.n_trials} looks together: disagreement {before:.3f} → {after:.3f}. The sliders stand at the look "
        )
        done += "that the others agree with most."
    elif trace.i_chosen == 0:
        done = f"The defaults are kept, after {trace.n_trials} trials."
    else:
        done = f"Trial {trace.i_chosen} of {trace.n_trials} applied: loss {before:.3f} → {after:.3f}."
    guard = "" if trace.guard is None else f" Guard: {trace.guard.reason}"
    return f"{done} {trace.seconds:.1f} s with {trace.controller}.{guard}"
