"""How many small faults the unit tests see: `make mutants`, `make mutants ARGS="--count 300"`.

Takes a random sample of single changes to the product's code (an inverted condition, a step left
out, a wrong constant, a clean-up left out) and makes each of them alone in a copy of the project.
The unit tests are run once before, to know which of them run which line: a change is seen when one
of those that run its lines fails. The sample depends on `--seed` only, so that a run can be
repeated. Survivors are listed with their line, to be judged by a person, and so are those whose
tests had no time to end.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

import coverage
import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("classificador-produtos/hotserve", "trainer/produtos", "server", "local")
PLUGINS = ("no:cacheprovider", "pytest_timeout", "xdist.plugin", "anyio.pytest_plugin")
_LOGGERS = ("logger", "log", "_log", "logging", "warnings")
# Each process of the tests is measured on its own, and says for which test it was started.
_COVERAGE = """\
[run]
include = {include}
data_file = {copy}/.coverage
parallel = true
context = ${{MUTANTS_TEST-}}
patch = _exit, execv, fork
sigterm = true
"""


@dataclass(frozen=True)
class Mutant:
    """One change: the characters from `start` to `end` of a file become `text`."""

    file: Path
    lines: range
    kind: str
    start: int
    end: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.lines[0]}  {self.kind}  {' '.join(self.text.split())[:60]}"


def mutants_of(file: Path) -> Iterator[Mutant]:
    """Every mutant of a file whose path is relative to the project."""
    data = (ROOT / file).read_bytes()
    starts = [0]
    for line in data.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def mutant(kind: str, node: ast.stmt | ast.expr, text: str) -> Mutant:
        last = node.end_lineno or node.lineno
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[last - 1] + (node.end_col_offset or 0)
        new = text.format(data[start:end].decode())
        return Mutant(file, range(node.lineno, last + 1), kind, start, end, new)

    tree = ast.parse(data)
    cleanup = {
        id(statement)
        for node in ast.walk(tree)
        if isinstance(node, ast.Try)
        for statement in [*node.finalbody, *(s for h in node.handlers for s in h.body)]
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.If | ast.While | ast.IfExp) and not _is_type_checking(node.test):
            if not isinstance(node.test, ast.Constant):
                yield mutant("inverted condition", node.test, "(not ({}))")
        elif isinstance(node, ast.Expr) and _is_step(node.value):
            kind = "clean-up left out" if id(node) in cleanup else "step left out"
            yield mutant(kind, node, "pass")
        elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
            number = node.value.value
            if isinstance(number, bool):
                yield mutant("wrong constant", node.value, str(not number))
            elif isinstance(number, int | float):
                yield mutant("wrong constant", node.value, "({} * 7 + 3)")


def _is_type_checking(test: ast.expr) -> bool:
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def _is_step(value: ast.expr) -> bool:
    """Whether leaving this expression out changes more than what is logged."""
    if isinstance(value, ast.Await):
        value = value.value
    if not isinstance(value, ast.Call):
        return False
    names = {getattr(node, "id", getattr(node, "attr", "")) for node in ast.walk(value.func)}
    return names.isdisjoint(_LOGGERS)


def sample(seed: int) -> list[Mutant]:
    """The mutants of all packages, in an order of chance."""
    every = [
        mutant
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for mutant in mutants_of(path.relative_to(ROOT))
    ]
    return random.Random(seed).sample(every, len(every))


def pytest_runtest_logstart(nodeid: str) -> None:
    """As a plugin of pytest: what runs from here on runs for this test, in its children too."""
    os.environ["MUTANTS_TEST"] = nodeid
    measured = coverage.Coverage.current()
    assert measured is not None
    measured.switch_context(nodeid)


def copy_project(copy: Path) -> Path:
    """Copy what git tracks, or would, to a new folder."""
    copy.mkdir()
    files = "git ls-files -z --cached --others --exclude-standard"
    subprocess.run(f"{files} | xargs -0 cp --parents -t {copy}", shell=True, cwd=ROOT, check=False)
    (copy / ".venv").symlink_to(ROOT / ".venv")
    return copy


def run_tests(
    copy: Path, seconds: int, *options: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run pytest in a copy of the project, and keep what it says."""
    paths = [copy, copy / "trainer", copy / "classificador-produtos", copy / "tools"]
    settings = {"PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONHASHSEED": "0"}
    # Only the plugins that unit tests use: to import all that are installed takes two seconds.
    settings["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    plugins = [word for name in PLUGINS for word in ("-p", name)]
    command = [sys.executable, "-m", "pytest", "-q", *plugins, *options]
    return subprocess.run(
        ["timeout", "--kill-after=5", str(seconds), *command],
        cwd=copy,
        env={**os.environ, **settings, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def measure(copy: Path, processes: int) -> coverage.CoverageData:
    """Run all unit tests, and note which of them run which lines."""
    settings = copy / "coverage.ini"
    include = ", ".join(f"{copy}/{package}/*" for package in PACKAGES)
    settings.write_text(_COVERAGE.format(copy=copy, include=include), "utf-8")
    options = ("-p", "mutants", f"--numprocesses={processes}", "--dist=loadfile", "tests/unit")
    # It collects the tests again, with the plugins that are left out here.
    ignored = "--ignore=tests/unit/test_collection.py"
    ended = run_tests(copy, 3600, *options, ignored, COVERAGE_PROCESS_START=str(settings))
    if ended.returncode:
        sys.exit(f"{ended.stdout}{ended.stderr}\nmutants: tests fail without any, as shown above")
    whole = coverage.Coverage(data_file=copy / ".coverage", config_file=False)
    whole.combine()
    return whole.get_data()


def tests_of(mutant: Mutant, measured: coverage.CoverageData, copy: Path) -> list[str]:
    """Unit tests, and files of them, that run its lines; those of the nearest folder first.

    What runs as a module is imported may be seen by every test that uses the module, names it, or
    is in the mirrored folder. The last two count, too, where it is not known who runs a line: a
    process that was killed or has no `site` is not measured, nor is code that travels in a model.
    """
    ran = measured.contexts_by_lineno(str(copy / mutant.file))
    tests = {test for line in mutant.lines for test in ran.get(line, ())}
    parts = mutant.file.with_suffix("").parts
    *package, name = parts[parts[0] in ("classificador-produtos", "trainer") :]
    mirrored = os.path.join("tests", "unit", *package)
    if not tests or "" in tests:
        if tests:
            tests = {test for each in ran.values() for test in each}
        among = r"\.| import [^\n]*\b| import \([^)]*\b"
        named = re.compile(rf"\b{re.escape('.'.join(package))}({among}){name}\b")
        for path in (copy / "tests" / "unit").rglob("test_*.py"):
            file = str(path.relative_to(copy))
            if os.path.dirname(file) == mirrored or named.search(path.read_text("utf-8")):
                tests.add(file)
    nearest = {test: len(os.path.commonpath([test, mirrored])) for test in tests - {""}}
    return sorted(nearest, key=lambda test: (-nearest[test], test))


def _file_of(test: str) -> str:
    return test.split("::")[0]


def try_out(mutant: Mutant, copy: Path, tests: list[str]) -> str:
    """What becomes of this mutant in the copy of the project.

    Returns:
        `seen` where one of these tests fails, `SURVIVED` where none does, and `NO TIME` where they
        did not come to an end, which says nothing of it: the machine may be busy.
    """
    path = copy / mutant.file
    before = path.read_bytes()
    path.write_bytes(before[: mutant.start] + mutant.text.encode() + before[mutant.end :])
    try:
        for chosen in (tests, dict.fromkeys(map(_file_of, tests))):
            (copy / "chosen").write_text("\n".join(chosen), "utf-8")
            code = run_tests(copy, 300, "-x", "--timeout=60", f"@{copy}/chosen").returncode
            # A test's name may hold what the mutant changed, and isn't found then.
            if code != pytest.ExitCode.USAGE_ERROR:
                break
        return {0: "SURVIVED", 124: "NO TIME", 137: "NO TIME"}.get(code, "seen")
    finally:
        path.write_bytes(before)


def main() -> int:
    """Run the sample; exit code 1 where fewer than the wanted share were seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=160, help="mutants (default 160)")
    parser.add_argument("--seed", type=int, default=1, help="another sample (default 1)")
    parser.add_argument("--only", default="", help="mutants whose path holds this text")
    parser.add_argument("--share", type=float, default=0.9, help="share wanted (default 0.9)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    chosen = [m for m in sample(given.seed) if given.only in str(m.file)][: given.count]
    if not chosen:
        parser.error(f"no file's path holds '{given.only}'")
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        copies: Queue[Path] = Queue()
        for number in range(given.processes):
            copies.put(copy_project(Path(folder, str(number))))
        first = copies.queue[0]
        measured = measure(first, given.processes)

        def tried(mutant: Mutant) -> tuple[str, int]:
            tests = tests_of(mutant, measured, first)
            copy = copies.get()
            try:
                return try_out(mutant, copy, tests) if tests else "SURVIVED", len(tests)
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(given.processes) as pool:
            for mutant, (end, tests) in zip(chosen, pool.map(tried, chosen), strict=True):
                found[end] += 1
                print(f"{end:8}  {mutant}  ({tests} tests)", flush=True)
    share = found["seen"] / len(chosen)
    print(f"\n{found['seen']} of {len(chosen)} seen ({share:.0%})")
    return 0 if share >= given.share else 1


if __name__ == "__main__":
    sys.exit(main())
