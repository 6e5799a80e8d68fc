"""Makes this checkout importable in the .venv that runs this file, and makes its command ``jennah``: `make install`.

It is what an editable install does, without building a package. The path file holds a relative path: Python decodes
that file with the encoding of the locale, which may have no letters beyond ASCII, and the checkout's own path may.
"""

import os
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).absolute().parent.parent
# A file of the shell, as the path of an interpreter with a space in it cannot stand after "#!". -P: the folder in which
# the command is given is no place to import from.
COMMAND = """\
#!/bin/sh
exec "$(dirname "$(readlink -f "$0")")/python" -P -m api.cli "$@"
"""


def main() -> int:
    site = Path(sysconfig.get_path("purelib"))
    (site / "_jennah_controller.pth").write_text(os.path.relpath(ROOT, site) + "\n", encoding="ascii")
    command = Path(sysconfig.get_path("scripts"), "jennah")
    command.write_text(COMMAND, encoding="ascii")
    command.chmod(0o755)
    return 0


if __name__ == "__main__":
    sys.exit(main())
