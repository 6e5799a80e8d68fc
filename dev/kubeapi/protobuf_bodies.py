"""The few Protobuf bodies that are read: what `kubectl create` and `kubectl auth can-i` send for simple kinds.

kubectl sends JSON for nearly everything, but its typed commands insist on Protobuf. Field numbers are from
the generated.proto files of k8s.io/api and k8s.io/apimachinery; kinds that are not here get a 415.
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.message import DecodeError, Message

from .encoding import JsonObject, MalformedBody

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
_MAGIC = b"k8s\0"
_PACKAGE = "kubeapi"

# Message to {field: (number, type)}; a type is string, bytes, bool, int32, a message, `strings` or `Message[]`
# (repeated), or a map from string to `string*` or `bytes*`.
_MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "TypeMeta": {"apiVersion": (1, "string"), "kind": (2, "string")},
    "Unknown": {"typeMeta": (1, "TypeMeta"), "raw": (2, "bytes")},
    "ObjectMeta": {
        "name": (1, "string"),
        "generateName": (2, "string"),
        "namespace": (3, "string"),
        "uid": (5, "string"),
        "resourceVersion": (6, "string"),
        "labels": (11, "string*"),
        "annotations": (12, "string*"),
        "finalizers": (14, "strings"),
    },
    "Namespace": {"metadata": (1, "ObjectMeta")},
    "ServiceAccount": {"metadata": (1, "ObjectMeta")},
    "ConfigMap": {
        "metadata": (1, "ObjectMeta"),
        "data": (2, "string*"),
        "binaryData": (3, "bytes*"),
        "immutable": (4, "bool"),
    },
    "Secret": {
        "metadata": (1, "ObjectMeta"),
        "data": (2, "bytes*"),
        "type": (3, "string"),
        "stringData": (4, "string*"),
        "immutable": (5, "bool"),
    },
    "ResourceAttributes": {
        "namespace": (1, "string"),
        "verb": (2, "string"),
        "group": (3, "string"),
        "version": (4, "string"),
        "resource": (5, "string"),
        "subresource": (6, "string"),
        "name": (7, "string"),
    },
    "NonResourceAttributes": {"path": (1, "string"), "verb": (2, "string")},
    "AccessReviewSpec": {
        "resourceAttributes": (1, "ResourceAttributes"),
        "nonResourceAttributes": (2, "NonResourceAttributes"),
    },
    "SelfSubjectAccessReview": {"metadata": (1, "ObjectMeta"), "spec": (2, "AccessReviewSpec")},
    "RulesReviewSpec": {"namespace": (1, "string")},
    "SelfSubjectRulesReview": {"metadata": (1, "ObjectMeta"), "spec": (2, "RulesReviewSpec")},
    "SelfSubjectReview": {"metadata": (1, "ObjectMeta")},
    "TokenRequestSpec": {"audiences": (1, "strings"), "expirationSeconds": (4, "int32")},
    "TokenRequest": {"metadata": (1, "ObjectMeta"), "spec": (2, "TokenRequestSpec")},
    "Preconditions": {"uid": (1, "string"), "resourceVersion": (2, "string")},
    "DeleteOptions": {
        "gracePeriodSeconds": (1, "int32"),
        "preconditions": (2, "Preconditions"),
        "orphanDependents": (3, "bool"),
        "propagationPolicy": (4, "string"),
        "dryRun": (5, "strings"),
    },
    "PolicyRule": {
        "verbs": (1, "strings"),
        "apiGroups": (2, "strings"),
        "resources": (3, "strings"),
        "resourceNames": (4, "strings"),
        "nonResourceURLs": (5, "strings"),
    },
    "Subject": {
        "kind": (1, "string"),
        "apiGroup": (2, "string"),
        "name": (3, "string"),
        "namespace": (4, "string"),
    },
    "RoleRef": {"apiGroup": (1, "string"), "kind": (2, "string"), "name": (3, "string")},
    "Role": {"metadata": (1, "ObjectMeta"), "rules": (2, "PolicyRule[]")},
    "RoleBinding": {"metadata": (1, "ObjectMeta"), "subjects": (2, "Subject[]"), "roleRef": (3, "RoleRef")},
    "ClusterRole": {"metadata": (1, "ObjectMeta"), "rules": (2, "PolicyRule[]")},
    "ClusterRoleBinding": {"metadata": (1, "ObjectMeta"), "subjects": (2, "Subject[]"), "roleRef": (3, "RoleRef")},
}
_KINDS = {name for name, fields in _MESSAGES.items() if "metadata" in fields} | {"DeleteOptions"}
_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {"string": _Field.TYPE_STRING, "bytes": _Field.TYPE_BYTES, "bool": _Field.TYPE_BOOL}
_SCALARS["int32"] = _Field.TYPE_INT32


def is_readable(kind: str) -> bool:
    return kind in _KINDS


def decode(body: bytes) -> JsonObject:
    """The object in a body, as its JSON would be."""
    if not body.startswith(_MAGIC):
        raise MalformedBody("the body does not begin as a Kubernetes Protobuf object does")
    try:
        envelope: Any = _parse("Unknown", body.removeprefix(_MAGIC))
        if not is_readable(envelope.typeMeta.kind):
            raise MalformedBody(f"no Protobuf definition of {envelope.typeMeta.kind}: send JSON or YAML")
        message = _parse(envelope.typeMeta.kind, envelope.raw)
    except DecodeError as e:
        raise MalformedBody(f"error decoding Protobuf: {e}") from e
    fields = json_format.MessageToDict(message, preserving_proto_field_name=True)
    if "metadata" in fields:
        fields["metadata"] = _without_empty(fields["metadata"])
    type_fields = {"apiVersion": envelope.typeMeta.apiVersion, "kind": envelope.typeMeta.kind}
    return {**_without_empty(fields), **type_fields}


def _without_empty(fields: JsonObject) -> JsonObject:
    # Go writes every string field, also those that are not set.
    return {name: value for name, value in fields.items() if value not in ("", {}, [])}


def _parse(message_name: str, data: bytes) -> Message:
    message = _classes[f"{_PACKAGE}.{message_name}"]()
    message.ParseFromString(data)
    return message


def _descriptor() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="kubeapi.proto", package=_PACKAGE, syntax="proto2")
    for message_name, fields in _MESSAGES.items():
        message = file.message_type.add(name=message_name)
        for name, (number, kind) in fields.items():
            _add_field(message, name, number, kind)
    return file


def _add_field(message: descriptor_pb2.DescriptorProto, name: str, number: int, kind: str) -> None:
    is_repeated = kind == "strings" or kind.endswith(("*", "[]"))
    kind = kind.removesuffix("[]")
    label = _Field.LABEL_REPEATED if is_repeated else _Field.LABEL_OPTIONAL
    field = message.field.add(name=name, number=number, label=label)
    if kind.endswith("*"):
        # A map is a repeated message of key and value.
        entry = message.nested_type.add(name=f"{name[0].upper()}{name[1:]}Entry")
        entry.options.map_entry = True
        _add_field(entry, "key", 1, "string")
        _add_field(entry, "value", 2, kind.removesuffix("*"))
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{message.name}.{entry.name}"
    elif kind in _MESSAGES:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    else:
        field.type = _SCALARS[kind.removesuffix("s") if kind == "strings" else kind]


_classes = message_factory.GetMessages([_descriptor()], pool=descriptor_pool.DescriptorPool())
