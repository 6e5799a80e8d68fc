"""The descriptions of fields reach the CRD and the page, and the hand-written rest of both stays as it is."""

import pytest
import yaml

from controller.domain import fields as declared
from controller.domain.support import Column, by_operator, honoured, not_honoured, per_attempt, refused, rounded
from dev.manifests import descriptions, fields, files

HEAD = """\
spec:
  versions:
    - schema:
        openAPIV3Schema:
          properties:
"""
PROPERTIES = """\
            spec:
              properties:
                image:  # a comment
                  description: >-
                    What was said
                    before.
                  type: string
                args:
                  type: array
                  # another
                  items: {type: string}
                env:
                  type: array
                  items:
                    properties:
                      name: {type: string, description: "Old: one.", pattern: "^[a, }]+$"}
                      value: {type: string}
            status:
              properties:
                phase: {type: string}
"""
TOLD = {
    "spec.image": "An image.",
    "spec.args": "With: a colon.",
    "spec.env": "Word " * 40 + "end.",
    "spec.env.name": "In braces, with a comma.",
    "spec.env.value": "Word " * 40 + "end.",
    "spec.env.none": "",
    "status.phase": "Plain.",
}
DESCRIBED = """\
            spec:
              properties:
                image:  # a comment
                  description: An image.
                  type: string
                args:
                  description: "With: a colon."
                  type: array
                  # another
                  items: {type: string}
"""


def test_descriptions_are_put_in_and_replaced_and_the_rest_stays() -> None:
    told = {path: text for path, text in TOLD.items() if path != "spec.env.none"}
    found = descriptions.described(HEAD + PROPERTIES, told)
    assert found.startswith(HEAD + DESCRIBED)
    assert "phase: {type: string, description: Plain.}" in found
    assert 'name: {type: string, pattern: "^[a, }]+$", description: "In braces, with a comma."}' in found
    assert max(map(len, found.splitlines())) <= descriptions.WIDTH
    read = yaml.safe_load(found)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    env = read["spec"]["properties"]["env"]
    assert env["description"] == TOLD["spec.env"]
    assert env["items"]["properties"]["value"] == {"type": "string", "description": TOLD["spec.env.value"]}
    assert descriptions.described(found, told) == found, "nothing is left to do"


def test_a_field_without_a_description_or_a_description_without_a_field_is_told() -> None:
    with pytest.raises(ValueError, match=r"not in both: spec\.env\.none"):
        descriptions.described(HEAD + PROPERTIES, TOLD)


def test_fields_of_a_field_in_braces_are_refused() -> None:
    flow = "            spec:\n              properties:\n                a: {properties: {b: {type: string}}}\n"
    with pytest.raises(ValueError, match="in lines, not in braces"):
        descriptions.described(HEAD + flow, {"spec.a": "A.", "spec.a.b": "B."})


def test_each_field_of_the_crd_says_what_it_means() -> None:
    schema = yaml.safe_load(files.CRD.read_text())["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    for path, text in fields.descriptions().items():
        node = {"properties": schema}
        for name in path.split("."):
            node = node.get("items", node)["properties"][name]
        assert node["description"] == text
        assert text.endswith("."), path


def test_what_services_do_otherwise_is_said_once_for_all_that_do(monkeypatch: pytest.MonkeyPatch) -> None:
    field = "activeDeadlineSeconds"
    columns: dict[str, Column] = {
        "gcp": {field: honoured(), "spot": not_honoured("spot"), "gcp.network": honoured("by its full name")},
        "aws": {
            field: rounded(field, "at least 60 s"),
            "spot": honoured("by the queue"),
            "suspend": by_operator(),
            "pendingDeadlineSeconds": by_operator("at most `2 days`"),
        },
        "azure": {field: per_attempt(), "spot": refused("the pool decides")},
        "kubernetes": {field: per_attempt(), "gcp": refused("not Google's")},
        "local": {},
    }
    monkeypatch.setattr(fields, "COLUMNS", columns)
    assert fields.sentences(field) == ["AWS Batch: at least 60 s.", "Azure Batch, Kubernetes Jobs: per attempt."]
    assert fields.sentences("spot") == [
        "Google Cloud Batch: not honoured.",
        "AWS Batch: by the queue.",
        "Azure Batch: refused: the pool decides.",
    ]
    assert fields.sentences("pendingDeadlineSeconds") == ["AWS Batch: at most 2 days."]
    assert fields.sentences("suspend") == fields.sentences("gcp") == []
    page = fields.with_tables(f"before\n{fields.BEGIN}\nof yesterday\n{fields.END}\nafter\n")
    assert page.startswith(f"before\n{fields.BEGIN}\n| field |")
    assert page.endswith(f"{fields.END}\nafter\n")
    assert "of yesterday" not in page
    rounded_cell = "rounded: at least 60 s (condition `DeadlineExact`)"
    assert f"| `{field}` | honoured | {rounded_cell} | per attempt | per attempt | ? |" in page
    assert "| `gcp.network` | honoured: by its full name |  |  |  |  |" in page
    with pytest.raises(ValueError, match="the text has no"):
        fields.with_tables("no place")


def test_rows_are_fields_that_a_job_is_given_by() -> None:
    assert {"image", "resources.gpu.type", "env.valueFrom.cloudSecretRef", "aws.jobQueue"} <= set(declared.ROWS)
    assert not {"resources", "resources.gpu.count", "env.name", "kubernetes.tolerations.key"} & set(declared.ROWS)
    assert declared.concerns("aws.jobQueue", "aws")
    assert not declared.concerns("aws.jobQueue", "gcp")
    assert declared.concerns("aws", "gcp")
