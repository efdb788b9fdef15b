"""``wait-for-it.sh`` as a user meets it: real sockets, real commands, real signals."""

import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.support.commands import ROOT, completed

SCRIPT = ROOT / "wait-for-it.sh"


def wait_for_it(*arguments: str) -> subprocess.CompletedProcess[str]:
    return completed([str(SCRIPT), *arguments], timeout=60)


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The script, running; it is gone afterwards, whatever the test has found."""
    with subprocess.Popen(
        [str(SCRIPT), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def listening(host: str = "127.0.0.1", backlog: int = 5) -> Iterator[tuple[socket.socket, str]]:
    """A listening socket, and its ``host:port`` as the script takes it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as server:
        server.bind((host, 0))
        server.listen(backlog)
        port = server.getsockname()[1]
        yield server, f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextmanager
def reserved() -> Iterator[str]:
    """An address that nobody listens on, and that no one else can take meanwhile."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{holder.getsockname()[1]}"


def test_an_open_port_ends_it_with_0() -> None:
    with listening() as (_, address):
        done = wait_for_it(address)
    assert done.returncode == 0
    assert f"{address} answered" in done.stderr
    assert done.stdout == ""


def test_ipv6_is_written_in_brackets() -> None:
    try:
        with listening("::1") as (_, address):
            done = wait_for_it(address, "-t", "5")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    assert done.returncode == 0, done.stderr


def test_a_time_out_is_124_and_names_only_who_did_not_answer() -> None:
    with listening() as (_, up), reserved() as down:
        done = wait_for_it(up, down, "-t", "1")
    assert done.returncode == 124
    last = done.stderr.splitlines()[-1]
    assert down in last
    assert up not in last


def test_a_name_that_does_not_resolve_is_waited_for_too() -> None:
    done = wait_for_it("no-such-host.invalid:80", "-t", "1")
    assert done.returncode == 124
    assert "no-such-host.invalid:80" in done.stderr.splitlines()[-1]


def test_a_connection_that_hangs_does_not_outlive_the_time_out() -> None:
    """Linux drops the SYN for a full backlog, which is what a firewall that drops looks like."""
    with ExitStack() as stack:
        server, address = stack.enter_context(listening(backlog=0))
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        done = wait_for_it(address, "-t", "1")
    assert done.returncode == 124


def test_it_waits_until_the_port_opens() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with started(address, "-t", "60", "--", "echo", "started") as waiting:
            assert waiting.stderr
            assert "waiting for" in waiting.stderr.readline()
            assert waiting.poll() is None
            server.listen()
            assert waiting.communicate(timeout=60)[0] == "started\n"
    assert waiting.returncode == 0


def test_the_command_gets_its_arguments_as_they_are_and_its_exit_code_is_returned() -> None:
    with listening() as (_, address):
        done = wait_for_it(address, "-q", "--", "printf", "%s|", "a b", "-t", "*", "")
        failed = wait_for_it(address, "--", "sh", "-c", "exit 7")
    assert done.stdout == "a b|-t|*||"
    assert failed.returncode == 7


def test_the_command_takes_the_place_of_the_script_so_that_signals_reach_it() -> None:
    program = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
    with (
        listening() as (_, address),
        started(address, "-q", "--", "python3", "-c", program) as command,
    ):
        assert command.stdout
        assert int(command.stdout.readline()) == command.pid
        command.send_signal(signal.SIGTERM)
        assert command.wait(timeout=60) == -signal.SIGTERM


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "SIGINT"]
)
def test_a_signal_ends_the_waiting(sent: signal.Signals, code: int) -> None:
    with reserved() as address, started(address, "-t", "0") as waiting:
        assert waiting.stderr
        assert "for ever" in waiting.stderr.readline()
        waiting.send_signal(sent)
        assert waiting.wait(timeout=60) == code


def test_after_a_time_out_the_command_runs_unless_strict() -> None:
    with reserved() as address:
        lenient = wait_for_it(address, "-t", "1", "--", "echo", "ran")
        strict = wait_for_it(address, "-t", "1", "-s", "--", "echo", "ran")
    assert (lenient.returncode, lenient.stdout) == (0, "ran\n")
    assert (strict.returncode, strict.stdout) == (124, "")


def test_quiet_says_nothing_at_all() -> None:
    with reserved() as address:
        done = wait_for_it(address, "-q", "-t", "1")
    assert (done.returncode, done.stdout, done.stderr) == (124, "", "")


def test_the_long_options_are_known() -> None:
    with reserved() as address:
        done = wait_for_it("--timeout=1", "--strict", "--quiet", address, "--", "echo", "ran")
    assert (done.returncode, done.stdout, done.stderr) == (124, "", "")


def test_a_command_that_does_not_exist_is_told_before_waiting() -> None:
    with reserved() as address:
        done = wait_for_it(address, "-t", "0", "--", "no-such-command")
    assert done.returncode == 127
    assert done.stderr == "wait-for-it.sh: command not found: no-such-command\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-t", "5"],
        ["localhost"],
        ["localhost:"],
        [":80"],
        ["localhost:0"],
        ["localhost:65536"],
        ["localhost:http"],
        ["a/b:80"],
        ["::1:80"],
        ["localhost:80", "-t"],
        ["localhost:80", "-t", "soon"],
        ["localhost:80", "-t", "-1"],
        ["localhost:80", "--unknown"],
        ["localhost:80", "--"],
        ["--", "echo", "ran"],
    ],
    ids=" ".join,
)
def test_a_wrong_line_is_exit_code_2_and_one_sentence(arguments: list[str]) -> None:
    done = wait_for_it(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 2, "what was wrong, and the usage"


def test_help_goes_to_standard_output() -> None:
    done = wait_for_it("--help")
    assert done.returncode == 0
    assert "host:port" in done.stdout


def test_shellcheck_has_nothing_to_say() -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    done = completed(["shellcheck", str(SCRIPT)])
    assert done.returncode == 0, done.stdout
