"""How to reach the registry: MLflow's own variables, turned into what an HTTP client needs."""

import base64
import configparser
import os
import ssl
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hotserve.config.errors import UsageError


@dataclass(frozen=True, slots=True)
class Connection:
    """A registry to talk to.

    Attributes:
        url: base address without user, password or a slash at the end; safe to show.
        headers: sent with every request; they hold secrets.
        tls: context for https, or False where verification is switched off.
    """

    url: str
    headers: Mapping[str, str]
    tls: ssl.SSLContext | bool


def read(environment: Mapping[str, str], home: Path | None = None) -> Connection:
    """The registry as `mlflow` would find it.

    Follows mlflow.utils.credentials: variables before `~/.mlflow/credentials`, a user and
    password before a token.

    Args:
        environment: variables, `MLFLOW_REGISTRY_URI` before `MLFLOW_TRACKING_URI`.
        home: the home folder (the user's own if left out).

    Raises:
        UsageError: no address, one that is not http(s), or an unreadable certificate.
    """
    variable, address = _address(environment)
    if not address:
        raise UsageError(
            "MLFLOW_TRACKING_URI is not set; set it to your MLflow server: "
            "export MLFLOW_TRACKING_URI=http://localhost:5000"
        )
    parts = _split(variable, address)
    # Path.home() fails for a user without one, as containers run with any number.
    headers = _headers(environment, parts, home or Path(os.path.expanduser("~")))
    return Connection(_normalised(parts), headers, _tls(environment))


def scope(environment: Mapping[str, str], *, in_registry: bool) -> tuple[str, ...]:
    """What a model's name is looked up in: servers and a workspace; without secrets.

    Two commands with the same scope and the same `-m` mean the same model.
    """
    addresses = [_address(environment)[1]]
    if not in_registry:
        variables = ("MLFLOW_TRACKING_URI", "MLFLOW_S3_ENDPOINT_URL")
        addresses = [environment.get(variable, "").strip() for variable in variables]
    names = [_normalised(urllib.parse.urlsplit(address)) for address in addresses]
    if workspace := environment.get("MLFLOW_WORKSPACE", "").strip():
        names.append(f"workspace {workspace}")
    return tuple(names)


def _address(environment: Mapping[str, str]) -> tuple[str, str]:
    """The variable that names the registry, and what it holds."""
    for variable in ("MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_URI"):
        if address := environment.get(variable, "").strip():
            break
    return variable, address


def _normalised(parts: urllib.parse.SplitResult) -> str:
    """Without user, password, the scheme's own port, query, or a slash at the end."""
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    is_default = parts.port == {"http": 80, "https": 443}.get(parts.scheme)
    port = f":{parts.port}" if parts.port and not is_default else ""
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def _split(variable: str, address: str) -> urllib.parse.SplitResult:
    problem = f"{variable} must be an http(s) address of an MLflow server"
    try:
        parts = urllib.parse.urlsplit(address)
        _ = parts.port
        # As who looks it up does.
        (parts.hostname or "").encode("idna")
    except ValueError as error:
        raise UsageError(f"{problem}: {error}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        # An address can hold a password: show its scheme only.
        shown = f"'{parts.scheme}:…'" if parts.scheme else "a path or a word"
        raise UsageError(f"{problem}, not {shown}; hotserve follows the registry over HTTP")
    return parts


def _headers(
    environment: Mapping[str, str], parts: urllib.parse.SplitResult, home: Path
) -> dict[str, str]:
    headers = {"Accept": "application/json", "User-Agent": "hotserve"}
    user, password = _credentials(environment, home)
    if parts.username and not (user and password):
        user = urllib.parse.unquote(parts.username)
        password = urllib.parse.unquote(parts.password or "")
    token = environment.get("MLFLOW_TRACKING_TOKEN")
    if user and password:
        pair = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
        headers["Authorization"] = f"Basic {pair}"
    elif token:
        headers["Authorization"] = f"Bearer {token}"
    if workspace := environment.get("MLFLOW_WORKSPACE", "").strip():
        headers["X-MLFLOW-WORKSPACE"] = workspace
    return headers


def _credentials(environment: Mapping[str, str], home: Path) -> tuple[str | None, str | None]:
    keys = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
    stored = configparser.ConfigParser(interpolation=None)
    try:
        stored.read(home / ".mlflow" / "credentials")
    except (OSError, configparser.Error, UnicodeDecodeError):
        stored.clear()
    section = stored["mlflow"] if stored.has_section("mlflow") else {}
    user, password = (environment.get(key) or section.get(key.lower()) for key in keys)
    return user, password


def _tls(environment: Mapping[str, str]) -> ssl.SSLContext | bool:
    insecure = environment.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1")
    authority = (
        environment.get("MLFLOW_TRACKING_SERVER_CERT_PATH")
        or environment.get("REQUESTS_CA_BUNDLE")
        or environment.get("CURL_CA_BUNDLE")
    )
    certificate = environment.get("MLFLOW_TRACKING_CLIENT_CERT_PATH")
    path = Path(authority) if authority else None
    variable = "MLFLOW_TRACKING_SERVER_CERT_PATH"
    try:
        context = ssl.create_default_context(
            cafile=str(path) if path and not path.is_dir() else None,
            capath=str(path) if path and path.is_dir() else None,
        )
        if certificate:
            variable = "MLFLOW_TRACKING_CLIENT_CERT_PATH"
            context.load_cert_chain(certificate)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or str(error)
        raise UsageError(f"{variable} can't be read: {reason}") from None
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
