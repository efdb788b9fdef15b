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
    "other-machine": tr(
        "this bundle was made on {0}, and this machine is {1}: make one on a machine like this"
    ),
    "no-python": tr(
        "{0}: none was found; install one, or name it: make run PYTHON=/path/to/python3.11"
    ),
    "no-package": tr("apt-get could not install {0}; install it and start again"),
    "no-venv": tr("this Python has no venv module; install it first: sudo apt-get install {0}"),
    "not-made": tr("could not make {0}"),
    "not-installed": tr("could not install {0}; see the lines above"),
}

if __name__ == "__main__":
    print(MESSAGES[sys.argv[1]].format(*sys.argv[2:]), flush=True)
