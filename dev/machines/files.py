"""The table files: what each of them should hold, one type a line."""

import json
from collections.abc import Mapping
from pathlib import Path

from dev.machines import aws, azure, gcp
from dev.machines.series import Row, table

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "controller" / "domain" / "machine_types"


def stale(*, writes: bool) -> list[Path]:
    """Those that are not current, relative to the repository; `writes`: they are after the call."""
    found = []
    for path, text in _files().items():
        if not path.exists() or path.read_text() != text:
            if writes:
                path.write_text(text)
            found.append(path.relative_to(ROOT))
    return found


def _files() -> dict[Path, str]:
    return {
        FOLDER / "aws.json": _text(aws.source(), aws.DATE, aws.types()),
        FOLDER / "azure.json": _text(azure.SOURCE, azure.DATE, table(azure.SERIES)),
        FOLDER / "gcp.json": _text(gcp.SOURCE, gcp.DATE, table(gcp.SERIES)),
    }


def _text(source: str, date: str, types: Mapping[str, Row]) -> str:
    head = f'{{"source": {json.dumps(source)}, "date": {json.dumps(date)}, "types": {{\n'
    rows = (f"{json.dumps(name)}: {json.dumps(row)}" for name, row in sorted(types.items()))
    return head + ",\n".join(rows) + "\n}}\n"
