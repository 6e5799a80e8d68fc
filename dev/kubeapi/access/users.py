"""Who a request comes from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..encoding import JsonObject

MASTERS, AUTHENTICATED, UNAUTHENTICATED = "system:masters", "system:authenticated", "system:unauthenticated"
_ACCOUNTS = "system:serviceaccounts"
_ACCOUNT_PREFIX = "system:serviceaccount:"


@dataclass(frozen=True, kw_only=True)
class User:
    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, list[str]] = field(default_factory=dict)

    def info(self) -> JsonObject:
        """The UserInfo of reviews and of admission."""
        info: JsonObject = {"username": self.name, "uid": self.uid, "groups": list(self.groups)}
        info["extra"] = {key: list(values) for key, values in self.extra.items()}
        return {key: value for key, value in info.items() if value}


ADMIN = User(name="system:admin", groups=(MASTERS, AUTHENTICATED))
ANONYMOUS = User(name="system:anonymous", groups=(UNAUTHENTICATED,))


def service_account(namespace: str, name: str, *, uid: str = "", token_id: str = "") -> User:
    extra = {"authentication.kubernetes.io/credential-id": [f"JTI={token_id}"]} if token_id else {}
    groups = (*account_groups(namespace), AUTHENTICATED)
    return User(name=f"{_ACCOUNT_PREFIX}{namespace}:{name}", groups=groups, uid=uid, extra=extra)


def account_groups(namespace: str) -> tuple[str, str]:
    return _ACCOUNTS, f"{_ACCOUNTS}:{namespace}"


def account_of(username: str) -> tuple[str, str] | None:
    """(namespace, name) where the user is a service account."""
    parts = username.removeprefix(_ACCOUNT_PREFIX).split(":")
    return (parts[0], parts[1]) if username.startswith(_ACCOUNT_PREFIX) and len(parts) == 2 and all(parts) else None
