"""What is between a team's stack and the network: certificates, names, ports, and old passwords."""

import hashlib
import json
import os
import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest
import requests

from tests.compose.stack import docker, variables, wait_until
from tests.compose.team import Team
from tests.e2e.conftest import free_port
from tests.support.commands import ROOT

DEVELOPMENT = "somente-para-desenvolvimento"


def test_make_team_says_where_and_who_and_does_it_once(team: Team) -> None:
    assert team.mlflow_url in team.said
    assert team.serve_url in team.said
    assert team.setting("MLFLOW_ADMIN_PASSWORD") in team.said
    before = (team.folder / ".env").read_text("utf-8")
    assert before.count(DEVELOPMENT) == 0
    team.run("make team PUBLIC_HOST=localhost")
    assert (team.folder / ".env").read_text("utf-8") == before


def test_only_caddy_publishes_ports(team: Team) -> None:
    ids = team.stack.compose("ps", "--all", "--quiet").split()
    published = {}
    for one in json.loads(docker("inspect", *ids)):
        ports = [port for port, where in one["HostConfig"]["PortBindings"].items() if where]
        if ports:
            published[one["Config"]["Labels"]["com.docker.compose.service"]] = sorted(ports)
    assert published == {"caddy": ["5000/tcp", "8080/tcp"]}


def test_no_process_of_caddy_s_is_root_or_may_become_it(team: Team) -> None:
    lines = docker("top", team.stack.container("caddy"), "-eo", "uid,pid,args").splitlines()[1:]
    assert {line.split()[0] for line in lines} == {"10001"}


def test_plain_http_is_sent_on_to_https(team: Team) -> None:
    url = f"{team.mlflow_url}/?a=b"
    answer = team.session().get(url.replace("https:", "http:"), allow_redirects=False, timeout=60)
    assert (answer.status_code, answer.headers["Location"]) == (308, url)


def test_an_answer_has_the_headers_of_a_careful_server(team: Team) -> None:
    for url in (team.mlflow_url, team.serve_url):
        headers = team.session().get(f"{url}/health", timeout=60).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors" in headers["Content-Security-Policy"]
        # It would hold for everything else on localhost too.
        assert "Strict-Transport-Security" not in headers


def connect(team: Team, context: ssl.SSLContext, name: str = "localhost") -> str | None:
    """The protocol that a connection settles on."""
    port = int(team.port("MLFLOW_PORT"))
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname=name) as encrypted,
    ):
        return encrypted.version()


@pytest.mark.parametrize(
    ("version", "accepted"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)]
)
def test_tls_is_new_enough(team: Team, version: str, accepted: bool) -> None:
    context = ssl.create_default_context(cafile=team.certificate)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # with less the client itself would refuse
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    if accepted:
        assert connect(team, context) == version.replace("_", ".")
    else:
        with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
            connect(team, context)


def test_another_name_is_not_answered(team: Team) -> None:
    for url in (team.mlflow_url, team.serve_url):
        answer = team.session().get(f"{url}/", headers={"Host": "evil.example"}, timeout=60)
        assert answer.status_code == 421
        assert not answer.content
    with pytest.raises(ssl.SSLError):
        connect(team, ssl.create_default_context(cafile=team.certificate), "evil.example")


def test_another_page_may_not_call_mlflow(
    team: Team, accounts: dict[str, requests.Session]
) -> None:
    url = f"{team.mlflow_url}/api/2.0/mlflow/experiments/create"
    for origin, code in (("https://evil.example", 403), (team.mlflow_url, 400)):
        answer = accounts["admin"].post(
            url, json={"name": ""}, headers={"Origin": origin}, timeout=60
        )
        assert answer.status_code == code, answer.text


@contextmanager
def another_caddy(team: Team, **settings: str) -> Iterator[int]:
    """The port of one more Caddy in front of the same MLflow, with other settings."""
    port = free_port()
    more = [f"--env={name}={value}" for name, value in settings.items()]
    options = ("--detach", "--no-deps", "--rm", *more, f"--publish=127.0.0.1:{port}:5000")
    container = team.stack.compose("run", *options, "caddy").strip()
    try:
        yield port
    finally:
        docker("rm", "--force", container)


