"""Tables of several sizes: a batch job on this machine and on Spark, and training in blocks.

    make bench-scale                                    100,000, 1,000,000 and 10,000,000 rows
    make bench-scale ARGS="--rows 100000 1000000"
    make bench-scale ARGS=--training                    only training; the rest stays as it was

Whole commands, from start to end. A batch job has the same registered model and the same products
each time (those of the shipped data set, drawn again and again), with one and with two processes:
`--engine local --workers N` beside Spark with N executors of one core, of a standalone cluster that
runs already. The outputs must be the same, byte for byte. Training is `train.py --streaming` on as
many rows, no two alike: the name of one product with the description of another of its category,
and a number. Memory is what all processes of the command hold together, its executors among them
(PSS, so that what they share counts once). Beside the seconds stand those of the processors: what
the job's own process takes for a row bounds how many cores can work for it, and what all take
together is what a cluster has to do.

Raw figures go to `benchmarks/results/scale.json`, a picture of them to `docs/images/scale.png`.
"""

import argparse
import csv
import filecmp
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.batch import ROOT, memory_of, mlflow_server, run, write_products
from benchmarks.machine import RESULTS, machine, write
from tests.spark.conftest import running_cluster

PLOT = ROOT / "docs" / "images" / "scale.png"
COLORS = {"local": "#0b7a75", "spark": "#d08c3f", "training": "#5b6abf"}

Executors = Callable[[], Sequence[psutil.Process]]


def main() -> None:
    """Measure, print a table, write the raw figures and draw them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, nargs="+", default=[10**5, 10**6, 10**7])
    parser.add_argument("--training", action="store_true", help="nothing but training")
    given = parser.parse_args()
    jobs = others() if given.training else []
    print(
        f"{'rows':>10} {'work':>8} {'cores':>5} {'seconds':>8} {'rows/s':>8} {'MB':>6} "
        f"{'own µs/row':>11} {'all µs/row':>11}"
    )
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as name, ExitStack() as stack:
        folder = Path(name)
        url = stack.enter_context(mlflow_server(folder))
        environ = os.environ | {"MLFLOW_TRACKING_URI": url}
        run([sys.executable, str(ROOT / "trainer" / "sweep.py"), "--first"], environ)
        for rows in given.rows:
            for job in (training if given.training else jobs_of)(rows, folder, environ):
                jobs.append({"rows": rows} | job)
                own, every = (1e6 * job[each] / rows for each in ("own_cpu", "all_cpu"))
                print(
                    f"{rows:>10,} {job['work']:>8} {job['cores']:>5} {job['seconds']:>8.1f} "
                    f"{rows / job['seconds']:>8,.0f} {job['peak_pss_mb']:>6.0f} "
                    f"{own:>11.1f} {every:>11.1f}",
                    flush=True,
                )
            # The next size takes ten times as long, and may be cut off.
            result = machine("mlflow", "scikit-learn", "pyarrow", "pyspark") | {"jobs": jobs}
            path = write("scale", result)
            draw(jobs)
    print(f"written to {path}, drawn to {PLOT}")


def jobs_of(rows: int, folder: Path, environ: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Everything that is done with a table of so many rows."""
    source, first = folder / "produtos.csv", folder / "first.csv"
    write_products(source, rows)
    for cores in (1, 2):
        for engine in ("local", "spark"):
            target = folder / f"{engine}.csv"
            command = ["batch.py", "--input", str(source), "--output", str(target)]
            if engine == "local":
                job = measured([*command, "--workers", str(cores)], environ)
            else:
                home = folder / f"cluster-{rows}-{cores}"
                home.mkdir()
                with running_cluster(home, cores) as cluster:
                    options = ("--engine", "spark", "--spark-master", cluster.master)
                    job = measured([*command, *options], environ, cluster.executors)
            if not first.exists():
                target.rename(first)
            elif not filecmp.cmp(first, target, shallow=False):
                raise SystemExit(f"{engine} with {cores} cores wrote something else")
            target.unlink(missing_ok=True)
            yield {"work": engine, "cores": cores, **job}
    first.unlink()
    yield from training(rows, folder, environ)


