"""The record of the benchmark of speed as tables, on the screen and as a page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ciliary.tuning.runs.tables import NONE, Table

TITLES = {
    "panel": "Looks of an image",
    "episode": "Whole episodes, nothing drawn, nothing tracked",
    "steps": "Steps of environments, random actions",
    "folder": "A folder of pictures, no figures",
    "peers": "Peers, in the same run",
}
NOTES = {
    "panel": "The panel is what `calibrated` compares percepts with, once an image; the looks are those of an episode.",
    "steps": "A step of a vector is that of one of its environments. Resets are not counted.",
    "folder": (
        "The stages are timed alone, one after the other; a session is timed between the ends of its episodes. One "
        "worker is the main process; of two, each has one thread."
    ),
    "peers": "Segmenters with their library's defaults, on the same photograph; environments by the same loop.",
}


def tables(record: Mapping[str, Any]) -> Iterator[Table]:
    """One a part that was measured."""
    if record["rows"]:
        yield percepts(record)
    for part, title in TITLES.items():
        lines = [line for line in record.get("measured", ()) if line["part"] == part]
        if lines:
            yield _part(title, lines, NOTES.get(part, ""))
        if part == "folder" and any("simulated_per_s" in line["about"] for line in lines):
            yield _sessions([line for line in lines if "simulated_per_s" in line["about"]])
    if queue := [line["about"] for line in record.get("measured", ()) if line["part"] == "queue"]:
        yield _queue(queue)
    if folder := [line for line in record.get("measured", ()) if line["part"] == "folder"]:
        yield _million(folder)


def percepts(record: Mapping[str, Any]) -> Table:
    """A percept and a candidate, one row a size and population, with the stages."""
    stages = list(record["rows"][0]["stages"])
    columns = ("image", "device", "population", "percept", "candidate", "processor", *stages, "per image, once")
    rows = []
    for row in record["rows"]:
        height, width = row["size_px"]
        own = [f"{row['stages'][name]['median_ms']:.1f}" for name in stages]
        rows.append(
            (
                f"{width}x{height}",
                row.get("device", "cpu"),
                str(row["population"]),
                _spread(row.get("percept")),
                _spread(row["candidate"]),
                _median(row["candidate"].get("processor")),
                *own,
                f"{row['look']['median_ms']:.1f}",
            )
        )
    known = {n: b for n, b in record["growth"].items() if b is not None and not math.isnan(b)}
    exponents = [f"pixels^{b:.2f} in populations of {n}" for n, b in known.items()]
    note = "A candidate is an image and its views; a percept the image alone, with its label map."
    note += f" Time grows as {', '.join(exponents)}." if exponents else ""
    return Table("ms per candidate, median (quartiles)", columns, tuple(rows), n_words=2, note=note)


def _part(title: str, lines: list[Mapping[str, Any]], note: str) -> Table:
    columns = ("what", "px", "on", "unit", "ms (quartiles)", "processor ms", "in a second", "n")
    rows = []
    for line in lines:
        timing, about = line["timing"], line["about"]
        on = " ".join(str(about[name]) for name in ("device", "inherited", "version") if name in about)
        rows.append(
            (
                line["name"],
                str(about.get("size_px", NONE)),
                on,
                line["unit"],
                _spread(timing),
                _median(timing.get("processor")),
                _digits(1000 / timing["median_ms"]),
                str(timing["n"]),
            )
        )
    return Table(title, columns, tuple(rows), n_words=4, note=note)


def _sessions(lines: list[Mapping[str, Any]]) -> Table:
    columns = (
        *("workers", "images/s", "a queue of the stages says", "until the first, s"),
        *("processor s an image", "kB an image", "files an image"),
    )
    rows = []
    for line in lines:
        about = line["about"]
        rows.append(
            (
                str(about["n_workers"]),
                _digits(about["per_s"]),
                _digits(about["simulated_per_s"]),
                f"{about['start_s']:.1f}",
                f"{about['processor_s_in_all'] / about['n_images']:.2f}",
                f"{about['kb_per_image']:.0f}",
                f"{about['files_per_image']:.1f}",
            )
        )
    note = (
        "Processor seconds are of all that a session does, its start among them, over its images; kB and files are "
        "what one more image leaves."
    )
    return Table("Sessions, measured and simulated", columns, tuple(rows), n_words=0, note=note)


def _queue(lines: list[Mapping[str, Any]]) -> Table:
    columns = ("workers", "cores", "images/s", "workers busy", "main process busy")
    rows = tuple(
        (
            str(about["n_workers"]),
            str(about["n_cores"]),
            _digits(about["per_s"]),
            f"{about['busy_workers']:.0%}",
            f"{about['busy_main']:.0%}",
        )
        for about in lines
    )
    note = (
        "Simulated from the processor times of the stages, none of it measured: a core for each worker and one for the "
        "main process, nothing else on them, no waits for the disk. One worker is the main process."
    )
    return Table("The same with more workers, simulated", columns, rows, n_words=0, note=note)


def _million(lines: list[Mapping[str, Any]]) -> Table:
    """What a million such pictures come to, by the medians of one."""
    stages = {line["name"]: line for line in lines if "n_workers" not in line["about"] and line["timing"]["n"] > 1}
    hours = {name: line["timing"]["processor"]["median_ms"] / 3.6 for name, line in stages.items()}
    whole = next(line["about"] for line in lines if "kb_per_image" in line["about"])
    rows = [(name, f"{value:,.1f} h of a core") for name, value in hours.items()]
    rows += [
        ("all stages", f"{sum(hours.values()):,.0f} h of a core"),
        ("on the disk", f"{whole['kb_per_image'] * 1024 / 1000:,.0f} GB"),
        ("files", f"{whole['files_per_image'] * 1e6:,.0f}"),
    ]
    note = (
        f"Pictures of {whole['size_px']} px, controller {whole['controller']}: processor time of one, times a million. "
        "Not in it: how a session starts, waits for the disk, transport of the pictures."
    )
    return Table("A million images", ("what", "comes to"), tuple(rows), note=note)


def page(record: Mapping[str, Any], command: str) -> str:
    """The record in Markdown."""
    machine, versions = record["hardware"], record["versions"]
    gpu = machine.get("gpu") or "no GPU: nothing here was measured on one"
    lines = [
        "# What it costs\n",
        f"Made by `{command}`; every number is in the JSON beside this page. The cortex inherits "
        f"{record['settings'].get('inherited', 'none')}.\n",
        f"{machine['processor']}, {machine['n_cores']} cores, {machine['n_threads']} threads; {gpu}. Load average "
        f"{machine.get('load_average_before', NONE)} before, {machine['load_average_1min']} after: where it is above "
        "the number of cores, times by the wall are those of a shared machine, and processor times tell more. "
        f"{record['when'][:10]}, {', '.join(f'{name} {version}' for name, version in versions.items())}. "
        f"Most memory held: {record.get('peak_mb', NONE)} MB.\n",
    ]
    lines += [table.markdown() for table in tables(record)]
    if record.get("missing"):
        lines += ["## Not measured\n", "\n".join(f"- {name}: {why}" for name, why in record["missing"].items()) + "\n"]
    return "\n".join(lines)


def _spread(timing: Mapping[str, Any] | None) -> str:
    if timing is None:
        return NONE
    return f"{_digits(timing['median_ms'])} ({_digits(timing['q25_ms'])}–{_digits(timing['q75_ms'])})"


def _median(timing: Mapping[str, Any] | None) -> str:
    return NONE if timing is None else _digits(timing["median_ms"])


def _digits(value: float) -> str:
    """Three digits, and no more decimals than these."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    return (
        f"{value:,.{max(0, min(4, 2 - math.floor(math.log10(abs(value)))))}f}" if abs(value) < 100 else f"{value:,.0f}"
    )
