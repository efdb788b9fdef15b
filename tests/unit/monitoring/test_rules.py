"""The alerts: each one fires where it should, and says what to do."""

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.commands import ROOT, completed

TESTS = Path(__file__).with_name("rules_test.yml")
PAGE = (ROOT / "docs" / "monitoring.md").read_text("utf-8")


def alerts() -> dict[str, dict[str, Any]]:
    """Each rule by its name."""
    rules = yaml.safe_load((ROOT / "deploy" / "monitoring" / "rules.yml").read_text("utf-8"))
    return {rule["alert"]: rule for group in rules["groups"] for rule in group["rules"]}


def test_every_rule_fires_where_it_should_and_nowhere_else() -> None:
    if shutil.which("promtool") is None:
        pytest.skip("no promtool on this machine; tests/install-tools.sh installs it on Debian")
    done = completed(["promtool", "test", "rules", str(TESTS)])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("fires", [True, False])
def test_each_alert_is_tested_both_ways(fires: bool) -> None:
    tested = yaml.safe_load(TESTS.read_text("utf-8"))["tests"]
    seen = {
        case["alertname"]
        for test in tested
        for case in test["alert_rule_test"]
        if bool(case.get("exp_alerts")) is fires
    }
    assert seen == set(alerts())


def test_each_alert_has_its_section_and_leads_there() -> None:
    _, _, sections = PAGE.partition("## The alerts")
    sections, _, _ = sections.partition("\n## ")
    assert re.findall(r"^### (\w+)$", sections, flags=re.MULTILINE) == list(alerts())
    for name, rule in alerts().items():
        assert rule["annotations"]["runbook"] == f"docs/monitoring.md#{name.lower()}"
        assert f"### {name}\n\n**{rule['labels']['severity'].title()}.**" in sections
