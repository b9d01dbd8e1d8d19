"""The meta information of a submitted system: a YAML template, filled from the submission, and checked against it.

The field list of this task's form, of 2025 and of 2026, was not public when this was written: the pages
dcase.community/challenge2025/submission and …/challenge2026/submission say that there is a predefined form, and name
the label, authors, and the description of the system; the shipped template has the shape that DCASE challenges have
long used (`submission`, `system`, `results`), and a user's own template takes its place. A
template is its own rule: every key of it must be there, and what holds a TODO in it must be filled in.
"""

import json
import re
from collections.abc import Mapping
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from s5eval.data_manifests.common.errors import UsageError
from s5eval.data_manifests.common.findings import Finding
from s5eval.data_manifests.common.yaml_text import load_yaml
from s5eval.submissions.rules import SubmissionName, finding

TODO = "TODO"
MAX_ABBREVIATION = 10
MEASURED = (
    "trainable_parameters",
    "macs",
    "inference_seconds",
    "inference_hardware",
    "inference_method",
    "training_hours",
    "training_hardware",
    "training_kwh",
    "training_method",
    "evaluation_kwh",
    "evaluation_mixtures",
    "evaluation_method",
)
"""Placeholders for what is measured or counted; null, where nobody did."""

PLACEHOLDERS = (
    "label",
    "author",
    "affiliation",
    "nparams",
    "capi_sdri",
    "mixture_accuracy",
    "source_accuracy",
    "external_resources",
    "acoustic_features",
    "training_data",
    "data_augmentation",
    "machine_learning_method",
    "loss_function",
    "decision_making",
    "post_processing",
    *MEASURED,
)
"""What a template may hold as `{{name}}`: facts that are read from the submission, and from the facts beside it."""

_PLACEHOLDER = re.compile(r"\{\{\s*([a-z_]+)\s*\}\}")
_LIMIT = 1 << 20  # bytes


def meta_file(name: SubmissionName) -> str:
    """Name of a system's meta file."""
    return f"{name.label}.meta.yaml"


def load_template(path: Path | None) -> str:
    """A template's text; None: the shipped one.

    Raises:
        UsageError: it cannot be read, is no YAML mapping, or holds an unknown placeholder.
    """
    if path is None:
        return (files("s5eval.submissions") / "meta_template.yaml").read_text(encoding="utf-8")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"`template` {path}: cannot be read: {error}") from error
    for name in _PLACEHOLDER.findall(text):
        if name not in PLACEHOLDERS:
            raise UsageError(f"`template` {path}: unknown placeholder {{{{{name}}}}}; known: {', '.join(PLACEHOLDERS)}")
    try:
        parsed = load_yaml(fill_template(text, {}))
    except ValueError as error:
        raise UsageError(f"`template` {path}: not YAML: {_one_line(error)}") from error
    if not isinstance(parsed, dict):
        raise UsageError(f"`template` {path}: expected a YAML mapping")
    return text


def fill_template(text: str, facts: Mapping[str, Any]) -> str:
    """Put facts in the place of `{{name}}`; one that is not known becomes a TODO, or null if it is measured."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if facts.get(name) is None and name in MEASURED:
            return "null"
        return (
            json.dumps(facts[name], ensure_ascii=False)
            if facts.get(name) is not None
            else f'"{TODO}: {name.replace("_", " ")}"'
        )

    return _PLACEHOLDER.sub(value, text)


def known_facts(name: SubmissionName, contents: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Facts for a template from the JSON files of a checked submission.

    Args:
        name: whose it is.
        contents: `eval` and `dev`: the parsed files; either may be empty.
    """
    evaluated, dev = contents.get("eval", {}), contents.get("dev", {})
    accuracy = dev.get("label_metrics", {})
    fingerprint = evaluated.get("config", {}).get("fingerprint", {})
    return {
        "label": name.label,
        "author": name.author,
        "affiliation": name.affiliation,
        "nparams": evaluated.get("nparams"),
        "capi_sdri": _rounded(dev.get("CAPI-SDRi", {}).get("mean")),
        "mixture_accuracy": _rounded(accuracy.get("accuracy_mix")),
        "source_accuracy": _rounded(accuracy.get("accuracy_src")),
        "external_resources": fingerprint.get("external_resources") if isinstance(fingerprint, dict) else None,
    }


def check_meta(path: Path, name: SubmissionName, template: str, facts: Mapping[str, Any]) -> list[Finding]:
    """Check a filled-in meta file against its template and the submission; names every field that is missing."""
    found: list[Finding] = []

    def note(rule: str, message: str) -> None:
        found.append(finding(rule, path.name, message))

    try:
        with path.open("rb") as file:
            content = file.read(_LIMIT + 1)
        text = content.decode("utf-8") if len(content) <= _LIMIT else ""
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            note("meta-invalid", "holds YAML aliases (*name); write the values out")
            return found
        parsed = load_yaml(text)
    except OSError as error:
        note("meta-missing", f"no meta file at {path}: {error.strerror}; `s5eval submit init` writes one to fill in")
        return found
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError) as error:
        note("meta-invalid", f"not YAML: {_one_line(error)}")
        return found
    if not isinstance(parsed, dict):
        note("meta-invalid", "expected a YAML mapping with the keys of the template")
        return found
    wanted = load_yaml(fill_template(template, {}))
    for field, problem in _differences(wanted, parsed, ""):
        note("meta-field", f"{field}: {problem}")
    for field, problem in _misread(wanted, parsed, ""):
        note("meta-value", f"{field}: {problem}")
    for field, problem in _wrong_values(parsed, name):
        note("meta-value", f"{field}: {problem}")
    for field, key, tolerance in _COMPARED:
        stated, known = _at(parsed, field), facts.get(key)
        if _is_number(stated) and _is_number(known) and abs(stated - known) > tolerance:
            note("meta-differs", f"{field} is {stated}, the submission says {known}")
    return found


