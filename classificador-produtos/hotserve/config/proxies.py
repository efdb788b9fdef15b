"""A company's proxy, as HTTP_PROXY and its like name it."""

import urllib.parse
import urllib.request
from collections.abc import MutableMapping

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def bypass_on_loopback(environment: MutableMapping[str, str]) -> None:
    """Have nobody ask a proxy for what runs on this machine."""
    # Libraries differ in which of the two names they read. A star stands for every host already.
    known = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if known.strip() != "*":
        known = ",".join(filter(None, [known, *_LOOPBACK]))
    environment["no_proxy"] = environment["NO_PROXY"] = known


def proxy_for(url: str) -> str:
    """`host:port` of the proxy that is asked for `url`, without its password; empty if none is."""
    parts = urllib.parse.urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if not proxy or urllib.request.proxy_bypass(parts.hostname or ""):
        return ""
    return urllib.parse.urlsplit(proxy).netloc.rpartition("@")[2]
