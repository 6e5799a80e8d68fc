"""Every write to an object, from what the client sent to what is stored."""

from collections.abc import Callable
from dataclasses import dataclass, field

from . import admission, apply, kind_rules, metadata, status
from .admission import WriteOptions
from .encoding import JsonObject
from .objects import Key, Stored, stored_from
from .policies import Policies
from .resources import Registry, Resource
from .status import ApiError
from .store import Store


@dataclass(frozen=True)
class Written:
    stored: Stored
    is_new: bool = False
    warnings: list[str] = field(default_factory=list)


class Writer:
    def __init__(self, store: Store, registry: Registry) -> None:
        self._store = store
        self._registry = registry
        self._policies = Policies(store)

    # --- create

    def create(
        self, resource: Resource, namespace: str, obj: JsonObject, options: WriteOptions, *, managed: bool = False
    ) -> Written:
        """Store a new object; `managed` keeps the managedFields that apply put into it."""
        self._check_namespace(resource, namespace, obj)
        admission.check_type(resource, obj)
        unknown = metadata.normalize(obj)
        if not managed:
            obj["metadata"].pop("managedFields", None)
        if resource.has_status:
            obj.pop("status", None)
        warnings = admission.shape(resource, obj, unknown, options)
        errors = metadata.prepare_create(resource, obj, namespace)
        if not errors:
            errors = kind_rules.prepare(resource, obj, None)
            kind_rules.complete(resource, obj)
        errors += admission.schema_errors(resource, obj, None)
        name = obj["metadata"].get("name", "")
        if errors:
            raise status.invalid(resource.kind, resource.group, name, errors)
        if self._store.get(resource.storage, (obj["metadata"].get("namespace", ""), name)):
            raise status.already_exists(resource.plural, resource.group, name)
        warnings += self._policies.check(resource, operation="CREATE", obj=obj, old=None, options=options)
        return Written(self._put(resource, obj, options), True, warnings)

    def _check_namespace(self, resource: Resource, namespace: str, obj: JsonObject) -> None:
        if resource.is_custom and self._is_crd_terminating(resource):
            raise status.method_not_allowed("create not allowed while custom resource definition is terminating")
        if not resource.is_namespaced:
            return
        found = self._store.get("namespaces", ("", namespace))
        if found is None:
            raise status.not_found("namespaces", "", namespace)
        if found.is_being_deleted:
            body = obj.get("metadata")
            name = body.get("name", "") if isinstance(body, dict) else ""
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            error = status.forbidden(resource.plural, resource.group, name, why)
            cause = {"reason": "NamespaceTerminating", "message": f"namespace {namespace} is being terminated"}
            error.details = {**(error.details or {}), "causes": [{**cause, "field": "metadata.namespace"}]}
            raise error

    def _is_crd_terminating(self, resource: Resource) -> bool:
        crd = self._store.get("customresourcedefinitions.apiextensions.k8s.io", ("", resource.storage))
        return crd is not None and crd.is_being_deleted

    # --- update

    def update(self, resource: Resource, key: Key, subresource: str, obj: JsonObject, options: WriteOptions) -> Written:
        """Replace an object (PUT)."""
        old = self._store.get(resource.storage, key)
        if old is None:
            if resource.is_created_by_update and not subresource:
                return self._create_by_update(resource, key, obj, options)
            raise status.not_found(resource.plural, resource.group, key[1])
        admission.check_type(resource, obj)
        unknown = metadata.normalize(obj)
        given = obj["metadata"]
        if given.get("resourceVersion", "") in ("", "0") and not resource.may_update_unconditionally:
            error = status.invalid_value("metadata.resourceVersion", 0, "must be specified for an update")
            raise status.invalid(resource.kind, resource.group, key[1], [error])
        if given.get("uid") not in (None, old.uid):
            raise _wrong_uid(resource, key, given["uid"], old.uid)
        return self._replace(resource, old, subresource, obj, unknown, options)

    def _create_by_update(self, resource: Resource, key: Key, obj: JsonObject, options: WriteOptions) -> Written:
        """A uid is a precondition, which nothing fulfils; a resourceVersion is none."""
        given = obj.get("metadata")
        if isinstance(given, dict):
            given.pop("resourceVersion", None)
            if given.get("uid"):
                raise _wrong_uid(resource, key, given["uid"], "")
        return self.create(resource, key[0], obj, options)

    def patch(
        self,
        resource: Resource,
        key: Key,
        subresource: str,
        change: Callable[[JsonObject], JsonObject],
        options: WriteOptions,
    ) -> Written:
        """Replace an object by what `change` makes of it."""
        old = self._store.get(resource.storage, key)
        if old is None:
            raise status.not_found(resource.plural, resource.group, key[1])
        obj = change(old.load())
        admission.check_type(resource, obj, old.api_version)
        return self._replace(resource, old, subresource, obj, metadata.normalize(obj), options)

    def apply(
        self, resource: Resource, key: Key, subresource: str, config: JsonObject, options: WriteOptions
    ) -> Written:
        """Server-side apply: create, or merge what the manager wants into what there is."""
        admission.check_type(resource, config)
        unknown = metadata.normalize(config)
        config["metadata"].setdefault("name", key[1])
        admission.check_name(config, key[1])
        warnings = admission.shape(resource, config, unknown, options, with_defaults=False)
        node = resource.validator.node if resource.validator else None
        old = self._store.get(resource.storage, key)
        if old is None:
            if subresource:
                raise status.not_found(resource.plural, resource.group, key[1])
            apply.own_everything(config, node, options.manager, resource.api_version)
            return self.create(resource, key[0], config, options, managed=True)
        request = apply.Request(options.manager, options.force, subresource, resource.api_version)
        try:
            merged = apply.merge(old.load(), config, node, request)
        except apply.FieldConflicts as e:
            error = ApiError(409, "Conflict", str(e), {"causes": e.causes()})
            raise error from e
        written = self._replace(resource, old, subresource, merged, [], options, managed=True)
        return Written(written.stored, False, warnings + written.warnings)

    def _replace(
        self,
        resource: Resource,
        old: Stored,
        subresource: str,
        obj: JsonObject,
        unknown: list[str],
        options: WriteOptions,
        *,
        managed: bool = False,
    ) -> Written:
        """Store `obj`, which metadata.normalize has seen, in the place of `old`."""
        before = old.load()
        admission.check_identity(resource, old, obj)
        warnings = admission.shape(resource, obj, unknown, options)
        if subresource == "status":
            errors = admission.check_uid(obj, old)
            obj = _with_status(before, obj)
            errors += kind_rules.check_status(resource, obj, before)
        elif subresource == "finalize":
            errors = admission.check_uid(obj, old)
            obj = {**before, "spec": {"finalizers": list((obj.get("spec") or {}).get("finalizers") or ())}}
        else:
            errors = metadata.prepare_update(obj["metadata"], before["metadata"])
            if resource.has_status:
                _copy_field(before, obj, "status")
            errors += kind_rules.prepare(resource, obj, before)
        if not managed:
            apply.keep_owners(before, obj)
        kind_rules.complete(resource, obj)
        if errors:
            raise status.invalid(resource.kind, resource.group, old.name, errors)
        errors = admission.schema_errors(resource, obj, before) if obj != before else []
        if errors:
            raise status.invalid(resource.kind, resource.group, old.name, errors)
        warnings += self._policies.check(
            resource, operation="UPDATE", subresource=subresource, obj=obj, old=before, options=options
        )
        if obj == before:
            return Written(old, False, warnings)
        if not subresource and resource.has_generation and _spec_differs(resource, obj, before):
            obj["metadata"]["generation"] = before["metadata"].get("generation", 0) + 1
        if old.is_being_deleted and not obj["metadata"].get("finalizers") and not _is_held_namespace(obj):
            return Written(self._finish_deletion(resource, old, obj, options), False, warnings)
        return Written(self._put(resource, obj, options), False, warnings)

    def _finish_deletion(self, resource: Resource, old: Stored, obj: JsonObject, options: WriteOptions) -> Stored:
        """The last finalizer is gone: the object goes too."""
        last = stored_from(obj, resource.fields_of(obj))
        if not options.dry_run:
            self._store.delete(resource.storage, old)
        return last

    def _put(self, resource: Resource, obj: JsonObject, options: WriteOptions) -> Stored:
        fields = resource.fields_of(obj)
        if options.dry_run:
            return stored_from(obj, fields)
        return self._store.put(resource.storage, obj, fields)


def _wrong_uid(resource: Resource, key: Key, wanted: str, actual: str) -> ApiError:
    why = f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {actual}"
    return status.conflict(resource.plural, resource.group, key[1], why)


def _with_status(before: JsonObject, obj: JsonObject) -> JsonObject:
    """What /status may change: status, and who manages its fields."""
    result = {**before, "apiVersion": obj["apiVersion"], "metadata": dict(before["metadata"])}
    _copy_field(obj, result, "status")
    _copy_field(obj["metadata"], result["metadata"], "managedFields")
    return result


def _copy_field(source: JsonObject, target: JsonObject, name: str) -> None:
    if name in source:
        target[name] = source[name]
    else:
        target.pop(name, None)


def _spec_differs(resource: Resource, obj: JsonObject, before: JsonObject) -> bool:
    apart = {"metadata", "apiVersion", "kind"} | ({"status"} if resource.has_status else set())
    return {name: value for name, value in obj.items() if name not in apart} != {
        name: value for name, value in before.items() if name not in apart
    }


def _is_held_namespace(obj: JsonObject) -> bool:
    # A namespace stays until it is empty; namespaces.py removes it.
    return obj["kind"] == "Namespace" and bool(obj.get("spec", {}).get("finalizers"))
