"""The table and the plot of `docs/speed.md`, from the raw figures of `benchmarks.serve`.

    .venv/bin/python -m benchmarks.serve_report

`make bench-serve` ends with it. What stands between the page's two marks is written anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import matplotlib

from benchmarks.machine import RESULTS

matplotlib.use("agg")

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "speed.md"
PLOT = DOCS / "images" / "speed.png"
BEGIN, END = "<!-- figures: make bench-serve -->", "<!-- end of the figures -->"
COLORS = {"hotserve": "#0b7a75", "empty app": "#b8b8b8"}
OTHERS = "#d08c3f"

Figures = Mapping[str, Any]


def tables(result: Figures) -> str:
    """All the page's tables, in Markdown."""
    servers: Figures = result["servers"]
    measured = {name: each for name, each in servers.items() if each.get("load")}
    return "\n\n".join(
        [
            _machine(result),
            "### At 8 connections, one worker each",
            _table(
                ("ratio", "measured", "at least"),
                ([title, f"{ratio:,.2f}", f"{result['goals'][title]:g}"] for title, ratio in
                 result["ratios"].items()),
            ),
            "### One text a request: requests/s, and p99",
            _table(
                ("server", *(f"{kind}, {n}" for kind in ("CSV", "JSON") for n in (1, 8, 64))),
                (
                    [name, *(_single(each, f"{kind} x{n}") for kind in ("csv", "json")
                             for n in (1, 8, 64))]
                    for name, each in measured.items()
                ),
            ),
            "### Batches, 8 connections: lines/s",
            _table(
                ("server", "CSV, 100", "1,000", "10,000", "JSON, 100", "1,000", "10,000",
                 "Parquet, 100"),
                (
                    [name, *(_lines(each, f"{batch} x8") for batch in _batches())]
                    for name, each in measured.items()
                    if name != "empty app"
                ),
            ),
            "### Start and memory",
            _table(
                ("server", "start to first answer", "memory of its processes"),
                (
                    [name, f"{each['first_answer_s']:.2f} s", _memory(each)]
                    for name, each in servers.items()
                    if "first_answer_s" in each
                ),
            ),
            *(
                f"{name} was not measured: {each['not_measured']}"
                for name, each in servers.items()
                if "not_measured" in each
            ),
        ]
    )  # fmt: skip


def _machine(result: Figures) -> str:
    told = result["machine"]
    versions = dict(told["packages"])
    for each in result["servers"].values():
        versions |= each.get("versions", {})
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        f"{told['date']}, {told['processor']}, {told['cores']} cores, Python {told['python']}; "
        f"{packages}. Each figure is the median of {result['rounds']} rounds of "
        f"{result['seconds']:g} s."
    )


def _table(head: Iterable[str], rows: Iterable[list[str]]) -> str:
    names = list(head)
    rule = ["---"] + ["---:"] * (len(names) - 1)
    return "\n".join(f"| {' | '.join(row)} |" for row in (names, rule, *rows))


def _single(server: Figures, key: str) -> str:
    told = server["load"].get(key)
    if told is None or told["failed"]:
        return "–"
    return f"{told['requests_per_second']:,.0f}, {told['p99_ms']:,.2f} ms"


def _batches() -> Iterator[str]:
    for kind in ("csv", "json"):
        for size in (100, 1000, 10000):
            yield f"{kind}-{size}"
    yield "parquet"


def _lines(server: Figures, key: str) -> str:
    told = server["load"].get(key)
    return "–" if told is None or told["failed"] else f"{told['lines_per_second']:,.0f}"


def _memory(server: Figures) -> str:
    sizes = sorted(server.get("memory_mb", {}).values(), reverse=True)
    if not sizes:
        return "–"
    total = f"{sum(sizes):,.0f} MB"
    fronts = [f"{size:,.0f} MB" for size in server.get("front_workers_mb", {}).values()]
    front = f", of which {' and '.join(fronts)} the front worker" if fronts else ""
    return (f"{total} in {len(sizes)}" if len(sizes) > 1 else total) + front


def plot(result: Figures, path: Path) -> None:
    """Bars of requests/s and of lines/s, on logarithmic scales, as a picture."""
    from matplotlib import pyplot

    panels = (
        ("csv x8", "requests_per_second", "one text as CSV, requests/s"),
        ("json x8", "requests_per_second", "one text as JSON, requests/s"),
        ("json-1000 x8", "lines_per_second", "1,000 texts as JSON, texts/s"),
    )
    figure, axes = pyplot.subplots(1, len(panels), figsize=(12, 3.2), layout="constrained")
    for axis, (key, unit, title) in zip(axes, panels, strict=True):
        bars = {
            name: each["load"][key][unit]
            for name, each in result["servers"].items()
            if not each.get("load", {}).get(key, {"failed": 1})["failed"]
        }
        names = list(bars)[::-1]
        drawn = axis.barh(
            names, [bars[name] for name in names], color=[COLORS.get(n, OTHERS) for n in names]
        )
        axis.bar_label(drawn, fmt="{:,.0f}", padding=3)
        axis.set_xscale("log")
        axis.margins(x=0.25)
        axis.set_title(title, fontsize="medium")
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def page(text: str, result: Figures) -> str:
    """The page's text with these figures.

    Raises:
        ValueError: a mark is missing.
    """
    before, _, rest = text.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"{PAGE.name} lacks the marks '{BEGIN}' and '{END}'")
    return f"{before}{BEGIN}\n\n{tables(result)}\n\n{END}{after}"


def main() -> None:
    """Write table and plot."""
    result = json.loads((RESULTS / "serve.json").read_text("utf-8"))
    PAGE.write_text(page(PAGE.read_text("utf-8"), result), "utf-8")
    plot(result, PLOT)
    print(f"written to {PAGE} and {PLOT}")


if __name__ == "__main__":
    main()
