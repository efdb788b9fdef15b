"""A batch job on this machine's processes and on Spark, for tables of several sizes.

    make bench-scale                                    100,000, 1,000,000 and 10,000,000 rows
    make bench-scale ARGS="--rows 20000 100000"

Whole commands, from start to end, of the same registered model on the same products (those of the
shipped data set, drawn again and again), with one and with two cores: `--engine local --workers N`
beside `--engine spark --spark-master local[N]`. The outputs must be the same, byte for byte. Memory
is what all processes of the job hold together, Java among them (PSS, so that what they share counts
once). Beside the seconds stand those of the processors: what the job's own process takes for a row
bounds how many cores can work for it, and what all take together is what a cluster has to do. Raw
figures go to `benchmarks/results/scale.json`.
"""

import argparse
import filecmp
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from benchmarks.batch import ROOT, memory_of, mlflow_server, run, write_products
from benchmarks.machine import machine, write

ENGINES = [
    (engine, cores, options)
    for cores in (1, 2)
    for engine, options in (
        ("local", ("--workers", str(cores))),
        ("spark", ("--engine", "spark", "--spark-master", f"local[{cores}]")),
    )
]


def main() -> None:
    """Measure, print a table, write the raw figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, nargs="+", default=[10**5, 10**6, 10**7])
    given = parser.parse_args()
    jobs = []
    print(
        f"{'rows':>10} {'engine':>6} {'cores':>5} {'seconds':>8} {'rows/s':>8} {'MB':>6} "
        f"{'own µs/row':>11} {'all µs/row':>11}"
    )
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as name:
        folder = Path(name)
        with mlflow_server(folder) as url:
            environ = os.environ | {"MLFLOW_TRACKING_URI": url}
            run([sys.executable, str(ROOT / "trainer" / "sweep.py"), "--first"], environ)
            for rows in given.rows:
                source, first = folder / "produtos.csv", folder / "first.csv"
                write_products(source, rows)
                for engine, cores, options in ENGINES:
                    target = folder / f"{engine}-{cores}.csv"
                    load = os.getloadavg()[0]
                    job = measured(source, target, environ, *options)
                    if not first.exists():
                        target.rename(first)
                    elif not filecmp.cmp(first, target, shallow=False):
                        raise SystemExit(f"{engine} with {cores} cores wrote something else")
                    target.unlink(missing_ok=True)
                    jobs.append(
                        {"rows": rows, "engine": engine, "cores": cores, "load": load, **job}
                    )
                    own, every = (1e6 * job[each] / rows for each in ("own_cpu", "all_cpu"))
                    print(
                        f"{rows:>10,} {engine:>6} {cores:>5} {job['seconds']:>8.1f} "
                        f"{rows / job['seconds']:>8,.0f} {job['peak_pss_mb']:>6.0f} "
                        f"{own:>11.1f} {every:>11.1f}",
                        flush=True,
                    )
                first.unlink()
    result = machine("mlflow", "scikit-learn", "pyarrow", "pyspark") | {"jobs": jobs}
    print(f"written to {write('scale', result)}")


def measured(source: Path, target: Path, environ: dict[str, str], *more: str) -> dict[str, float]:
    """Run a job: seconds from start to end, of the processors too, and the most memory at once."""
    command = [
        *(sys.executable, str(ROOT / "trainer" / "batch.py")),
        *("--input", str(source), "--output", str(target), *more),
    ]
    started = time.perf_counter()
    process = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True)
    seen: dict[Any, float] = {}
    most, own = 0, 0.0
    while process.poll() is None:
        most = max(most, memory_of(process.pid))
        with suppress(psutil.Error):
            parent = psutil.Process(process.pid)
            own = used(parent)
            for child in parent.children(recursive=True):
                with suppress(psutil.Error):
                    seen[child.pid] = used(child)
        time.sleep(0.2)
    seconds = time.perf_counter() - started
    said = process.stderr.read() if process.stderr else ""
    if process.returncode:
        raise SystemExit(said)
    return {
        "seconds": seconds,
        "peak_pss_mb": most / 2**20,
        "own_cpu": own,
        "all_cpu": own + sum(seen.values()),
    }


def used(process: psutil.Process) -> float:
    """Seconds of a processor that a process has taken by itself."""
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
