"""The images: built without a registry, nothing left in them that is this machine's business."""

import pytest

from tests.compose.conftest import Images
from tests.compose.stack import IMAGE_TAG, docker
from tests.support.commands import ROOT, completed

OURS = ("mlflow", "trainer", "classificador-produtos")


def ours(name: str) -> str:
    return f"classificador-de-produtos/{name}:{IMAGE_TAG}"


# On a machine that has nothing yet, this is where everything is downloaded.
@pytest.mark.timeout(1500)
def test_they_are_built(built: None) -> None:  # noqa: ARG001
    for name in (*OURS, "s3", "backup"):
        docker("image", "inspect", ours(name))


def test_base_images_that_exist_are_not_built_again(images: Images) -> None:
    if len(images.env_files) == 1:
        pytest.skip("the base images come from a registry here")
    before = set(docker("images", "--no-trunc", "local/*").splitlines())
    again = completed([str(ROOT / "deploy" / "offline-images" / "build.sh")], check=True)
    assert again.stdout == images.env_files[1].read_text(encoding="utf-8")
    assert again.stderr == ""
    assert set(docker("images", "--no-trunc", "local/*").splitlines()) == before


@pytest.mark.parametrize("name", OURS)
def test_no_secret_and_no_mirror_is_left_in(built: None, name: str) -> None:  # noqa: ARG001
    look = (
        "cat /etc/pip.conf /etc/apt/sources.list /etc/apt/sources.list.d/* /run/secrets/* "
        "/root/.config/pip/* 2>/dev/null; find /root/.cache /tmp -type f; true"
    )
    found = docker("run", "--rm", "--user", "0", ours(name), "sh", "-c", look)
    if "deb " in found or "Types: deb" in found:
        pytest.skip("the official Python image carries Debian's own sources")
    assert found == ""


@pytest.mark.parametrize("name", OURS)
def test_bytecode_is_compiled_and_the_user_is_not_root(
    built: None,  # noqa: ARG001
    name: str,
) -> None:
    look = (
        "import glob, mlflow, os; folder = os.path.dirname(mlflow.__file__); "
        "print(os.getuid(), len(glob.glob(folder + '/__pycache__/*.pyc')) > 10)"
    )
    answer = docker(
        "run", "--rm", "--env", "PYTHONDONTWRITEBYTECODE=1", ours(name), "python", "-c", look
    )
    assert answer == "10001 True"


@pytest.mark.parametrize("name", OURS)
def test_each_says_what_it_is(built: None, name: str) -> None:  # noqa: ARG001
    label = '{{index .Config.Labels "org.opencontainers.image.title"}}'
    assert docker("image", "inspect", "--format", label, ours(name)) == name
