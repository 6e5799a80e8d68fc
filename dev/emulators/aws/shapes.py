"""Requests held against botocore's own model of the service: required members, types, and no unknown ones."""

import functools
from collections.abc import Mapping
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator


@functools.cache
def _model() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("batch", "service-2"), "batch")


@functools.cache
def operations() -> Mapping[str, str]:
    """Operations by path: {"/v1/submitjob": "SubmitJob", ...}."""
    model = _model()
    return {model.operation_model(name).http["requestUri"]: name for name in model.operation_names}


def fault(operation: str, parameters: Mapping[str, Any]) -> str | None:
    """Why the model does not know that request, or None."""
    shape = _model().operation_model(operation).input_shape
    report = ParamValidator().validate(parameters, shape)
    return str(report.generate_report()) if report.has_errors() else None
