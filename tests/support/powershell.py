"""PowerShell as far as the pages use it, told to a shell of Linux that is to do the same."""

import re
from collections.abc import Callable

_SAME: list[tuple[str, str | Callable[[re.Match[str]], str]]] = [
    (r"^\$env:(\w+) = ", r"export \1="),
    (r"^\$(\w+) = \$(\w+) \+ ", r"\1=$\2"),
    (r"^\$(\w+) = ", r"\1="),
    (r"^function (\w+) \{ (.*) @args \}$", r'\1() { \2 "$@"; }'),
    (
        r"^foreach \(\$(\w+) in (.*)\) \{$",
        lambda found: f"for {found[1]} in {found[2].replace(',', '')}; do",
    ),
    (r"^\}$", "done"),
    (r"^curl\.exe ", "curl "),
    (r"^Get-Content -Encoding utf8 ", "cat "),
    (
        r"^Invoke-RestMethod (\S+) -Method Post -ContentType ('[^']*') -Body ",
        r"curl \1 -H Content-Type:\2 --data-binary ",
    ),
]


def in_bash(block: str) -> str:
    """The block's lines as a shell of Linux takes them."""
    for pattern, same in _SAME:
        block = re.sub(pattern, same, block, flags=re.MULTILINE)
    return block
