"""The containers that make backups, and what they tell."""

from tests.compose.stack import Stack
from tests.compose.stack import docker as run_docker


def metrics(stack: Stack) -> dict[str, float]:
    """What the last backup told Prometheus."""
    said = run_docker(
        *("run", "--rm", "--volume", f"{stack.project}_backup_metrics:/metrics:ro"),
        *("--entrypoint", "cat", f"classificador-de-produtos/backup:{stack.setting('IMAGE_TAG')}"),
        "/metrics/backup.prom",
    )
    return {name: float(value) for name, value in (line.split() for line in said.splitlines())}


def backup_containers(stack: Stack) -> list[str]:
    """The ids of those that are running."""
    labels = (
        f"com.docker.compose.project={stack.project}",
        "com.docker.compose.service=backup",
    )
    return run_docker("ps", "--quiet", *(f"--filter=label={one}" for one in labels)).split()
