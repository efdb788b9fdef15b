"""The tables and plots of `docs/speed.md`, from what `serve` and `serve_models` wrote.

    .venv/bin/python -m benchmarks.serve_report

Both end with it. What stands between the page's marks is written anew.
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
MODELS_PLOT = DOCS / "images" / "speed-models.png"
PRODUCTS, MODELS = "<!-- figures: the products -->", "<!-- figures: models without a lane -->"
END = "<!-- end of the figures -->"
COLORS = {"hotserve": "#0b7a75", "empty app": "#b8b8b8"}
OTHERS = "#d08c3f"

PANELS = (
    ("csv x8", "requests_per_second", "one text as CSV, requests/s"),
    ("json x8", "requests_per_second", "one text as JSON, requests/s"),
    ("json-1000 x8", "lines_per_second", "1,000 texts as JSON, texts/s"),
)
NAMES = {"tree": "Boosted tree", "pyfunc": "Custom pyfunc of 5 ms"}
FORMS = {"csv": "CSV", "json": "JSON", "v2": "own protocol", "bento": "own protocol"}

Figures = Mapping[str, Any]


def tables(result: Figures) -> str:
    """All tables about the product classifier, in Markdown."""
    servers: Figures = result["servers"]
    measured = {name: each for name, each in servers.items() if each.get("load")}
    return "\n\n".join(
        [
            _machine(result, result["servers"].values()),
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


def tables_of_models(result: Figures) -> str:
    """The tables about models without a lane, in Markdown."""
    measured = {name: each for name, each in result.items() if name in NAMES}
    servers = [server for each in measured.values() for server in each["servers"].values()]
    forms = ("csv", "json")
    parts = [
        _machine(result, servers),
        "### One row a request, one worker each",
        _table(
            ("ratio", *(f"{name}, {FORMS[form]}" for name in measured for form in forms),
             "at least"),
            (
                [title, *(f"{each['ratios'][form][title]:,.2f}" for each in measured.values()
                          for form in forms), f"{bound:g}"]
                for title, bound in result["goals"].items()
            ),
        ),
    ]  # fmt: skip
    for name, each in measured.items():
        parts += [
            f"### {NAMES[name]}: requests/s, and p99",
            _table(
                ("server", "asked in", "1 connection", "8", "64"),
                (
                    [server, FORMS[form], *(_single(figures, f"{form} x{n}") for n in (1, 8, 64))]
                    for server, figures in each["servers"].items()
                    for form in FORMS
                    if f"{form} x1" in figures.get("load", {})
                ),
            ),
        ]
    return "\n\n".join(parts)


def _machine(result: Figures, servers: Iterable[Figures]) -> str:
    told = result["machine"]
    versions = dict(told["packages"])
    for each in servers:
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


def plot(panels: Iterable[tuple[str, Mapping[str, float]]], path: Path) -> None:
    """Bars by server on logarithmic scales, one panel for each title, as a picture."""
    from matplotlib import pyplot

    drawn = list(panels)
    figure, axes = pyplot.subplots(1, len(drawn), figsize=(12, 3.2), layout="constrained")
    for axis, (title, bars) in zip(axes, drawn, strict=True):
        names = list(bars)[::-1]
        placed = axis.barh(
            names, [bars[name] for name in names], color=[COLORS.get(n, OTHERS) for n in names]
        )
        axis.bar_label(placed, fmt="{:,.0f}", padding=3)
        axis.set_xscale("log")
        axis.margins(x=0.25)
        axis.set_title(title, fontsize="medium")
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def bars(servers: Figures, keys: Iterable[str], unit: str) -> dict[str, float]:
    """This figure of each server, for the first of the keys that it answered without a failure."""
    found: dict[str, float] = {}
    for name, each in servers.items():
        for key in keys:
            load = each.get("load", {}).get(key)
            if load and not load["failed"]:
                found.setdefault(name, load[unit])
    return found


def page(text: str, begin: str, figures: str) -> str:
    """The page's text with these figures after the mark `begin`.

    Raises:
        ValueError: a mark is missing.
    """
    before, _, rest = text.partition(begin)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"{PAGE.name} lacks the marks '{begin}' and '{END}'")
    return f"{before}{begin}\n\n{figures}\n\n{END}{after}"


def main() -> None:
    """Write tables and plots."""
    products = json.loads((RESULTS / "serve.json").read_text("utf-8"))
    models = json.loads((RESULTS / "serve-models.json").read_text("utf-8"))
    text = page(PAGE.read_text("utf-8"), PRODUCTS, tables(products))
    PAGE.write_text(page(text, MODELS, tables_of_models(models)), "utf-8")
    plot(((title, bars(products["servers"], [key], unit)) for key, unit, title in PANELS), PLOT)
    keys = ("json x64", "v2 x64", "bento x64")
    plot(
        (
            (f"{title}, 64 connections, requests/s",
             bars(models[name]["servers"], keys, "requests_per_second"))
            for name, title in NAMES.items()
        ),
        MODELS_PLOT,
    )  # fmt: skip
    print(f"written to {PAGE}, {PLOT} and {MODELS_PLOT}")


if __name__ == "__main__":
    main()
