"""CustomResourceDefinitions: check one, fill in what the real server fills in, and serve its kinds."""

from . import columns, names, status, structural
from .encoding import JsonObject
from .metadata import now
from .resources import Resource
from .status import FieldError
from .validation import Validator

STORAGE = "customresourcedefinitions.apiextensions.k8s.io"
CLEANUP_FINALIZER = "customresourcecleanup.apiextensions.k8s.io"


def fill_defaults(crd: JsonObject) -> None:
    """Fill in names, conversion and, of a new one, the status that it has until `establish`, in place."""
    spec = crd.setdefault("spec", {})
    accepted = spec.setdefault("names", {})
    kind = accepted.get("kind", "")
    accepted.setdefault("singular", kind.lower())
    accepted.setdefault("listKind", f"{kind}List")
    spec.setdefault("conversion", {"strategy": "None"})
    stored = [version["name"] for version in spec.get("versions") or () if version.get("storage")]
    unknown = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored}
    crd.setdefault("status", unknown)


def check(crd: JsonObject) -> list[FieldError]:
    spec = crd["spec"]
    errors = []
    for field in ("group", "scope", "versions"):
        if not spec.get(field):
            errors.append(status.required(f"spec.{field}"))
    for field in ("plural", "kind"):
        if not spec["names"].get(field):
            errors.append(status.required(f"spec.names.{field}"))
    if errors:
        return errors
    expected = f"{spec['names']['plural']}.{spec['group']}"
    if crd["metadata"]["name"] != expected:
        detail = f'must be spec.names.plural+"."+spec.group, that is {expected}'
        errors.append(status.invalid_value("metadata.name", crd["metadata"]["name"], detail))
    if spec["scope"] not in ("Namespaced", "Cluster"):
        errors.append(status.not_supported("spec.scope", spec["scope"], ("Cluster", "Namespaced")))
    errors += names.check_subdomain("spec.group", spec["group"])
    if sum(bool(version.get("storage")) for version in spec["versions"]) != 1:
        detail = "must have exactly one version marked as storage version"
        errors.append(status.invalid_value("spec.versions", spec["versions"], detail))
    return errors or _check_schemas(crd)


def _check_schemas(crd: JsonObject) -> list[FieldError]:
    errors = []
    for index, version in enumerate(crd["spec"]["versions"]):
        path = f"spec.versions[{index}]"
        schema = version.get("schema", {}).get("openAPIV3Schema")
        if not isinstance(schema, dict):
            errors.append(status.required(f"{path}.schema.openAPIV3Schema", "schemas are required"))
            continue
        if schema.get("type") != "object":
            field = f"{path}.schema.openAPIV3Schema.type"
            errors.append(status.invalid_value(field, schema.get("type", ""), 'must be "object" at the root'))
        wrong = structural.check(schema, f"{path}.schema.openAPIV3Schema")
        if wrong:
            errors += wrong
            continue
        try:
            Validator(schema)
        except ValueError as e:
            errors.append(status.invalid_value(f"{path}.schema.openAPIV3Schema", schema, str(e)))
        errors += structural.check_selectable(version.get("selectableFields", []), schema, f"{path}.selectableFields")
        for number, column in enumerate(version.get("additionalPrinterColumns", [])):
            field = f"{path}.additionalPrinterColumns[{number}]"
            missing = [key for key in ("name", "type", "jsonPath") if not column.get(key)]
            errors += [status.required(f"{field}.{key}") for key in missing]
            if column.get("type", "string") not in columns.TYPES:
                errors.append(status.not_supported(f"{field}.type", column["type"], columns.TYPES))
    return errors


def establish(crd: JsonObject) -> None:
    """Set the status, in place, as the controllers of CRDs do: every name is accepted."""
    earlier = {condition["type"]: condition for condition in crd["status"]["conditions"] or ()}
    conditions = [
        earlier.get(kind)
        or {"type": kind, "status": "True", "lastTransitionTime": now(), "reason": reason, "message": message}
        for kind, reason, message in (
            ("NamesAccepted", "NoConflicts", "no conflicts found"),
            ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        )
    ]
    stored = next(v["name"] for v in crd["spec"]["versions"] if v.get("storage"))
    before = crd["status"]["storedVersions"]
    crd["status"] = {
        "conditions": conditions,
        "acceptedNames": crd["spec"]["names"],
        "storedVersions": [*before, *([] if stored in before else [stored])],
    }


def resources_of(crd: JsonObject) -> list[Resource]:
    """The served versions of a CRD, the storage version first."""
    spec = crd["spec"]
    served = [version for version in spec["versions"] if version.get("served")]
    served.sort(key=lambda version: not version.get("storage"))
    return [_resource(spec, version) for version in served]


def _resource(spec: JsonObject, version: JsonObject) -> Resource:
    accepted = spec["names"]
    schema = version["schema"]["openAPIV3Schema"]
    printed = [columns.printer_column(column) for column in version.get("additionalPrinterColumns", [])]
    paths = [field["jsonPath"] for field in version.get("selectableFields", [])]
    return Resource(
        group=spec["group"],
        version=version["name"],
        plural=accepted["plural"],
        kind=accepted["kind"],
        singular=accepted["singular"],
        is_namespaced=spec["scope"] == "Namespaced",
        short_names=tuple(accepted.get("shortNames", ())),
        categories=tuple(accepted.get("categories", ())),
        has_status="status" in version.get("subresources", {}),
        has_generation=True,
        may_update_unconditionally=False,
        is_custom=True,
        selectable={path.removeprefix("."): path for path in paths},
        columns=tuple(printed) or columns.DEFAULT,
        validator=Validator(schema),
        openapi=schema,
    )
