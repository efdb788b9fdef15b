"""An S3 and a MySQL that somebody has already, used by settings alone."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.compose.stack import JOBS, Stack, docker
from tests.support.commands import ROOT

NAMES = {"MYSQL_DATABASE": "existente", "MYSQL_USER": "equipe", "MYSQL_PASSWORD": "p@ss/word%1'#"}


@pytest.fixture
def others(built: None, new_stack: Callable[..., Stack]) -> Iterator[tuple[str, str]]:  # noqa: ARG001
    """A network with an S3 (`their-s3`) and a MySQL (`their-mysql`) that are no part of a stack.

    And the container of that MySQL.
    """
    images = new_stack()
    network = f"stacktest-others-{secrets.token_hex(3)}"
    docker("network", "create", network)
    made = []
    try:
        mysql = [word for pair in NAMES.items() for word in ("--env", "=".join(pair))]
        made.append(
            docker(
                *("run", "--detach", "--init", "--network", network),
                *("--network-alias", "their-mysql", *mysql, "--env", "MYSQL_ROOT_PASSWORD=root-ro"),
                *(images.setting("MYSQL_IMAGE"), "--log-bin-trust-function-creators=1"),
            )
        )
        made.append(
            docker(
                *("run", "--detach", "--init", "--network", network, "--network-alias", "their-s3"),
                *(
                    "--env",
                    "MINIO_ROOT_USER=equipe",
                    "--env",
                    "MINIO_ROOT_PASSWORD=chave-da-equipe",
                ),
                *(images.setting("S3_IMAGE"), "server", "/data"),
            )
        )
        yield network, made[0]
    finally:
        # After a failure the stack's own containers are still on it.
        left = docker("ps", "--all", "--quiet", "--filter", f"network={network}").split()
        for container in {*made, *left}:
            docker("rm", "--force", "--volumes", container, check=False)
        docker("network", "rm", network)


@pytest.mark.timeout(900)
def test_both_are_used_and_neither_is_started(
    others: tuple[str, str], new_stack: Callable[..., Stack], tmp_path: Path
) -> None:
    name, database = others
    network = tmp_path / "network.yml"
    network.write_text(
        f"networks: {{public: {{external: true, name: {name}}}}}\n", encoding="utf-8"
    )
    mine = new_stack(
        ROOT / "compose.external-s3.yml",
        ROOT / "compose.external-db.yml",
        network,
        **NAMES,
        MYSQL_HOST="their-mysql",
        S3_ENDPOINT_URL="http://their-s3:9000",
        AWS_ACCESS_KEY_ID="equipe",
        AWS_SECRET_ACCESS_KEY="chave-da-equipe",
        AWS_BUCKET_NAME="modelos-da-equipe",
    )
    mine.compose("up", "--detach")
    mine.wait_trained()
    mine.wait_answering()

    assert mine.classify() == "brinquedo"
    running = set(mine.compose("ps", "--all", "--services").split())
    assert running == {*JOBS, "mlflow", "classificador-produtos"}
    assert "modelos-da-equipe was made" in mine.logs("create_s3_buckets")
    assert len(mine.runs()) == 11

    # Theirs is reached by the batch job as well, whatever is in its password.
    mine.compose("run", "--rm", "-T", "batch", "boneca de pano", "--output-table", "predicoes")
    row = docker(
        *("exec", "--env", f"MYSQL_PWD={NAMES['MYSQL_PASSWORD']}", database, "mysql"),
        *("--batch", "--skip-column-names", f"--user={NAMES['MYSQL_USER']}"),
        *(NAMES["MYSQL_DATABASE"], "--execute", "SELECT texto, categoria_prevista FROM predicoes"),
    )
    assert row == "boneca de pano\tbrinquedo"
    mine.forget()
