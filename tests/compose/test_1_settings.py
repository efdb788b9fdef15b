"""Compose's own reading of the files: what stops it, and what it would publish."""

import itertools
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from server import check_settings
from tests.compose.stack import Stack
from tests.support.commands import ROOT

LINES = (ROOT / ".env").read_text(encoding="utf-8").splitlines()
SETTINGS = [line.partition("=")[0] for line in LINES if line and not line.startswith("#")]
EMPTY = [line[:-1] for line in LINES if line.endswith("=")]
CLIENT = {
    "MLFLOW_TRACKING_URI",
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD",
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD",
    "NO_PROXY",
    "no_proxy",
}
OF_HOTSERVE = {"HOTSERVE_TOKEN", "HOTSERVE_ACCESS_LOG", "HOTSERVE_COMPARE"}
OF_TRAINER = {"LINGUA", "LANGUAGE", "MLFLOW_PAGE"}
OVERLAYS = ("compose.team.yml", "compose.monitoring.yml", "compose.backup.yml")
REQUIRED = [
    (file, name)
    for file in ("compose.yml", *OVERLAYS)
    for name in sorted(set(re.findall(r"\$\{(\w+):\?", (ROOT / file).read_text("utf-8"))))
]
MAY_BE_EMPTY = {
    *("MLFLOW_CORS_ORIGINS", "S3_PUBLIC_URL"),
    *("ALERT_MAIL_TO", "ALERT_WEBHOOK_URL", "ALERT_MAIL_FROM", "COMPOSE_PROFILES"),
    *("SMTP_SERVER", "SMTP_USER", "SMTP_PASSWORD", "SMTP_REQUIRE_TLS"),
    *("BACKUP_TARGET", "BACKUP_AWS_ACCESS_KEY_ID", "BACKUP_AWS_SECRET_ACCESS_KEY"),
}


def config(stack: Stack) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(stack.compose("config", "--format", "json"))
    return parsed


def test_a_setting_is_required_or_may_be_empty() -> None:
    assert {name for _, name in REQUIRED} == set(SETTINGS) - MAY_BE_EMPTY


@pytest.mark.parametrize(("file", "name"), REQUIRED)
def test_a_setting_that_is_missing_stops_compose_with_one_line(
    new_stack: Callable[..., Stack], file: str, name: str
) -> None:
    others = {one: "given" for one in EMPTY if (file, one) in REQUIRED}
    overlays = [ROOT / file] if file in OVERLAYS else []
    stack = new_stack(*overlays, **others)
    stack.compose("config", "--quiet")
    done = stack.try_compose("config", "--quiet", settings={name: ""})
    assert done.returncode != 0
    assert len(done.stderr.strip().splitlines()) == 1
    assert f"required variable {name} is missing a value: " in done.stderr
    assert "set it in .env" in done.stderr or "run `make team`" in done.stderr


def test_each_setting_has_a_comment() -> None:
    for before, line in itertools.pairwise(LINES):
        if line and not line.startswith("#"):
            assert before, f"nothing is said of {line}"


def test_no_image_is_plain_latest(new_stack: Callable[..., Stack]) -> None:
    stack = new_stack()
    for name, service in config(stack)["services"].items():
        tag = service["image"].rpartition("/")[2].partition(":")[2]
        assert tag, f"{name}: {service['image']}"
        assert "latest" not in tag, f"{name}: {service['image']}"
    for line in LINES:
        name, _, image = line.partition("=")
        if name.endswith("_IMAGE"):
            assert ":" in image
            assert not image.endswith(":latest")


def test_only_four_ports_are_published_and_on_this_machine_only(
    new_stack: Callable[..., Stack],
) -> None:
    published = {
        (name, port["target"], port["host_ip"])
        for name, service in config(new_stack())["services"].items()
        for port in service.get("ports", [])
    }
    assert published == {
        ("s3", 9000, "127.0.0.1"),
        ("s3", 9001, "127.0.0.1"),
        ("mlflow", 5000, "127.0.0.1"),
        ("classificador-produtos", 8080, "127.0.0.1"),
    }


def test_the_bind_address_moves_all_four(new_stack: Callable[..., Stack]) -> None:
    services = config(new_stack(BIND_ADDRESS="127.0.0.2"))["services"].values()
    ports = [port for service in services for port in service.get("ports", [])]
    assert {port["host_ip"] for port in ports} == {"127.0.0.2"}


