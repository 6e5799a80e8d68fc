"""What a process has used (Linux)."""

import os
import resource
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """User and system time of that process so far, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mib(pid: int | None = None) -> float:
    """Its memory now; of this process where none is named."""
    pages = int(Path(f"/proc/{pid or 'self'}/statm").read_text().split()[1])
    return round(pages * resource.getpagesize() / 2**20, 1)
