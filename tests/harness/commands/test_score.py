"""`s5eval score` on what users have at hand: the wavs of a run, which lie in its folder beside much that is none."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from planted import Plant

Call = Callable[..., Any]

QUIET = """
from plugins import Omni

class Quiet(Omni):
    def _one(self, mixture):
        self.config["p_silence"] = 1.0 if mixture.id in ("m_1", "m_2") else 0.1
        return super()._one(mixture)

def build(config, device):
    return Quiet(dict(config))
"""


@pytest.fixture
def saved(small_set: Path, tmp_path: Path, s5eval: Call) -> Path:
    """A run whose estimates were written."""
    run = tmp_path / "saved"
    assert s5eval("run", "--system", "oracle-gain", "--data", small_set, "--out", run, "--save-audio").code == 0
    return run


def capi_sdri(s5eval: Call, *arguments: object) -> float:
    result: float = s5eval(*arguments, "--json").json["metrics"]["capi_sdri"]["value"]
    return result


def test_of_a_run_folder_the_wavs_are_scored_and_nothing_else_is_a_finding(
    saved: Path, small_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    again = s5eval("score", saved, "--data", small_set, "--out", tmp_path / "again")
    assert again.code == 0 and "[suffix]" not in again.out and "hidden" not in again.out
    assert "\nsaved  " in again.out  # it keeps the name of the run
    of_audio = capi_sdri(s5eval, "score", saved / "audio", "--data", small_set, "--out", tmp_path / "audio")
    assert capi_sdri(s5eval, "score", saved, "--data", small_set, "--out", tmp_path / "whole") == of_audio


def test_of_a_run_folder_a_wav_that_no_line_lists_is_a_finding(
    saved: Path, small_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    """Left by an earlier try at its mixture, it would be one false alarm more than the run has made."""
    shutil.copy(saved / "audio" / "m_1_0_Speech.wav", saved / "audio" / "m_1_2_Doorbell.wav")
    again = s5eval("score", saved, "--data", small_set, "--out", tmp_path / "again")
    assert (again.code, "1 unlisted" in again.out) == (0, True), again.out
    strict = s5eval("score", saved, "--data", small_set, "--strict", "--out", tmp_path / "strict")
    assert (strict.code, "m_1_2_Doorbell.wav: no line of the run lists it" in strict.err) == (3, True), strict.err
    journal = saved / "mixtures.jsonl"
    journal.write_text(journal.read_text() + "{torn")
    unknown = s5eval("score", saved, "--data", small_set, "--out", tmp_path / "unknown")
    assert (unknown.code, "unlisted" in unknown.out) == (0, False), "what a damaged line listed is not known"


def test_a_ranking_takes_run_folders(saved: Path, small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    other = tmp_path / "other"
    s5eval("run", "--system", "oracle-zeros", "--data", small_set, "--out", other, "--save-audio")
    ranked = s5eval("score", other, saved, "--data", small_set, "--out", tmp_path / "ranking", "--json").json
    assert [entry["name"] for entry in ranked["ranking"]] == ["saved", "other"]
    assert ranked["unusable"] == {}


def test_a_run_without_wavs_is_refused_with_what_there_is(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    run = tmp_path / "bare"
    s5eval("run", "--system", "oracle-gain", "--data", small_set, "--out", run)
    refused = s5eval("score", run, "--data", small_set, "--out", tmp_path / "again")
    assert refused.code == 2
    assert "without audio/" in refused.err and str(run / "report.html") in refused.err
    assert not (tmp_path / "again").exists()


def test_system_folder_takes_a_run_folder_as_score_does(
    saved: Path, small_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    """By whatever interface it is named: its wavs lie in `audio`, beside much that is none."""
    import s5eval as face

    scored = s5eval("score", saved, "--data", small_set, "--out", tmp_path / "scored")
    assert scored.code == 0, scored.err
    run = face.run("folder", small_set, tmp_path / "face", settings={"path": str(saved)})
    by_option = ("--system", "folder", "--set", f"system.path={saved}")
    assert s5eval("run", *by_option, "--data", small_set, "--out", tmp_path / "option").code == 0
    for made in (run, face.read_run(tmp_path / "option")):
        assert made.summary.metrics == face.read_run(tmp_path / "scored").summary.metrics
        assert (made.record.findings, made.record.about.answered) == ((), 5)


def test_a_run_without_wavs_is_refused_by_system_folder(small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    import s5eval as face

    s5eval("run", "--system", "oracle-gain", "--data", small_set, "--out", tmp_path / "bare")
    with pytest.raises(face.UsageError, match=r"is a run folder without audio/ \(made without `save_audio`"):
        face.run("folder", small_set, tmp_path / "again", settings={"path": str(tmp_path / "bare")})
    by_option = ("--system", "folder", "--set", f"system.path={tmp_path / 'bare'}")
    refused = s5eval("run", *by_option, "--data", small_set, "--out", tmp_path / "again")
    assert (refused.code, "made without --save-audio" in refused.err) == (2, True), refused.err


def test_a_strict_run_says_how_many_findings_it_does_not_list(s5eval: Call, small_set: Path, tmp_path: Path) -> None:
    wavs = tmp_path / "wavs"
    wavs.mkdir()
    wav = (small_set / "oracle_target" / "m_1_0_Speech.wav").read_bytes()
    for name in ("m_1", "m_2", "m_3", "m_4", "m_10", *(f"other_{k}" for k in range(23))):
        (wavs / f"{name}_0_Speech.wav").write_bytes(wav)
    refused = s5eval("score", wavs, "--data", small_set, "--strict", "--out", tmp_path / "o")
    assert refused.code == 3
    assert "--strict: 23 findings about the files" in refused.err
    assert refused.err.rstrip().endswith("[orphan]\n  … and 3 more")


def test_what_a_run_answered_with_nothing_is_an_answer(
    small_set: Path, tmp_path: Path, systems_on_path: None, plant: Plant, s5eval: Call
) -> None:
    """A run says in its lines that it heard nothing; a lost wav and a failed mixture are no answers there either."""
    run, data = tmp_path / "run", ("--data", small_set)
    plant("quiet", QUIET)
    s5eval("run", "--system", "quiet:build", *data, "--out", run, "--save-audio", "--set", "system.raise_on=m_3")
    lines = [json.loads(text) for text in (run / "mixtures.jsonl").read_text().splitlines()]
    silent = [line["mixture_id"] for line in lines if line["outcome"]["status"] != "failed" and not line["estimates"]]
    assert silent and len(silent) < len(lines) - 1, "of both there is some"
    score = ("score", run, *data, "--out")
    told = s5eval(*score, tmp_path / "again").out
    assert "1 no-estimate" in told and f"answers {len(lines) - 1} of {len(lines)} mixtures" in told
    next((run / "audio").iterdir()).unlink()
    assert "2 no-estimate" in s5eval(*score, tmp_path / "lost").out
    (run / "mixtures.jsonl").write_text("no line\n[1]\n{}\n")
    told = s5eval(*score, tmp_path / "damaged").out
    assert f"{2 + len(silent)} no-estimate" in told, "lines that say nothing call nothing silent"


def test_estimates_that_are_named_again_are_those_of_the_run_or_refused(
    saved: Path, small_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    """The data are on record, and need not be named; the numbers of other estimates are not those of these."""
    run, other = tmp_path / "scored", tmp_path / "other"
    assert s5eval("score", saved, "--data", small_set, "--out", run).code == 0
    shutil.copytree(saved / "audio", other)
    refused = s5eval("score", other, "--resume", run)
    told = f'the options differ from the first call\'s: settings: system.path="{other}"'
    assert (refused.code, told in refused.err, refused.out) == (2, True, ""), refused.err
    assert s5eval("score", saved, "--resume", run).code == 0
    (saved / "audio" / "m_1_0_Speech.wav").unlink()
    refused = s5eval("score", saved, "--resume", run)
    assert (refused.code, "is not as it was when" in refused.err) == (2, True), refused.err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--metrics", "all"), "metrics: 'all', the run was started with 'ranking'"),
        (("--limit", 2), "limit: 2, the run was started with None"),
        (("--downmix",), "--downmix is of ESTIMATES; name them again beside --resume"),
        (("--published",), "--published is of ESTIMATES; name them again beside --resume"),
    ],
)
def test_an_option_that_a_run_was_not_made_with_is_refused_without_its_estimates_too(
    options: tuple[object, ...], told: str, saved: Path, small_set: Path, tmp_path: Path, s5eval: Call
) -> None:
    run = tmp_path / "scored"
    assert s5eval("score", saved, "--data", small_set, "--out", run).code == 0
    refused = s5eval("score", "--resume", run, *options)
    assert (refused.code, told in refused.err) == (2, True), refused.err


def test_a_ranking_that_goes_on_needs_its_data(saved: Path, small_set: Path, tmp_path: Path, s5eval: Call) -> None:
    """Each run knows its own, and what they are ranked over are all of the set: without it, those of another one."""
    refused = s5eval("score", saved, saved / "audio", "--resume", tmp_path / "ranking")
    assert (refused.code, "--data DIR (or S5EVAL_DATA) is missing" in refused.err) == (2, True), refused.err
