"""What service accounts may do, and what they did: (account, group, resource, verb), a subresource with a slash."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from controller.kube.client import Object


class Right(NamedTuple):
    account: str
    group: str
    resource: str
    verb: str


class Call(NamedTuple):
    """A request as the audit log has it."""

    right: Right
    namespace: str
    code: int


def granted(objects: Iterable[Object]) -> set[Right]:
    """By those roles and bindings."""
    objects = list(objects)
    roles = {
        (one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]): one
        for one in objects
        if "rules" in one
    }
    return {
        Right(subject["name"], group, resource, verb)
        for binding in objects
        if binding["kind"].endswith("RoleBinding")
        for rule in roles[binding["roleRef"]["kind"], binding["metadata"].get("namespace"), binding["roleRef"]["name"]][
            "rules"
        ]
        for subject in binding["subjects"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def calls(audit_log: Path, namespace: str) -> list[Call]:
    """Those of the service accounts of that namespace, of resources."""
    found = []
    for line in audit_log.read_text().splitlines():
        asked = json.loads(line)
        user, _, account = asked["user"].rpartition(":")
        if user == f"system:serviceaccount:{namespace}" and asked["resource"]:
            resource = "/".join(filter(None, (asked["resource"], asked["subresource"])))
            right = Right(account, asked["group"], resource, asked["verb"])
            found.append(Call(right, asked["namespace"], asked["code"]))
    return found