def first_answer(session: requests.Session, url: str) -> requests.Response:
    """What it says when it has begun to answer."""

    def answer() -> list[requests.Response]:
        try:
            return [session.get(url, timeout=60)]
        except requests.ConnectionError:
            return []

    (found,) = wait_until(answer, "Caddy to answer", seconds=120)
    assert isinstance(found, requests.Response)
    return found


def test_a_company_s_proxy_is_not_asked_for_what_is_in_the_stack(team: Team) -> None:
    with another_caddy(team, HTTP_PROXY="http://127.0.0.1:9") as port:
        assert first_answer(team.session(), f"https://localhost:{port}/").status_code == 401


def test_an_address_has_a_certificate_too(team: Team) -> None:
    with another_caddy(team, PUBLIC_HOST="127.0.0.1") as port:
        assert first_answer(team.session(), f"https://127.0.0.1:{port}/").status_code == 401


def test_a_certificate_of_one_s_own_is_shown(team: Team) -> None:
    folder = team.folder / "deploy" / "team" / "certificates"
    team.run(
        f"cd {folder} && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
        "-addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem && chmod 644 key.pem"
    )
    session = team.session()
    session.verify = str(folder / "cert.pem")
    with another_caddy(team, TLS="/certificates/cert.pem /certificates/key.pem") as port:
        answer = first_answer(session, f"https://localhost:{port}/")
    assert answer.status_code == 401
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


# 5120 is the largest that the page promises; it takes minutes, and 10 GB of disk.
MEGABYTES = int(os.environ.get("ARTIFACT_MB", "32"))


def megabytes() -> Iterator[bytes]:
    """Each of them another."""
    for number in range(MEGABYTES):
        yield number.to_bytes(8, "big") * (1 << 17)


def digest(parts: Iterable[bytes]) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()


@pytest.mark.timeout(3600)
def test_files_of_many_megabytes_go_through(
    team: Team, accounts: dict[str, requests.Session]
) -> None:
    url = f"{team.mlflow_url}/api/2.0/mlflow"
    made = accounts["scientist"].post(
        f"{url}/experiments/create", json={"name": "grandes"}, timeout=60
    )
    file = f"{url}-artifacts/artifacts/{made.json()['experiment_id']}/grande.bin"
    sent = accounts["scientist"].put(file, data=megabytes(), timeout=1800)
    assert sent.status_code == 200, sent.text
    with accounts["reader"].get(file, timeout=1800, stream=True) as answer:
        assert digest(answer.iter_content(1 << 20)) == digest(megabytes())


@pytest.mark.parametrize("service", ["s3", "db"])
def test_passwords_are_files_in_a_container_that_can_not_be_changed(
    team: Team, service: str
) -> None:
    container = team.stack.container(service)
    shown = docker("inspect", container) + docker("exec", container, "env")
    for name in ("AWS_SECRET_ACCESS_KEY", "MYSQL_PASSWORD", "MYSQL_ROOT_PASSWORD"):
        assert team.setting(name) not in shown, name
    # It says of some that it may not even look into them.
    programs = "find /bin/ /etc /lib/ /opt /sbin/ /usr -xdev -writable -not -type l 2>&-; true"
    assert docker("exec", container, "sh", "-c", programs).split() == []


KNOWN = [name for name, value in variables(ROOT / ".env").items() if value == DEVELOPMENT]


@pytest.mark.parametrize("name", [*KNOWN, "HOTSERVE_TOKEN"])
def test_a_password_that_everybody_knows_ends_the_start(team: Team, name: str) -> None:
    done = team.stack.try_compose(
        *("run", "--rm", "--no-deps", "-T", "check_settings"), settings={name: DEVELOPMENT}
    )
    assert done.returncode == 2
    assert f"{name}: must not be the one that is in everybody's .env" in done.stderr


def test_without_its_secrets_the_stack_is_not_even_made(team: Team) -> None:
    done = team.stack.try_compose("config", "--quiet", settings={"MLFLOW_ADMIN_PASSWORD": ""})
    assert done.returncode
    assert "run `make team`" in done.stderr
