"""`python -m hotserve …` is `hotserve …`."""

import sys

from hotserve.cli import main

if __name__ == "__main__":
    sys.exit(main())
