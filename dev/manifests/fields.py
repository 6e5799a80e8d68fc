"""Texts made of the fields and the services' columns: the descriptions in the CRD, the tables of its page."""

from collections.abc import Iterable, Mapping

from controller.domain.fields import BLOCKS, ROWS, SPEC, concerns
from controller.domain.status_fields import STATUS
from controller.domain.support import Cell, Support
from controller.providers.services import COLUMNS
from dev.manifests import marks

BEGIN = "<!-- fields: made from controller/domain/fields.py and the services' columns by `make manifests` -->"
END = "<!-- end of fields -->"

SERVICES: Mapping[str, str] = {
    "gcp": "Google Cloud Batch",
    "aws": "AWS Batch",
    "azure": "Azure Batch",
    "kubernetes": "Kubernetes Jobs",
    "local": "local",
}
_BETWEEN = """
## What each service makes of a field

| cell | |
| --- | --- |
| honoured | the service does what the field says |
| per attempt | it holds for each attempt of each task |
| rounded | the service has other sizes or limits; the condition has both numbers where they differ |
| not honoured | it changes nothing, and the condition says so |
| refused | the job fails with InvalidSpec before anything is sent |
| by the operator | Jennah does it, alike on all services |

"""
UNKNOWN = "?"
"""A cell that a column does not have; a test tells which."""


def descriptions() -> dict[str, str]:
    """What the CRD says of each field, by paths such as ``spec.env.name``."""
    of_spec = {f"spec.{path}": " ".join([field.text, *sentences(path)]) for path, field in SPEC.items()}
    return of_spec | {f"status.{path}": field.text for path, field in STATUS.items()}


def sentences(path: str) -> list[str]:
    """One for each thing that a service makes of the field other than what it says, with all services that do."""
    told: dict[str, list[str]] = {}
    if path not in BLOCKS:  # the schema itself refuses another service's block
        for provider, column in COLUMNS.items():
            cell = column.get(path)
            if cell is not None and (words := _words(cell)):
                told.setdefault(words, []).append(SERVICES[provider])
    return [f"{', '.join(names)}: {words}." for words, names in told.items()]


def _words(cell: Cell) -> str:
    """As plain text: `kubectl explain` shows no Markdown. "" where there is nothing to add to the field's meaning."""
    how = cell.how.replace("`", "")
    if cell.support in (Support.NOT_HONOURED, Support.REFUSED):
        return f"{cell.support.value}{': ' + how if how else ''}"
    return how or ("" if cell.support in (Support.HONOURED, Support.BY_OPERATOR) else cell.support.value)


def with_tables(page: str) -> str:
    """The page with its tables of the fields. Raises ValueError where it has no place for them."""
    meanings = [(f"`{path}`", SPEC[path].told, SPEC[path].default) for path in ROWS]
    support = [(f"`{path}`", *(_cell(path, provider) for provider in COLUMNS)) for path in ROWS]
    services = (SERVICES[provider] for provider in COLUMNS)
    made = [_table(("field", "meaning", "default"), meanings), _BETWEEN, _table(("field", *services), support)]
    return marks.replaced(page, BEGIN, END, "".join(made))


def _cell(path: str, provider: str) -> str:
    if not concerns(path, provider):
        return ""
    cell = COLUMNS[provider].get(path)
    return cell.text if cell is not None else UNKNOWN


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)
