"""The files of GitLab CI and GitHub Actions: valid, and nothing in them that is not there."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from produtos.parameters import CLASSIFIERS, Parameters, parse_yes_or_no
from tests.support.commands import ROOT, completed

GITLAB = ROOT / ".gitlab-ci.yml"
GITHUB = ROOT / ".github" / "workflows" / "ci.yml"
BOTH = pytest.mark.parametrize("path", [GITLAB, GITHUB], ids=["gitlab", "github"])

# Words at the top of a .gitlab-ci.yml that are no jobs.
GITLAB_KEYWORDS = {"stages", "variables", "workflow", "default"}


def content(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    if path == GITHUB:
        return dict(content(path)["jobs"])
    return {name: job for name, job in content(path).items() if name not in GITLAB_KEYWORDS}


def scripts(path: Path) -> dict[str, str]:
    """What each job runs, as one shell script."""
    if path == GITHUB:
        return {
            name: "\n".join(step["run"] for step in job["steps"] if "run" in step)
            for name, job in jobs(path).items()
        }
    return {name: "\n".join(job["script"]) for name, job in jobs(path).items()}


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        (GITLAB, ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"]),
        (GITHUB, ["--builtin-schema", "vendor.github-workflows"]),
    ],
    ids=["gitlab", "github"],
)
def test_file_is_valid_under_the_published_schema(
    path: Path, arguments: list[str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "check_jsonschema", *arguments]
    checked = completed([*command, path])
    assert checked.returncode == 0, checked.stdout

    # And the checker does see a mistake: a job's script that is a number.
    broken = tmp_path / path.name
    broken.write_text(
        re.sub(r"^( *)(- )?(script|run):.*$", r"\1\2\3: 1", path.read_text(), flags=re.M)
    )
    assert subprocess.run([*command, broken], capture_output=True).returncode != 0


@BOTH
def test_every_step_that_a_change_goes_through_is_there(path: Path) -> None:
    run = scripts(path)
    assert {"lint", "test", "images", "train"} <= set(run)
    assert "make lint" in run["lint"]
    assert "make test" in run["test"]
    assert "docker compose build" in run["images"]
    assert "mlflow run trainer" in run["train"]


@BOTH
def test_every_target_and_script_exists(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    for job, script in scripts(path).items():
        for target in re.findall(r"\bmake ([a-z-]+)", script):
            assert target in targets, f"{job}: make {target}"
        for name in re.findall(r"(?:^|\s)(\./[\w./-]+)", script):
            assert os.access(ROOT / name, os.X_OK), f"{job}: {name}"
    for page in re.findall(r"docs/[\w.-]+\.md", path.read_text(encoding="utf-8")):
        assert (ROOT / page).exists(), page


@BOTH
def test_scripts_are_shell(path: Path) -> None:
    for job, script in scripts(path).items():
        parsed = completed(["bash", "-n"], input=script)
        assert parsed.returncode == 0, f"{job}: {parsed.stderr}"


@BOTH
def test_training_asks_for_what_the_project_knows(path: Path) -> None:
    script = scripts(path)["train"]
    asked = re.findall(r"-P (\w+)=", script)
    assert asked
    assert set(asked) <= set(Parameters().logged())

    if path == GITHUB:
        # YAML 1.1, which PyYAML reads, takes the word `on` for the truth value.
        form = content(path)[True]["workflow_dispatch"]["inputs"]  # type: ignore[index]
        offered = {name: (entry["default"], entry.get("options")) for name, entry in form.items()}
    else:
        form = {name: v for name, v in content(path)["variables"].items() if isinstance(v, dict)}
        offered = {n.lower(): (entry["value"], entry.get("options")) for n, entry in form.items()}
    assert set(offered) == set(asked)
    defaults = Parameters().logged()
    assert {name: value for name, (value, _) in offered.items()} == {n: defaults[n] for n in asked}
    assert tuple(offered["classifier"][1] or ()) == CLASSIFIERS
    for name in ("include_names", "strip_accents"):
        assert [parse_yes_or_no(word) for word in offered[name][1] or ()] == [True, False]


def test_training_is_started_by_hand_only() -> None:
    (rule,) = content(GITLAB)["train"]["rules"]
    assert rule["when"] == "manual"
    assert jobs(GITHUB)["train"]["if"] == "github.event_name == 'workflow_dispatch'"


def test_images_are_variables_with_pinned_tags() -> None:
    file = content(GITLAB)
    images = [file["default"]["image"]]
    for job in jobs(GITLAB).values():
        images += [job["image"]] if "image" in job else []
        images += [service["name"] for service in job.get("services", [])]
    assert len(images) == 3
    for image in images:
        assert image.startswith("$"), f"{image} cannot be replaced by a setting"
        _, _, tag = file["variables"][image[1:]].partition(":")
        assert re.match(r"\d+\.\d+\.\d+", tag), f"{image}: {tag or 'no tag'}"


def test_actions_and_machines_are_pinned() -> None:
    for name, job in jobs(GITHUB).items():
        assert not job["runs-on"].endswith("latest"), name
        for step in job["steps"]:
            assert "uses" not in step or re.search(r"@(v\d|[0-9a-f]{40})", step["uses"]), step


@BOTH
def test_no_host_is_named(path: Path) -> None:
    """Where packages and images come from is a matter of each site's settings."""
    addresses = re.findall(r"\b[a-z]+://[^\s\"']+", path.read_text(encoding="utf-8"))
    # The engine that GitLab starts beside the job.
    assert set(addresses) <= {"tcp://docker:2376"}


def test_what_is_typed_into_the_form_is_no_part_of_a_script() -> None:
    for job, script in scripts(GITHUB).items():
        assert "${{" not in script, f"{job}: give it through env"
