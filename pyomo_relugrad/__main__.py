"""``python -m pyomo_relugrad``: the command line where the script ``relugrad`` is not on the path."""

import sys

from pyomo_relugrad.cli import main

if __name__ == "__main__":
    sys.exit(main())
