"""Reading environment variables with all their faults. What they mean is in `settings` and `cloud_settings`."""

import difflib
import os
from collections.abc import Collection, Iterable, Mapping

from controller.domain.errors import ConfigError

_ALIKE = 0.88
"""How much of a name must agree (difflib) for it to be taken for a misspelt one: a letter or two, or a swap."""


def misspelt(names: Iterable[str], known: Collection[str]) -> list[str]:
    """A sentence for each variable that is not one of ours and is nearly called as one."""
    told = []
    for name in sorted(set(names) - set(known)):
        meant = difflib.get_close_matches(name.upper(), known, n=1, cutoff=_ALIKE)
        if meant:
            told.append(f"{name} is no setting and changes nothing: is {meant[0]} meant?")
    return told


class Environment:
    """Reads variables and gathers faults, so that the user sees all of them at once."""

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        self._variables = os.environ if variables is None else variables
        self.faults: list[str] = []

    def text(self, name: str, default: str | None = None) -> str:
        """The variable's value; a missing one without a default is a fault."""
        value = self._variables.get(name, "").strip()
        if value:
            return value
        if default is None:
            self.faults.append(f"{name} is not set")
            return ""
        return default

    def choice(self, name: str, among: tuple[str, ...], default: str | None = None) -> str:
        value = self.text(name, default)
        if value and value not in among:
            self.faults.append(f"{name}={value!r} is not one of {', '.join(among)}")
        return value

    def number(self, name: str, default: float, *, least: float, most: float) -> float:
        value = self.text(name, str(default))
        try:
            number = float(value)
        except ValueError:
            self.faults.append(f"{name}={value!r} is not a number")
            return default
        if not least <= number <= most:
            self.faults.append(f"{name}={value} is not between {least:g} and {most:g}")
        return number

    def integer(self, name: str, default: int, *, least: int, most: int) -> int:
        value = self.text(name, str(default))
        if not value.removeprefix("-").isdecimal():
            self.faults.append(f"{name}={value!r} is not a whole number")
            return default
        if not least <= int(value) <= most:
            self.faults.append(f"{name}={value} is not between {least} and {most}")
        return int(value)

    def pairs(self, name: str) -> dict[str, str]:
        """A map written as ``key=value,key=value``; empty where it is not set."""
        found: dict[str, str] = {}
        for part in filter(None, (part.strip() for part in self.text(name, "").split(","))):
            key, sign, value = (piece.strip() for piece in part.partition("="))
            if not (key and sign and value):
                self.faults.append(f"{name}: {part!r} is not of the form key=value")
            elif key in found:
                self.faults.append(f"{name} has {key!r} twice")
            else:
                found[key] = value
        return found

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.text(name, "true" if default else "false").lower()
        if value not in ("true", "false", "1", "0"):
            self.faults.append(f"{name}={value!r} is neither true nor false")
        return value in ("true", "1")

    def check(self, name: str, fault: str | None) -> None:
        """Note a fault of that variable, if there is one."""
        if fault:
            self.faults.append(f"{name} {fault}")

    def done(self) -> None:
        """Raises ConfigError where there was any fault."""
        if self.faults:
            raise ConfigError(self.faults)
