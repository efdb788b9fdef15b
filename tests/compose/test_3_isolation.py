"""What a process in the stack may do, and who can reach it."""

import pytest

from tests.compose.stack import JOBS, SERVERS, Stack, docker, this_machine


@pytest.mark.parametrize("service", SERVERS)
def test_no_process_runs_as_root(stack: Stack, service: str) -> None:
    lines = docker("top", stack.container(service), "-eo", "uid,pid,args").splitlines()[1:]
    assert lines
    assert all(line.split()[0] != "0" for line in lines), lines


@pytest.mark.parametrize("service", SERVERS)
def test_it_can_neither_write_its_image_nor_gain_rights(stack: Stack, service: str) -> None:
    look = (
        "(: >/etc/written) 2>/dev/null && echo written; "
        "while read -r name value; do case $name in CapEff:|CapBnd:|NoNewPrivs:) "
        "echo $name $value;; esac; done </proc/1/status"
    )
    seen = stack.compose("exec", "-T", service, "bash", "-c", look).split("\n")
    assert seen[:3] == ["CapEff: 0000000000000000", "CapBnd: 0000000000000000", "NoNewPrivs: 1"]


def test_the_jobs_did_not_run_as_root(stack: Stack) -> None:
    for job in JOBS:
        user = docker("inspect", "--format", "{{.Config.User}}", stack.container(job))
        assert user.split(":")[0] not in {"", "0", "root"}


def test_neighbours_on_the_same_engine_reach_neither_database_nor_s3(stack: Stack) -> None:
    targets = [f"{ip}:3306" for ip in stack.addresses("db").values()]
    targets += [f"{ip}:9000" for ip in stack.addresses("s3").values()]
    targets.append(f"{this_machine()}:{stack.setting('S3_PORT')}")  # published, but on 127.0.0.1
    tries = "; ".join(f"./wait-for-it.sh -q -t 1 {one} || echo no {one}" for one in targets)
    image = f"classificador-de-produtos/mlflow:{stack.setting('IMAGE_TAG')}"
    said = docker("run", "--rm", image, "bash", "-c", tries)
    assert said.splitlines() == [f"no {one}" for one in targets]


def test_the_trainer_and_the_api_do_not_reach_the_database(stack: Stack) -> None:
    for service in ("mlflow", "classificador-produtos"):
        done = stack.try_compose("exec", "-T", service, "/app/wait-for-it.sh", "db:3306", "-t", "1")
        assert done.returncode == (0 if service == "mlflow" else 124), done.stderr


def test_the_database_has_no_way_out(stack: Stack) -> None:
    """Not even to the addresses that its neighbours have on the other network."""
    assert set(stack.addresses("db")) == {"internal"}
    outside = stack.addresses("s3")["public"]
    reach = f"timeout 2 bash -c '</dev/tcp/{outside}/9000' 2>/dev/null || echo no"
    assert stack.compose("exec", "-T", "db", "bash", "-c", reach).strip() == "no"
    assert stack.compose("exec", "-T", "classificador-produtos", "bash", "-c", reach) == ""
