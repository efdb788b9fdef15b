"""How many small faults the unit tests see: `make mutants`, `make mutants ARGS="--count 300"`.

Takes a random sample of single changes to the product's code (an inverted condition, a step left
out, a wrong constant, a clean-up left out), makes each of them alone in a copy of the project, and
runs the unit tests of that package until one fails. The sample depends on `--seed` only, so that a
run can be repeated. Survivors are listed with their line, to be judged by a person.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "hotserve": ROOT / "classificador-produtos" / "hotserve",
    "produtos": ROOT / "trainer" / "produtos",
    "server": ROOT / "server",
    "local": ROOT / "local",
}
_LOGGERS = ("logger", "log", "logging", "warnings")


@dataclass(frozen=True)
class Mutant:
    """One change: the characters from `start` to `end` of a file become `text`."""

    file: Path
    line: int
    kind: str
    start: int
    end: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}  {self.kind}  {' '.join(self.text.split())[:60]}"


def mutants_of(file: Path) -> Iterator[Mutant]:
    """Every mutant of a file whose path is relative to the project."""
    source = (ROOT / file).read_text("utf-8")
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line.encode()))
    data = source.encode()

    def mutant(kind: str, node: ast.stmt | ast.expr, text: str) -> Mutant:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        return Mutant(file, node.lineno, kind, start, end, text)

    def code(node: ast.expr) -> str:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = starts[node.lineno - 1] + node.col_offset
        return data[start : starts[node.end_lineno - 1] + node.end_col_offset].decode()

    tree = ast.parse(source)
    cleanup = {
        id(statement)
        for node in ast.walk(tree)
        if isinstance(node, ast.Try)
        for statement in [*node.finalbody, *(s for h in node.handlers for s in h.body)]
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.If | ast.While | ast.IfExp) and not _is_type_checking(node.test):
            if not isinstance(node.test, ast.Constant):
                yield mutant("inverted condition", node.test, f"(not ({code(node.test)}))")
        elif isinstance(node, ast.Expr) and _is_step(node.value):
            kind = "clean-up left out" if id(node) in cleanup else "step left out"
            yield mutant(kind, node, "pass")
        elif isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant):
            number = node.value.value
            if isinstance(number, bool):
                yield mutant("wrong constant", node.value, str(not number))
            elif isinstance(number, int | float):
                yield mutant("wrong constant", node.value, f"({number!r} * 7 + 3)")


def _is_type_checking(test: ast.expr) -> bool:
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"


def _is_step(value: ast.expr) -> bool:
    """Whether leaving this expression out changes more than what is logged."""
    if isinstance(value, ast.Await):
        value = value.value
    if not isinstance(value, ast.Call):
        return False
    function = value.func
    while isinstance(function, ast.Attribute):
        function = function.value
    return not (isinstance(function, ast.Name) and function.id in _LOGGERS)


def sample(count: int, seed: int) -> list[Mutant]:
    """That many mutants, spread over all packages."""
    every = [
        mutant
        for package in PACKAGES.values()
        for path in sorted(package.rglob("*.py"))
        for mutant in mutants_of(path.relative_to(ROOT))
    ]
    return random.Random(seed).sample(every, min(count, len(every)))


def tests_of(file: Path) -> list[list[str]]:
    """Unit tests to run for a file: those of its own folder, then the package's other ones.

    The lane's own take a minute and look at nothing else, so only the lane's modules run them.
    """
    parts = file.parts if file.parts[0] in PACKAGES else file.parts[1:]
    whole = Path("tests/unit", parts[0])
    nearest = Path("tests/unit", *parts[:-1])
    while not (ROOT / nearest).is_dir():
        nearest = nearest.parent
    others = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / whole).iterdir())
        if not path.name.startswith("_")
        and path.relative_to(ROOT) != nearest
        and path.name != "lane"
        and (path.is_dir() or path.name.startswith("test_"))
    ]
    return [[str(whole)]] if nearest == whole else [[str(nearest)], others]


def passes(
    tests: Sequence[str], copy: Path, seconds: float, output: int | None = subprocess.DEVNULL
) -> bool:
    """Whether all these tests pass in a copy of the project; where they write, for None, here."""
    paths = [str(copy), str(copy / "trainer"), str(copy / "classificador-produtos")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    ended = subprocess.run(
        ["timeout", "--kill-after=5", str(seconds), *command],
        cwd=copy,
        env=environment,
        stdout=output,
        stderr=output,
        check=False,
    )
    return ended.returncode == 0


def is_seen(mutant: Mutant, copy: Path, seconds: float) -> bool:
    """Whether a unit test fails with this mutant in the copy of the project."""
    path = copy / mutant.file
    before = path.read_bytes()
    path.write_bytes(before[: mutant.start] + mutant.text.encode() + before[mutant.end :])
    try:
        return not all(passes(tests, copy, seconds) for tests in tests_of(mutant.file))
    finally:
        path.write_bytes(before)


def main() -> int:
    """Run the sample; exit code 1 where fewer than the wanted share were seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=160, help="mutants (default 160)")
    parser.add_argument("--seed", type=int, default=1, help="another sample (default 1)")
    parser.add_argument("--only", default="", help="mutants whose path holds this text")
    parser.add_argument("--share", type=float, default=0.9, help="share wanted (default 0.9)")
    parser.add_argument(
        "--timeout", type=float, default=300, help="seconds for the tests of one mutant"
    )
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    chosen = [m for m in sample(10**9, given.seed) if given.only in str(m.file)][: given.count]
    if not chosen:
        parser.error(f"no file's path holds '{given.only}'")
    copies: Queue[Path] = Queue()
    survivors: list[Mutant] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(given.processes):
            copy = Path(folder, str(number))
            copy.mkdir()
            tracked = subprocess.run(
                ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
            ).stdout
            for name in filter(None, tracked.split("\0")):
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                if (ROOT / name).is_file():
                    shutil.copy2(ROOT / name, copy / name)
            (copy / ".venv").symlink_to(ROOT / ".venv")
            copies.put(copy)
        needed = sorted({path for m in chosen for each in tests_of(m.file) for path in each})
        if not passes(needed, copy, 4 * given.timeout, output=None):
            parser.error("tests fail without any mutant, as shown above")

        def seen(mutant: Mutant) -> bool:
            copy = copies.get()
            try:
                return is_seen(mutant, copy, given.timeout)
            finally:
                copies.put(copy)

        with ThreadPoolExecutor(given.processes) as pool:
            for mutant, found in zip(chosen, pool.map(seen, chosen), strict=True):
                print(f"{'seen    ' if found else 'SURVIVED'}  {mutant}", flush=True)
                if not found:
                    survivors.append(mutant)
    share = 1 - len(survivors) / len(chosen)
    print(f"\n{len(chosen) - len(survivors)} of {len(chosen)} seen ({share:.0%})")
    return 0 if share >= given.share else 1


if __name__ == "__main__":
    sys.exit(main())
