"""All YAML of ours goes through one loader, in which 3e-4 is a number."""

import re
from pathlib import Path
from typing import Any

import pytest

from s5eval.data_manifests.common.yaml_text import load_yaml
from s5eval.harness.record.config import parse_settings
from s5eval.systems.decision_reading import load_decision

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3e-4", 0.0003), ("1e3", 1000.0), ("-2.5E-2", -0.025), ("1.5e3", 1500.0), (".5e1", 5.0), ("+1e-1", 0.1),
        ("12", 12), ("0.5", 0.5), ("none", "none"), ("e3", "e3"), ("1e", "1e"), ("'3e-4'", "3e-4"),
    ],
)  # fmt: skip
def test_numbers_with_an_exponent_are_numbers_and_words_are_words(text: str, value: Any) -> None:
    found = load_yaml(f"key: {text}")["key"]
    assert (found, type(found)) == (value, type(value))


def test_decision_files_and_settings_take_them(tmp_path: Path) -> None:
    path = tmp_path / "d.yaml"
    path.write_text("silence_thresholds: {default: 5e-1, Speech: 3e-4}\nduplicate_correlation: 9e-1\n")
    decision = load_decision(path)
    assert (decision.threshold("Speech"), decision.threshold("Cough")) == (0.0003, 0.5)
    assert decision.duplicate_correlation == 0.9
    assert parse_settings(["decision.x=3e-4"]) == {"decision": {"x": 0.0003}}


def test_no_other_loader_is_used() -> None:
    for folder in ("data_manifests", "systems", "metrics", "submissions", "harness"):
        for path in (ROOT / folder).rglob("*.py"):
            used = re.search(r"yaml\.(safe_load|load|full_load)\(", path.read_text(encoding="utf-8"))
            assert used is None or path.name == "yaml_text.py", path
