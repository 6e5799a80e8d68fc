"""What each adapter makes of the real specs, in files that a person reviews. ``make golden`` writes them."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import yaml

from controller.domain.errors import Invalid, Permanent
from controller.domain.job import Job, parse
from tests.controller.providers.mapped import PROVIDERS, mapped

_NUMBERS = re.compile(r"\[\s+(?:\d+,\s+)*\d+\s+\]")
"""Lists of numbers, such as exit codes, are one line each."""

HERE = Path(__file__).parent
SPECS = sorted((HERE / "real_specs").glob("*.yaml"))


def path(provider: str, spec: Path) -> Path:
    return HERE / "golden" / provider / f"{spec.stem}.json"


def job(spec: Path) -> Job:
    """The job of such a file, with the defaults of the CRD."""
    return parse(yaml.safe_load(spec.read_text()))


def text(provider: str, spec: Path) -> str:
    """What is sent and remarked, or with which words it is refused."""
    lines = json.dumps(_made(provider, job(spec)), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    return _NUMBERS.sub(lambda numbers: " ".join(numbers[0].split()), lines)


def _made(provider: str, wanted: Job) -> dict[str, Any]:
    env = {variable.name: variable.value for variable in wanted.spec.env or () if variable.value is not None}
    try:
        found = mapped(provider, wanted.spec, env)
    except (Invalid, Permanent) as error:
        return {"refused": str(error)}
    return {"sent": found.sent, "remarks": msgspec.to_builtins(found.remarks)}


def write() -> None:
    """Write all of them."""
    for provider in PROVIDERS:
        for spec in SPECS:
            target = path(provider, spec)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text(provider, spec))


if __name__ == "__main__":
    write()
