"""The manifests for Kubernetes and the settings of the containers are one stack."""

from typing import Any

import yaml

from tests.compose.stack import variables
from tests.support.commands import ROOT

OVERLAYS = ROOT / "deploy" / "kubernetes" / "overlays"


def images(overlay: str) -> dict[str, dict[str, Any]]:
    named = yaml.safe_load((OVERLAYS / overlay / "kustomization.yaml").read_text("utf-8"))["images"]
    return {each["name"]: each for each in named}


def test_the_trial_s_images_are_those_of_the_settings() -> None:
    settings = variables(ROOT / ".env")
    found = images("trial")
    for name, setting in (("db", "MYSQL_IMAGE"), ("s3", "S3_IMAGE")):
        image, _, digest = settings[setting].partition("@")
        assert found[name]["newName"] == image.partition(":")[0]
        assert found[name]["digest"] == digest
    for name in ("mlflow", "trainer", "classificador-produtos"):
        assert found[name]["newName"] == f"{settings['IMAGE_PREFIX']}/{name}"
        assert found[name]["newTag"] == settings["IMAGE_TAG"]


def test_production_names_each_image_of_ours() -> None:
    assert list(images("production")) == ["mlflow", "trainer", "classificador-produtos"]
