"""``python -m brainreel`` is ``brainreel``."""

import sys

from brainreel.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
