"""What a field takes from a file, and what it does not: a record is what its types say, or an error with the key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from s5eval.harness.record.codec import COMPLETE, NOT_RECORDED, MismatchError, from_json, to_json


@dataclass(frozen=True)
class Part:
    number: float


@dataclass(frozen=True)
class Whole:
    number: float = 0.0
    count: int = 0
    said: bool = False
    text: str = ""
    maybe: float | None = None
    where: Path | None = None
    choice: Literal[1, "two"] = "two"
    parts: tuple[Part, ...] = ()
    named: Mapping[Literal["a", "b"], float] = field(default_factory=dict)
    trusted: bool = field(default=False, metadata=NOT_RECORDED)


@dataclass(frozen=True)
class Full:
    both: Annotated[Mapping[Literal["a", "b"], float], COMPLETE]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"number": float("nan")}, "'number' is nan, expected a number"),
        ({"number": float("inf")}, "'number' is inf, expected a number"),
        ({"maybe": float("-inf")}, "'maybe' is -inf, expected a number or null"),
        ({"parts": [{"number": 1}, {"number": float("nan")}]}, "'parts[1].number' is nan, expected a number"),
        ({"named": {"a": float("nan")}}, "'named.a' is nan, expected a number"),
        ({"number": True}, "'number' is True, expected a number"),
        ({"number": "1"}, "'number' is '1', expected a number"),
        ({"number": None}, "'number' is None, expected a number"),
        ({"number": 1 << 63}, "expected a number"),
        ({"count": 1 << 63}, "expected a whole number"),
        ({"count": 1.0}, "'count' is 1.0, expected a whole number"),
        ({"count": True}, "'count' is True, expected a whole number"),
        ({"said": 1}, "'said' is 1, expected true or false"),
        ({"text": 1}, "'text' is 1, expected a text"),
        ({"where": 1}, "'where' is 1, expected a text or null"),
        ({"choice": True}, "'choice' is True, expected one of 1, 'two'"),
        ({"choice": 1.0}, "'choice' is 1.0, expected one of 1, 'two'"),
        ({"parts": [{}]}, "the key 'parts[0].number' is missing"),
        ({"parts": {"number": 1}}, "'parts' is {'number': 1}, expected a list"),
        ([], "it holds [], expected an object"),
    ],
)  # fmt: skip
def test_what_is_no_such_value_is_an_error_that_names_its_key(content: Any, said: str) -> None:
    with pytest.raises(MismatchError) as found:
        from_json(Whole, content)
    assert said in str(found.value)


def test_what_the_types_take_comes_back_and_keys_of_later_versions_are_left_alone() -> None:
    content = {
        "number": 3, "count": -(1 << 63) + 1, "said": True, "text": "ü", "maybe": 0.5, "where": "/a/b", "choice": 1,
        "parts": [{"number": 1.5, "later": []}], "named": {"a": 1.0, "later": "a text"}, "later": {}, "trusted": True,
    }  # fmt: skip
    found = from_json(Whole, content)
    assert found == Whole(3, -(1 << 63) + 1, True, "ü", 0.5, Path("/a/b"), 1, (Part(1.5),), {"a": 1.0})
    assert from_json(Whole, to_json(found)) == found
    assert "trusted" not in to_json(found) and not found.trusted, "what is not recorded is not believed either"
    assert from_json(Whole, {}) == Whole()


def test_a_mapping_that_has_to_be_complete_is_refused_without_one_of_its_keys() -> None:
    assert from_json(Full, {"both": {"a": 1, "b": 2}}) == Full({"a": 1, "b": 2})
    with pytest.raises(MismatchError, match=r"the key 'both\.b' is missing"):
        from_json(Full, {"both": {"a": 1}})
