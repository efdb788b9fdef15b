"""The verdict on a lane: saved, found again, and out of date as soon as anything is another."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import hotserve
from hotserve.manager.lane_verdict import LaneFiles, LaneVerdict, fingerprint
from tests.support.commands import completed

PACKAGE = Path(hotserve.__file__).parent
ENVIRONMENT = {"python": "3.11.7", "mlflow": "3.17.0"}
OPEN = LaneVerdict("open", forms=("inputs", "instances"), environment=ENVIRONMENT, checksum=77)
DIFFERENCE = {"text": "a", "lane": "x", "model": "y"}
SHUT = LaneVerdict("shut", "it differs", difference=DIFFERENCE, environment=ENVIRONMENT)


@pytest.fixture
def files(tmp_path: Path) -> LaneFiles:
    files = LaneFiles(tmp_path / "version" / "lane")
    files.clear()
    files.compiled.write_bytes(b"lane")
    return files


@pytest.mark.parametrize("verdict", [OPEN, SHUT])
def test_a_verdict_is_found_again(files: LaneFiles, verdict: LaneVerdict) -> None:
    assert files.load() is None
    files.save(verdict)
    assert LaneFiles(files.folder).load() == verdict
    assert files.load(dict(ENVIRONMENT)) == verdict


def test_another_version_of_anything_is_no_verdict(files: LaneFiles) -> None:
    files.save(OPEN)
    assert files.load({**ENVIRONMENT, "mlflow": "3.18.0"}) is None
    assert files.load({}) is None


def test_an_open_lane_without_its_file_is_no_verdict(files: LaneFiles) -> None:
    files.compiled.unlink()
    files.save(OPEN)
    assert files.load() is None
    files.save(SHUT)
    assert files.load() == SHUT


def test_a_cleared_verdict_is_gone(files: LaneFiles) -> None:
    files.save(OPEN)
    files.clear()
    files.clear()
    assert files.load() is None
    assert files.compiled.is_file()


@pytest.mark.parametrize("damaged", ["", "[]", "{}", '{"state": "open"}', '{"code": 1}', "null"])
def test_a_damaged_verdict_is_none(files: LaneFiles, damaged: str) -> None:
    (files.folder / "verdict.json").write_text(damaged)
    assert files.load() is None


def test_a_verdict_of_other_code_is_none(files: LaneFiles) -> None:
    files.save(OPEN)
    path = files.folder / "verdict.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "code": "another"}))
    assert files.load() is None


def test_a_verdict_of_an_earlier_hotserve_is_none(files: LaneFiles) -> None:
    files.save(OPEN)
    path = files.folder / "verdict.json"
    saved = json.loads(path.read_text())
    path.write_text(json.dumps({**saved, "unknown": 1}))
    assert files.load() is None


def test_what_is_open() -> None:
    assert [each.is_open for each in (OPEN, SHUT, replace(OPEN, state="compiling"))] == [
        *(True, False, False)
    ]


def modules_of(*names: str) -> list[Path]:
    """The files of hotserve that importing some modules reads, in the package."""
    files = "[m.__file__ for name, m in sys.modules.items() if name.startswith('hotserve')]"
    code = f"import json, sys, {', '.join(names)}\nprint(json.dumps({files}))"
    found = completed(
        [sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(PACKAGE.parent)}
    )
    return [Path(each).relative_to(PACKAGE) for each in json.loads(found.stdout)]


def test_a_change_of_any_module_that_decides_answers_is_another_fingerprint(tmp_path: Path) -> None:
    copy = tmp_path / "hotserve"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "page"))
    before = fingerprint(copy)
    assert before == fingerprint()
    taking_part = modules_of("hotserve.worker.fast_lane", "hotserve.manager.lane_check")
    assert {Path("worker/fast_lane.py"), Path("inputs/csv.py")} <= {*taking_part}
    for module in taking_part:
        source = (copy / module).read_bytes()
        (copy / module).write_bytes(source + b"#")
        fingerprint.cache_clear()
        assert fingerprint(copy) != before, module
        (copy / module).write_bytes(source)