_COMPARED = (
    ("system.complexity.total_parameters", "nparams", 0.0),
    ("system.complexity.trainable_parameters", "trainable_parameters", 0.0),
    ("system.complexity.macs", "macs", 0.0),
    ("results.development_dataset.capi_sdri", "capi_sdri", 5e-3),
    ("results.development_dataset.mixture_accuracy", "mixture_accuracy", 5e-3),
    ("results.development_dataset.source_accuracy", "source_accuracy", 5e-3),
)


def _differences(wanted: Any, found: Any, path: str) -> list[tuple[str, str]]:
    """Fields of the template that are missing or not filled in."""
    if isinstance(wanted, dict):
        if not isinstance(found, dict):
            return [(path, "expected a mapping with the keys " + ", ".join(map(str, wanted)))]
        problems = []
        for key, value in wanted.items():
            inner = f"{path}.{key}" if path else str(key)
            if key not in found:
                problems.append((inner, "the field is missing"))
            else:
                problems += _differences(value, found[key], inner)
        return problems
    if isinstance(wanted, list) and wanted:
        if not isinstance(found, list) or not found:
            return [(path, "expected a list with at least one entry")]
        return [p for k, entry in enumerate(found) for p in _differences(wanted[0], entry, f"{path}[{k}]")]
    if _has_todo(found):
        return [(path, "is still to be filled in")]
    if _has_todo(wanted) and (found is None or (isinstance(found, str) and not found.strip())):
        return [(path, "must not be empty")]
    return []


_TEXTS = frozenset(
    ("label", "name", "abbreviation", "lastname", "firstname", "email", "institute", "department", "location")
)
"""Fields that hold text whatever the template says; a number there is an unquoted name such as 1e3 or 2026."""


def _misread(wanted: Any, found: Any, path: str) -> list[tuple[str, str]]:
    """Words that YAML takes for something else, such as No, on, 2026-06-01 or 12:30, and truth values that are none."""
    if isinstance(found, dict):
        known = wanted if isinstance(wanted, dict) else {}
        return [p for k, v in found.items() for p in _misread(known.get(k), v, f"{path}.{k}" if path else str(k))]
    if isinstance(found, list):
        first = wanted[0] if isinstance(wanted, list) and wanted else None
        return [p for k, value in enumerate(found) for p in _misread(first, value, f"{path}[{k}]")]
    if isinstance(wanted, bool):
        return [] if isinstance(found, bool) else [(path, f"expected true or false, found {found!r}")]
    numeric = _is_number(found) and re.sub(r"\[\d+\]$", "", path).rpartition(".")[2] in _TEXTS
    if isinstance(found, bool | date) or numeric:
        return [(path, f'YAML reads this word as {_kind(found)}; if it is text, put it in quotes: "…"')]
    return []


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    return f"the date {value}" if isinstance(value, date) else f"the number {value}"


def _has_todo(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_todo, value.values()))
    if isinstance(value, list):
        return any(map(_has_todo, value))
    return isinstance(value, str) and value.strip().startswith(TODO)


def _wrong_values(parsed: Mapping[str, Any], name: SubmissionName) -> list[tuple[str, str]]:
    problems = []
    label = _at(parsed, "submission.label")
    if label is not None and label != name.label:
        problems.append(("submission.label", f"is {label!r}, the submission is {name.label!r}"))
    short = _at(parsed, "submission.abbreviation")
    if isinstance(short, str) and len(short) > MAX_ABBREVIATION and not _has_todo(short):
        problems.append(("submission.abbreviation", f"{short!r} is longer than {MAX_ABBREVIATION} characters"))
    authors = _at(parsed, "submission.authors")
    for k, author in enumerate(authors if isinstance(authors, list) else ()):
        email = author.get("email") if isinstance(author, dict) else None
        if isinstance(email, str) and not _has_todo(email) and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", email):
            problems.append((f"submission.authors[{k}].email", f"{email!r} is no e-mail address"))
    corresponding = [a for a in authors or () if isinstance(a, dict) and a.get("corresponding")] if authors else None
    if isinstance(authors, list) and corresponding is not None and len(corresponding) != 1:
        problems.append(("submission.authors", f"{len(corresponding)} corresponding authors, expected exactly 1"))
    for field, _, _ in _COMPARED:
        value = _at(parsed, field)
        if value is not None and not _is_number(value) and not _has_todo(value):
            problems.append((field, f"expected a number, found {value!r}"))
    for key in ("mixture_accuracy", "source_accuracy"):
        value = _at(parsed, f"results.development_dataset.{key}")
        if _is_number(value) and not 0 <= value <= 100:
            problems.append((f"results.development_dataset.{key}", f"is {value}, expected percent from 0 to 100"))
    return problems


def _at(parsed: Any, field: str) -> Any:
    for key in field.split("."):
        parsed = parsed.get(key) if isinstance(parsed, dict) else None
    return parsed


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _rounded(value: Any) -> float | None:
    return round(float(value), 3) if _is_number(value) else None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
