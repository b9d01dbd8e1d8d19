"""Which mixtures are to be answered, and how long the answers have to be."""

from pathlib import Path

from s5eval.submissions.expected import OFFICIAL, Expected, expected_from_list, guess_expected
from s5eval.submissions.rules import EVAL_IDS


def test_there_are_as_many_official_mixtures_as_the_challenge_has() -> None:
    assert (len(EVAL_IDS), EVAL_IDS[0], EVAL_IDS[-1]) == (2567, "eval_0000", "eval_2566")
    assert (OFFICIAL.length("eval_0000"), OFFICIAL.told) == (320_000, False)


def test_a_length_is_that_of_the_mixture_where_it_is_known() -> None:
    expected = Expected("here", frozenset("ab"), 100, {"a": 70})
    assert (expected.length("a"), expected.length("b")) == (70, 100)
    assert Expected("here", None, None).length("a") is None


def test_one_official_name_among_others_calls_for_the_official_set() -> None:
    assert guess_expected(["eval_0007", "mine"]) is OFFICIAL
    assert guess_expected([]) is OFFICIAL
    assert guess_expected(["eval_2567", "mine"]).ids is None


def test_a_list_of_all_official_mixtures_is_the_official_set(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_text("\n".join(reversed(EVAL_IDS)))
    assert expected_from_list(path).official
    path.write_text("\n".join(EVAL_IDS[1:]))
    assert not expected_from_list(path).official


def test_the_length_of_the_challenge_is_expected_of_its_own_mixtures_alone(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_text("eval_0000\neval_0001")
    assert expected_from_list(path).length("eval_0000") == OFFICIAL.length("eval_0000") == 320_000
    path.write_text("eval_0000\nmine")
    for expected in (expected_from_list(path), guess_expected(["mine"])):
        assert expected.length("mine") is None, "nothing tells how long it is"


def test_a_list_may_hold_paths_and_be_saved_by_an_editor_that_marks_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_text("\ufeffa.wav\nset/soundscape/b.flac\nset\\soundscape\\c.wav\nd  # heard\n# all\n", "utf-8")
    assert expected_from_list(path).ids == {"a", "b", "c", "d"}
