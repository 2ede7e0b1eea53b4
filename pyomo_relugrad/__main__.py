"""``python -m pyomo_relugrad``: versions for a report of a bug, and with arguments the command line ``relugrad``."""

import sys

from pyomo_relugrad.cli import main
from pyomo_relugrad.cli.versions import version_report

if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit(main())
    print(version_report())