def training(rows: int, folder: Path, environ: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Training in blocks on a table of so many rows."""
    source = folder / "produtos.csv"
    write_labelled(source, rows)
    command = ["train.py", "--streaming", "--dataset", str(source)]
    yield {"work": "training", "cores": 1, **measured(command, environ)}


def others() -> list[dict[str, Any]]:
    """All but training, as it was measured before."""
    before = json.loads((RESULTS / "scale.json").read_text(encoding="utf-8"))["jobs"]
    return [job for job in before if job["work"] != "training"]


def write_labelled(path: Path, rows: int) -> None:
    """Products with their category, no two alike, made of the shipped ones with a fixed seed."""
    by_category: dict[str, list[list[str]]] = {}
    with (ROOT / "trainer" / "produtos.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file, delimiter=";")
        header = next(reader)
        for row in reader:
            by_category.setdefault(row[2], []).append(row)
    choose = random.Random(10)
    categories = sorted(by_category)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=";", lineterminator="\n")
        writer.writerow(header)
        for number in range(rows):
            category = choose.choice(categories)
            one, other = choose.choices(by_category[category], k=2)
            writer.writerow([f"{one[0]} {number}", other[1], category])


def measured(
    command: Sequence[str], environ: dict[str, str], executors: Executors = tuple
) -> dict[str, float]:
    """Run a command of the trainer: seconds from start to end, of the processors too, and memory.

    Args:
        command: its file and its options.
        environ: its variables.
        executors: those of the cluster that works for it.
    """
    load = os.getloadavg()[0]
    file, *options = command
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "trainer" / file), *options],
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    seen: dict[int, float] = {}
    most, own = 0, 0.0
    while process.poll() is None:
        workers = executors()
        most = max(most, sum(map(memory_of, (process.pid, *(each.pid for each in workers)))))
        with suppress(psutil.Error):
            parent = psutil.Process(process.pid)
            own = used(parent)
            family = [*workers, *parent.children(recursive=True)]
            below = (child for worker in workers for child in worker.children(recursive=True))
            for each in (*family, *below):
                with suppress(psutil.Error):
                    seen[each.pid] = used(each)
        time.sleep(0.2)
    seconds = time.perf_counter() - started
    said = process.stderr.read() if process.stderr else ""
    if process.returncode:
        raise SystemExit(said)
    return {
        "load": load,
        "seconds": seconds,
        "peak_pss_mb": most / 2**20,
        "own_cpu": own,
        "all_cpu": own + sum(seen.values()),
    }


def used(process: psutil.Process) -> float:
    """Seconds of a processor that a process has taken by itself."""
    times = process.cpu_times()
    return float(times.user + times.system)


def draw(jobs: Sequence[dict[str, Any]]) -> None:
    """Rows a second and memory by the number of rows."""
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    speed, memory = figure.subplots(1, 2)
    for work, cores in dict.fromkeys((job["work"], job["cores"]) for job in jobs):
        some = [job for job in jobs if (job["work"], job["cores"]) == (work, cores)]
        rows = [job["rows"] for job in some]
        kind = {"local": f"local, {cores}", "spark": f"Spark, {cores}"}.get(work, "train.py")
        style = {"color": COLORS[work], "linestyle": "-" if cores == 2 else "--", "marker": "o"}
        speeds = [job["rows"] / job["seconds"] for job in some]
        speed.plot(rows, speeds, label=kind, **style)
        memory.plot(rows, [job["peak_pss_mb"] for job in some], label=kind, **style)
    for axes, title in ((speed, "rows/s, whole command"), (memory, "memory at most, MB")):
        axes.set(title=title, xlabel="rows", xscale="log", ylim=(0, None))
        axes.grid(alpha=0.3)
    figure.legend(*memory.get_legend_handles_labels(), loc="outside right center")
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PLOT, dpi=100)


if __name__ == "__main__":
    main()
