"""`python -m local`: what `make run` calls."""

import signal
import sys

# Until `main` sets handlers, Ctrl-C is the end: no traceback of what is still imported.
signal.signal(signal.SIGINT, signal.SIG_DFL)

if __name__ == "__main__":
    from local.run import main

    sys.exit(main())
