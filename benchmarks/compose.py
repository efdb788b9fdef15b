"""What the stack in containers costs, against the chapter's own made to start on this machine.

Seconds from `up` (images built) to the first right answer, memory at rest as `docker stats`
says, sizes of the images, seconds to rebuild after a change of code.

    make bench-compose
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.machine import machine, write
from benchmarks.run import free_port

ROOT = Path(__file__).resolve().parent.parent
QUESTION, ANSWER = "boneca de pano", b'{"predictions": ["brinquedo"]}'
PORTS = ("S3_PORT", "S3_CONSOLE_PORT", "MLFLOW_PORT", "SERVE_PORT")
TAG = "bench"
REPEATS = 3
REST_SECONDS = 30.0
GIVE_UP_SECONDS = 600.0
# What a change of code is, for the rebuild: one line in each image's own code.
CHANGED = ("server/create_buckets.py", "trainer/sweep.py", "classificador-produtos/hotserve/cli.py")


class Project:
    """One Compose project with ports of its own.

    Args:
        files: the Compose files.
        env_files: the env files; later ones win.
        folder: where the build context is.
    """

    def __init__(self, files: Sequence[Path], env_files: Sequence[Path], folder: Path = ROOT):
        self.ports = {name: str(free_port()) for name in PORTS}
        self.folder = folder
        self._line = ["docker", "compose", "--project-name", f"bench-{secrets.token_hex(3)}"]
        for env_file in env_files:
            self._line += ["--env-file", str(env_file)]
        for file in files:
            self._line += ["--file", str(file)]

    def compose(self, *arguments: str) -> str:
        """`docker compose …`; ends this program with its last line when it fails."""
        done = subprocess.run(
            [*self._line, *arguments],
            cwd=self.folder,
            env=os.environ | self.ports | {"IMAGE_TAG": TAG},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"compose {' '.join(arguments)}: {done.stderr.strip().splitlines()[-1]}")
        return done.stdout

    def seconds_to_first_answer(self) -> float:
        """`up`, until the API classifies the chapter's product rightly."""
        start = time.monotonic()
        starting = subprocess.Popen(
            [*self._line, "up", "--detach"],
            cwd=self.folder,
            env=os.environ | self.ports | {"IMAGE_TAG": TAG},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while not self._answers_rightly():
            if starting.poll() not in (None, 0):
                sys.exit("compose up failed")
            if time.monotonic() - start > GIVE_UP_SECONDS:
                sys.exit(f"no answer in {GIVE_UP_SECONDS:.0f} s")
            time.sleep(0.1)
        seconds = time.monotonic() - start
        starting.wait()
        return round(seconds, 1)

    def _answers_rightly(self) -> bool:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ports['SERVE_PORT']}/invocations",
            data=json.dumps({"inputs": [QUESTION]}).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return bool(answer.read() == ANSWER)
        except (urllib.error.URLError, OSError):
            return False

    def memory_mib(self) -> dict[str, float]:
        """What each running container uses, as `docker stats` says, in MiB."""
        ids = self.compose("ps", "--quiet").split()
        rows = _output(
            "docker", "stats", "--no-stream", "--format", "{{.Name}}\t{{.MemUsage}}", *ids
        )
        used = {}
        for row in rows.splitlines():
            name, usage = row.split("\t")
            service = name.split("-", 2)[2].rsplit("-", 1)[0]
            used[service] = _mib(usage.split(" / ")[0])
        return used

    def processes(self) -> int:
        """Processes in all running containers."""
        ids = self.compose("ps", "--quiet").split()
        return sum(len(_output("docker", "top", one).splitlines()) - 1 for one in ids)

    def forget(self) -> None:
        """Remove everything, data included."""
        self.compose("down", "--volumes", "--timeout", "10")


def _output(*line: str) -> str:
    return subprocess.run(line, capture_output=True, text=True, check=True).stdout


def _mib(text: str) -> float:
    units = {"KiB": 1 / 1024, "MiB": 1.0, "GiB": 1024.0}
    return round(float(text[:-3]) * units[text[-3:]], 1)


