"""Decision files: read, checked key by key, and found beside the weights that they were tuned for."""

from collections.abc import Mapping
from pathlib import Path

from s5eval.data_manifests.common.cache import file_sha256
from s5eval.data_manifests.common.errors import DataError, UsageError
from s5eval.data_manifests.common.sealed import DamagedError, check_sealed_comment
from s5eval.data_manifests.common.suggestion import suggestion
from s5eval.data_manifests.common.yaml_text import load_yaml
from s5eval.data_manifests.labels import CLASSES
from s5eval.systems.card import check_digest, recorded_digests
from s5eval.systems.decision import SILENCE, Decision
from s5eval.systems.expected_score import RANGES, ExpectedScore

THRESHOLDS = "thresholds.yaml"
"""Name of the decision file beside the weights that it was tuned for."""

_KEYS = ("silence_thresholds", "max_sources", "duplicate_correlation", "prior_factors", "expected_score", "provenance")


def load_decision(path: Path) -> Decision:
    """Read a decision file (YAML).

    Raises:
        UsageError: the file is missing or not YAML, is not what `tune` has written, or a key or value is not what a
            decision has.
    """
    try:
        text = path.read_text(encoding="utf-8")
        check_sealed_comment(text)
        content = load_yaml(text)
    except DamagedError as error:
        raise UsageError(f"decision file {path}: {error}") from error
    except OSError as error:
        raise UsageError(f"decision file {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageError(f"decision file {path}: not readable as YAML: {error}") from error
    return parse_decision(content, where=f"decision file {path}")


def thresholds_file(weights: Path | None) -> Path | None:
    """The decision file that was tuned for the weights in folder `weights`, beside them; None: there is none.

    Raises:
        DataError: it is not what was written there, according to the card of the folder: one that was cut would be
            read as another decision.
    """
    if weights is None or not (weights / THRESHOLDS).is_file():
        if weights is not None and recorded_digests(weights, THRESHOLDS):
            raise DataError(f"{weights / THRESHOLDS}: is gone, but card.json lists it; get the folder again, or tune")
        return None
    check_digest(weights, THRESHOLDS, f"sha256:{file_sha256(weights / THRESHOLDS)}")
    return weights / THRESHOLDS


def parse_decision(content: object, *, where: str) -> Decision:
    """Check the content of a decision file; keys left out have their defaults. `where` names it in errors."""
    if not isinstance(content, Mapping):
        raise UsageError(f"{where}: expected a mapping with the keys {', '.join(_KEYS)}")
    for key in content:
        if key not in _KEYS:
            raise UsageError(f"{where}: unknown key {key!r}{suggestion(str(key), _KEYS)}")
    thresholds = content.get("silence_thresholds", {"default": 0.5})
    if not isinstance(thresholds, Mapping):
        raise UsageError(f"{where}: silence_thresholds must map classes (or 'default') to numbers")
    known = ("default", *CLASSES)
    for label, value in thresholds.items():
        if label not in known:
            raise UsageError(f"{where}: silence_thresholds: unknown class {label!r}{suggestion(str(label), known)}")
        if not is_number(value) or not 0 <= value <= 1:
            raise UsageError(f"{where}: silence_thresholds.{label} is {value!r}, expected a number from 0 to 1")
    maximum = content.get("max_sources", 3)
    if maximum is not None and (not isinstance(maximum, int) or isinstance(maximum, bool) or maximum < 1):
        raise UsageError(f"{where}: max_sources is {maximum!r}, expected a whole number above 0, or null for all")
    duplicate = content.get("duplicate_correlation", 0.9)
    if duplicate is not None and (not is_number(duplicate) or not -1 <= duplicate <= 1):
        raise UsageError(f"{where}: duplicate_correlation is {duplicate!r}, expected a number from -1 to 1 or null")
    factors = content.get("prior_factors")
    if factors is not None:
        _check_factors(factors, where)
        factors = {str(label): float(value) for label, value in factors.items()}
    expected = content.get("expected_score")
    provenance = content.get("provenance")
    if provenance is not None and not isinstance(provenance, Mapping):
        raise UsageError(f"{where}: provenance must be a mapping")
    return Decision(
        {str(k): float(v) for k, v in thresholds.items()},
        maximum,
        duplicate,
        provenance,
        factors,
        None if expected is None else _parse_expected(expected, where),
    )


def _parse_expected(content: object, where: str) -> ExpectedScore:
    if not isinstance(content, Mapping):
        raise UsageError(f"{where}: expected_score must map {' or '.join(RANGES)} to numbers, or be null")
    for key in content:
        if key not in RANGES:
            raise UsageError(f"{where}: expected_score: unknown key {key!r}{suggestion(str(key), tuple(RANGES))}")
    try:
        return ExpectedScore(**{str(key): value for key, value in content.items()})
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from error


def _check_factors(factors: object, where: str) -> None:
    known = (SILENCE, *CLASSES)
    if not isinstance(factors, Mapping):
        raise UsageError(f"{where}: prior_factors must map classes (or '{SILENCE}') to numbers, or be null")
    for label, value in factors.items():
        if label not in known:
            raise UsageError(f"{where}: prior_factors: unknown class {label!r}{suggestion(str(label), known)}")
        if not is_number(value) or not 0 < value < float("inf"):
            raise UsageError(f"{where}: prior_factors.{label} is {value!r}, expected a number above 0")


def is_number(value: object) -> bool:
    """A number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)
