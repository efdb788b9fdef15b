"""Faults of what stands behind the API: it goes on, and no run that was finished is lost."""

import pytest

from tests.compose.faults import Faults

pytestmark = [
    pytest.mark.slow,
    # Caddy's authority is its own here.
    pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning"),
]

SERVICES = {"S3": "s3", "MySQL": "db", "MLflow": "mlflow"}
FAULTS = ("stopped", "killed", "frozen", "slow network", "disk full")
OF_CLOCKS = [(part, "clock moved") for part in ("MySQL", "MLflow")]
CASES = [*((part, fault) for part in SERVICES for fault in FAULTS), *OF_CLOCKS]


@pytest.mark.parametrize(("part", "fault"), CASES)
def test_no_request_fails_and_no_finished_run_is_lost(
    faults: Faults, part: str, fault: str
) -> None:
    faults.require(fault)
    service = SERVICES[part]
    with faults.case(part, fault, is_crash=fault == "killed") as case:
        if fault == "killed":
            faults.kill(service)
        else:
            with faults.while_it_is(fault, service):
                faults.lasts()
    assert case.failed == []
    assert case.lost == []
    faults.stack.wait_healthy(service)
