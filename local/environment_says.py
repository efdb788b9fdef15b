"""What environment.sh says: `python3 -m local.environment_says MESSAGE [VALUE …]`.

It runs before there is an environment, with whatever Python the machine has.
"""

import sys

from local.language import tr

MESSAGES = {
    "making": tr("making the environment in {0} with {1}"),
    "package": tr("installing {0}"),
    "uv": tr("first its installer, uv"),
    "installing": tr(
        "installing {0} pinned packages ({1}); that takes from some seconds to minutes"
    ),
    "fetched": tr("  {0} of {1} packages fetched, {2} s"),
    "working": tr("  at work, {0} s"),
    "installed": tr("{0} packages installed in {1} s"),
    "waiting": tr("waiting for another make, which may be making the environment in {0}"),
}

if __name__ == "__main__":
    print(MESSAGES[sys.argv[1]].format(*sys.argv[2:]), flush=True)
