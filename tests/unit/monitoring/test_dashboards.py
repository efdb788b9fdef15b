"""Grafana's dashboards are what tools/dashboards.py makes, and what Grafana reads."""

import json
from pathlib import Path

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

import dashboards

FILES = sorted(dashboards.FOLDER.glob("*.json"))


def test_the_files_are_made_of_the_source_as_it_is() -> None:
    made = {name: dashboards.dashboard(name) for name in dashboards.DASHBOARDS}
    assert {file.stem: file.read_text("utf-8") for file in FILES} == made, "make dashboards"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_grafana_s_own_classes_read_all_of_it(file: Path) -> None:
    content = json.loads(file.read_text("utf-8"))
    read = json.loads(json.dumps(Dashboard.from_json(content), cls=JSONEncoder))
    # What they don't know, they leave out.
    assert _without_nulls(read) == content
    ids = [panel["id"] for panel in content["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in content["panels"]:
        assert panel["type"] in ("timeseries", "stat")
        assert all(target["datasource"]["uid"] == "prometheus" for target in panel["targets"])


def _without_nulls(value: object) -> object:
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return [_without_nulls(v) for v in value] if isinstance(value, list) else value
