"""What is said while nothing else is: often enough, and never in the way of what matters."""

import io

import pytest

from local.progress import CLEAR, SILENCE, ProgressOutput


class Clock:
    """Stands still until it is told to go on."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_where_no_terminal_is_a_line_comes_before_ten_seconds_have_passed(clock: Clock) -> None:
    out = io.StringIO()
    output = ProgressOutput(out, clock)
    output.write("starting\n")
    for _ in range(21):
        clock.now += 1
        output.wait_for("MLflow is starting")
    assert SILENCE < 10
    assert out.getvalue().splitlines() == [
        "starting",
        "  … MLflow is starting, 8 s",
        "  … MLflow is starting, 16 s",
    ]


def test_on_a_terminal_one_line_counts_and_goes_away(clock: Clock) -> None:
    out = Terminal()
    output = ProgressOutput(out, clock)
    output.write("starting\n")
    for _ in range(2):
        clock.now += 1
        output.wait_for("MLflow is starting")
    output.write("1/10\n")
    assert out.getvalue() == (
        "starting\n"
        f"{CLEAR}  … MLflow is starting, 1 s{CLEAR}  … MLflow is starting, 2 s{CLEAR}1/10\n"
    )


def test_nothing_is_said_where_lines_come_by_themselves(clock: Clock) -> None:
    out = io.StringIO()
    output = ProgressOutput(out, clock)
    for number in range(10):
        clock.now += SILENCE - 1
        output.wait_for("the trainer is at work")
        output.write(f"{number}\n")
    assert "…" not in out.getvalue()


@pytest.fixture
def clock() -> Clock:
    return Clock()
