"""`python -m local`: what `make run` calls."""

import signal
import sys

# Until it is told what to do instead, Ctrl-C is the end: no traceback of what is still imported.
signal.signal(signal.SIGINT, signal.SIG_DFL)


def _main() -> int:
    from local.run import main

    return main()


if __name__ == "__main__":
    sys.exit(_main())
