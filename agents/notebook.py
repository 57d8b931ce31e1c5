"""What a notebook shows of an episode: what was sought, before and after, and what moved. HTML, all escaped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from ciliary.cortex.notebook import html_table

if TYPE_CHECKING:
    from ciliary.agents.trace import Trace

_MOST_MOVED = 8
_LEAST_MOVE = 1e-6  # in u


def trace_html(trace: Trace) -> str:
    """Terms before and after, the guard's reason, and the parameters that moved most."""
    what = f"{trace.controller}, seed {trace.seed}: {trace.n_evaluations} settings in {trace.seconds:.1f} s"
    answer = "all looks together" if trace.is_integrated else f"trial {trace.i_chosen}"
    terms = html_table(
        ("term (lower is better)", "before", "after", "gain"),
        _gains(trace.before, trace.after),
        caption=f"{what}; {answer}",
    )
    notes = [trace.ending.value] if trace.guard is None else [trace.guard.reason, trace.ending.value]
    words = Markup().join(Markup("<p>{}</p>").format(one) for one in notes)
    return str(Markup("{}{}{}").format(terms, words, _moved(trace)))


def _gains(before: Mapping[str, float], after: Mapping[str, float]) -> list[tuple[str, ...]]:
    """The total first; a term that only one side has is left out."""
    names = sorted((name for name in before if name in after), key=lambda name: name != "total")
    return [(name, f"{before[name]:.4f}", f"{after[name]:.4f}", f"{before[name] - after[name]:+.4f}") for name in names]


def _moved(trace: Trace) -> Markup:
    table = trace.parameters
    move = trace.u_chosen - table.to_u(np.array([[p.default for p in table]]))[0]
    order = [int(i) for i in np.argsort(-np.abs(move), kind="stable") if abs(move[i]) > _LEAST_MOVE]
    of = "of the look that it agrees with most" if trace.is_integrated else "of the setting applied"
    if not order:
        return Markup("<p>{}</p>").format("No parameter moved.")
    chosen = trace.theta_chosen
    rows = [
        (table[i].name, table[i].stage, f"{table[i].default:.3g}", f"{chosen[table[i].name]:.3g}", table[i].unit)
        for i in order[:_MOST_MOVED]
    ]
    more = f", {_MOST_MOVED} of {len(order)} that moved" if len(order) > _MOST_MOVED else ""
    head = ("parameter", "stage", "default", "value", "unit")
    return html_table(head, rows, caption=f"What moved most, {of}{more}")
