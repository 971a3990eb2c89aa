"""`python -m localcloud.engine`: install missing tools, print each tool's place; exit code 1 on failure."""

from __future__ import annotations

import sys

from localcloud.core.errors import LocalcloudError
from localcloud.core.settings import load_settings
from localcloud.engine.ready import make_ready


def main() -> int:
    try:
        make_ready(load_settings())
    except LocalcloudError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Stopped. Finished tools stay; run it again to go on.\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
