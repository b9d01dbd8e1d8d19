import pytest
from hypothesis import given
from hypothesis import strategies as st

from s5eval.data_manifests.labels import CLASSES
from s5eval.data_manifests.naming import (
    MixtureIds,
    SourceName,
    format_source_name,
    match_sources,
    parse_source_stem,
    sources_problem,
)

IDS = st.text("ab_01.- é", min_size=1, max_size=12)


@given(mixture=IDS, index=st.integers(0, 999_999_999), label=st.sampled_from(CLASSES))
def test_every_name_that_is_written_is_read_back(mixture: str, index: int, label: str) -> None:
    name = format_source_name(mixture, index, label)
    assert parse_source_stem(name.removesuffix(".wav")) == SourceName(mixture, index, label)


@pytest.mark.parametrize("stem", ["", "a", "a_Speech", "_0_Speech", "a_x_Speech", "a_-1_Speech", "a_0_", "a_١_Speech"])
def test_other_stems_are_not_source_names(stem: str) -> None:
    assert parse_source_stem(stem) is None


@pytest.mark.parametrize(
    ("mixture", "index", "label"), [("", 0, "Speech"), ("m", -1, "Speech"), ("m", 0, "a_b"), ("m", 0, "")]
)
def test_names_that_could_not_be_read_back_are_not_written(mixture: str, index: int, label: str) -> None:
    with pytest.raises(ValueError, match="no source name"):
        format_source_name(mixture, index, label)


def test_a_prefix_of_an_id_takes_no_foreign_file() -> None:
    matched, findings = match_sources(["m_1_0_Speech.wav", "m_10_0_Cough.wav", "m_10_1_Pour.flac"], ["m_1", "m_10"])
    assert {id_: [s.name.label for s in sources] for id_, sources in matched.items()} == {
        "m_1": ["Speech"],
        "m_10": ["Cough", "Pour"],
    }
    assert findings == []
    alone, orphans = match_sources(["m_10_0_Cough.wav"], ["m_1", "m_100"])
    assert (dict(alone), [finding.rule for finding in orphans]) == ({}, ["orphan"])


def test_files_that_belong_nowhere_are_listed_each_with_its_rule() -> None:
    files = ["m_0_Speech.WAV", "notes.txt", "x_0_Speech.wav", "m-0-Speech.wav", "sub/m_3_Cough.wav"]
    matched, findings = match_sources(files, ["m"])
    assert [(finding.rule, finding.file) for finding in findings] == [
        ("suffix", "m_0_Speech.WAV"),
        ("suffix", "notes.txt"),
        ("orphan", "x_0_Speech.wav"),
        ("not-a-source-name", "m-0-Speech.wav"),
    ]
    assert "lower case" in findings[0].message
    assert [source.file for source in matched["m"]] == ["sub/m_3_Cough.wav"]


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (["m_0_Speech.wav", "m_1_Speech.wav"], None),
        (["m_0_Dog.wav"], "unknown label 'Dog'"),
        (["m_0_speech.wav"], "did you mean 'Speech'"),
        (["m_0_silence.wav"], "a source that is absent has no file"),
        (["m_0_Speech.flac", "m_0_Speech.wav"], "the same source as m_0_Speech.flac"),
    ],
)
def test_problems_of_one_mixture_are_said(files: list[str], problem: str | None) -> None:
    matched, _ = match_sources(files, ["m"])
    found = sources_problem(matched["m"])
    assert (found is None) if problem is None else (found is not None and problem in found)


def test_sources_stand_by_number_then_label_then_file_those_without_a_number_first() -> None:
    files = ["m_10_Pour.wav", "m_2_Speech.wav", "m_1_Typing.wav", "b/m_1_Cough.wav", "a/m_1_Cough.wav", "m_Speech.wav"]
    matched, _ = match_sources(files, ["m"])
    assert [source.file for source in matched["m"]] == [
        "m_Speech.wav", "a/m_1_Cough.wav", "b/m_1_Cough.wav", "m_1_Typing.wav", "m_2_Speech.wav", "m_10_Pour.wav"
    ]  # fmt: skip


@pytest.mark.parametrize(("numbered", "meant", "other"), [(True, "eval", "eval_0000"), (False, "eval_0000", "eval")])
def test_a_name_that_can_be_read_both_ways_is_read_the_set_s_way_with_a_word(
    numbered: bool, meant: str, other: str
) -> None:
    matched, findings = match_sources(["eval_0000_Buzzer.wav"], ["eval", "eval_0000"], numbered=numbered)
    ((source,),) = matched.values()
    assert list(matched) == [meant] and source.name == SourceName(meant, 0 if numbered else None, "Buzzer")
    (finding,) = findings
    assert finding.rule == "ambiguous"
    assert finding.message == f"read as a source of '{meant}'; it could be one of '{other}'"


def test_two_ids_that_differ_in_their_unicode_form_alone_are_found_exactly_and_not_guessed() -> None:
    composed, apart = "é_é", "e\u0301_e\u0301"
    between = "é_e\u0301"
    both, one = MixtureIds([composed, apart]), MixtureIds([apart])
    assert (both.find(composed), both.find(apart), both.find(between)) == (composed, apart, None)
    assert one.find(composed) == one.find(between) == apart
