"""The Dockerfile as far as tests need it: its stages and their instructions."""

import re
from typing import NamedTuple


class Instruction(NamedTuple):
    keyword: str
    text: str


def stages(text: str) -> list[list[Instruction]]:
    """The instructions of each stage, each beginning with its FROM. What stands before the first is left out."""
    found: list[list[Instruction]] = []
    for line in _logical_lines(text):
        keyword, _, rest = line.partition(" ")
        if keyword == "FROM":
            found.append([])
        if found:
            found[-1].append(Instruction(keyword, rest.strip()))
    return found


def _logical_lines(text: str) -> list[str]:
    without_comments = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n", "", without_comments)
    return [line.strip() for line in joined.splitlines() if line.strip()]
