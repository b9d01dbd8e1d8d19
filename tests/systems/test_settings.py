"""Records of settings: what digests count of them."""

from dataclasses import dataclass

import pytest

from s5eval.systems.settings import recorded_without


@dataclass(frozen=True)
class _Inner:
    rate: float
    share: float


@dataclass(frozen=True)
class _Outer:
    width: int
    stem: tuple[int, ...]
    inner: _Inner


_BEFORE = {"stem": (), "inner": {"share": 0.0}}


@pytest.mark.parametrize(
    ("record", "counted"),
    [
        (_Outer(8, (), _Inner(0.0, 0.0)), {"width": 8, "inner": {"rate": 0.0}}),
        (_Outer(8, (4, 2), _Inner(1.0, 0.0)), {"width": 8, "stem": (4, 2), "inner": {"rate": 1.0}}),
        (_Outer(8, (), _Inner(1.0, 0.5)), {"width": 8, "inner": {"rate": 1.0, "share": 0.5}}),
    ],
)
def test_what_earlier_versions_did_unasked_is_not_counted(record: _Outer, counted: dict[str, object]) -> None:
    assert recorded_without(record, _BEFORE) == counted


def test_a_record_without_newer_keys_is_counted_whole() -> None:
    assert recorded_without(_Inner(0.0, 0.0), {}) == {"rate": 0.0, "share": 0.0}