def test_pages_without_a_login_stay_on_this_machine(new_stack: Callable[..., Stack]) -> None:
    stack = new_stack(ROOT / "compose.monitoring.yml", BIND_ADDRESS="0.0.0.0")
    published = {
        port["host_ip"]
        for name in ("prometheus", "alertmanager", "grafana")
        for port in config(stack)["services"][name]["ports"]
    }
    assert published == {"127.0.0.1"}


def test_the_chapter_s_names_are_kept(new_stack: Callable[..., Stack]) -> None:
    read = config(new_stack())
    assert set(read["services"]) == {
        "s3",
        "check_settings",
        "create_s3_buckets",
        "db",
        "mlflow",
        "trainer",
        "classificador-produtos",
    }
    assert set(read["networks"]) == {"internal", "public"}
    assert {"db_volume", "minio_volume"} <= set(read["volumes"])
    assert not any("container_name" in service for service in read["services"].values())


def test_no_client_is_given_the_keys_of_s3_or_the_database(
    new_stack: Callable[..., Stack],
) -> None:
    services = config(new_stack())["services"]
    for client, own in (("trainer", OF_TRAINER), ("classificador-produtos", OF_HOTSERVE)):
        assert set(services[client]["environment"]) == CLIENT | own


def test_people_are_told_things_in_the_language_of_the_terminal(
    new_stack: Callable[..., Stack],
) -> None:
    stack = new_stack(LANGUAGE="", LC_ALL="", LC_MESSAGES="", LANG="pt_BR.UTF-8", LINGUA="en")
    services = json.loads(stack.compose("--profile", "batch", "config", "--format", "json"))
    for name in ("trainer", "batch"):
        environment = services["services"][name]["environment"]
        assert (environment["LANGUAGE"], environment["LINGUA"]) == ("pt_BR.UTF-8", "en")


def test_the_api_and_nobody_else_is_given_its_token_but_for_the_check_which_talks_to_nobody(
    new_stack: Callable[..., Stack],
) -> None:
    services = config(new_stack(HOTSERVE_TOKEN="abre-te-sesamo"))["services"]
    given = {name for name, service in services.items() if "abre-te-sesamo" in json.dumps(service)}
    assert given == {"classificador-produtos", "check_settings"}
    check = services["check_settings"]
    assert check["network_mode"] == "none"
    assert not {"networks", "volumes", "ports"} & set(check)


def test_the_check_is_given_every_setting_that_it_has_a_rule_for(
    new_stack: Callable[..., Stack],
) -> None:
    team = {one: "given" for one in EMPTY if ("compose.team.yml", one) in REQUIRED}
    stack = new_stack(ROOT / "compose.team.yml", **team)
    looked_at = set(config(stack)["services"]["check_settings"]["environment"])
    assert set(check_settings.RULES) - {"S3_WAIT_SECONDS"} <= looked_at
    assert looked_at <= set(SETTINGS) | {"NO_PROXY", "no_proxy"}


def test_the_services_reach_each_other_without_a_proxy_and_the_user_s_own_list_is_kept(
    new_stack: Callable[..., Stack],
) -> None:
    services = config(new_stack(NO_PROXY="s3.example.org,10.0.0.0/8"))["services"]
    for name in set(services) - {"s3", "db"}:
        environment = services[name]["environment"]
        assert environment["NO_PROXY"] == environment["no_proxy"]
        listed = environment["NO_PROXY"].split(",")
        assert {"s3", "db", "mlflow", "classificador-produtos", "127.0.0.1"} <= set(listed), name
        assert listed[-2:] == ["s3.example.org", "10.0.0.0/8"]


def test_the_batch_job_is_there_when_asked_for_and_has_what_it_needs_and_no_more(
    new_stack: Callable[..., Stack],
) -> None:
    read = json.loads(new_stack().compose("--profile", "batch", "config", "--format", "json"))[
        "services"
    ]
    assert set(read) - set(config(new_stack())["services"]) == {"batch"}
    job = read["batch"]
    assert set(job["networks"]) == {"internal"}
    assert (job["read_only"], job["cap_drop"]) == (True, ["ALL"])
    assert job["security_opt"] == ["no-new-privileges:true"]
    assert job["restart"] == "no"
    assert "ports" not in job
    # A command line is read by everybody on the machine.
    line = " ".join([*job["entrypoint"], *job["command"]])
    for name, value in job["environment"].items():
        assert not (value in line and ("PASSWORD" in name or "KEY" in name))