def image_sizes(images: Mapping[str, str]) -> dict[str, int]:
    """Megabytes (10⁶ bytes) of each image, and of all with what they share counted once."""
    sizes, layers = {}, {}
    for name, image in images.items():
        history = _output(
            *("docker", "history", "--no-trunc", "--human=false"),
            *("--format", "{{.Size}}\t{{.CreatedBy}}", image),
        ).splitlines()
        path: tuple[str, ...] = ()
        sizes[name] = 0
        for row in reversed(history):
            size = int(row.split("\t")[0])
            path = (*path, row)
            sizes[name] += size
            layers[path] = size
    together = sum(layers.values())
    return {name: round(size / 1e6) for name, size in {**sizes, "together": together}.items()}


@contextmanager
def changed_copy() -> Iterator[Path]:
    """A copy of what the images are built from, in which one line of code can be added."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in _output("git", "-C", str(ROOT), "ls-files").splitlines():
            target = copy / name
            if (ROOT / name).is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, target)
        yield copy


def measure_stack(files: Sequence[Path], env_files: Sequence[Path]) -> dict[str, Any]:
    """First starts on empty volumes, one second start, and memory at rest."""
    first = []
    project = Project(files, env_files)
    for repeat in range(REPEATS):
        if repeat:
            project.forget()
        first.append(project.seconds_to_first_answer())
        print(f"  first answer after {first[-1]} s", flush=True)
    time.sleep(REST_SECONDS)
    memory = project.memory_mib()
    processes = project.processes()
    print(f"  at rest {sum(memory.values()):.0f} MiB", flush=True)
    project.compose("down")
    second = project.seconds_to_first_answer()
    project.forget()
    return {
        "seconds_to_first_answer": {
            "median": statistics.median(first),
            "all": first,
            "second_start": second,
        },
        "memory_at_rest_mib": {"total": round(sum(memory.values())), **memory},
        "processes": processes,
    }


def main() -> None:
    """Measure both stacks and write benchmarks/results/compose.json."""
    with tempfile.TemporaryDirectory() as folder:
        offline = Path(folder) / "offline.env"
        print("base images from packages")
        offline.write_text(
            _output(str(ROOT / "deploy" / "offline-images" / "build.sh")), encoding="utf-8"
        )
        env_files = [ROOT / ".env", offline]
        files = [ROOT / "compose.yml", ROOT / "compose.offline.yml"]

        print("images")
        start = time.monotonic()
        with changed_copy() as copy:
            there = [copy / file.name for file in files]
            Project(there, env_files, copy).compose("build", "--quiet")
            built = time.monotonic() - start
            for name in CHANGED:
                with (copy / name).open("a", encoding="utf-8") as code:
                    code.write(f"# {secrets.token_hex(4)}\n")
            start = time.monotonic()
            Project(there, env_files, copy).compose("build", "--quiet")
            rebuilt = time.monotonic() - start
        Project(files, env_files).compose("build", "--quiet")
        prefix = json.loads(Project(files, env_files).compose("config", "--format", "json"))
        images = {
            name: prefix["services"][name]["image"]
            for name in ("mlflow", "trainer", "classificador-produtos")
        }
        load = os.getloadavg()[0]
        result: dict[str, Any] = {
            "command": "make bench-compose",
            "machine": machine("mlflow"),
            "load_average_before": round(load, 1),
            "base_images": dict(
                line.split("=", 1) for line in offline.read_text(encoding="utf-8").splitlines()
            ),
            "image_megabytes": image_sizes(images),
            "build_seconds_with_what_was_cached": round(built, 1),
            "rebuild_seconds_after_a_change_in_all_three": round(rebuilt, 1),
        }
        print("our stack")
        result["ours"] = measure_stack(files, env_files)
        print("the chapter's stack")
        result["chapter"] = measure_stack([ROOT / "benchmarks" / "chapter.yml"], env_files)
    print(f"written to {write('compose', result).relative_to(ROOT)}")


if __name__ == "__main__":
    main()
