"""Which findings keep a submission from being accepted or scored, and which come first."""

from s5eval.data_manifests.common.findings import Finding
from s5eval.submissions.rules import MAX_OUTPUTS, MAX_SYSTEMS, RULES, finding, place_in_list

NO_OBSTACLE = {
    "junk-file", "empty-eval-out", "foreign-file", "index-format", "json-extra-key", "nparams-unknown",
    "nparams-differ", "eval-count", "dev-count", "dev-inconsistent", "audio-header", "audio-clipped", "audio-silent",
    "audio-repeated", "meta-differs", "report-encrypted",
}  # fmt: skip


def test_all_is_an_error_but_what_the_organisers_accept_and_can_score() -> None:
    assert {rule for rule, severity in RULES.items() if severity == "warning"} == NO_OBSTACLE
    assert set(RULES.values()) == {"warning", "error"}
    assert (finding("probability", "f", "m").severity, finding("audio-clipped", "f", "m").severity) == (
        "error", "warning",
    )  # fmt: skip


def test_the_limits_are_those_of_the_challenge() -> None:
    assert (MAX_OUTPUTS, MAX_SYSTEMS) == (3, 4)


def test_errors_come_first_and_of_these_the_ones_that_others_follow_from() -> None:
    places = [("audio-silent", "a"), ("suffix", "b"), ("probability", "a"), ("top-folder", "c"), ("junk-file", "b")]
    findings: list[Finding] = [finding(rule, file, "why") for rule, file in places]
    listed = [entry.rule for entry in sorted(findings, key=place_in_list)]
    assert listed == ["top-folder", "probability", "suffix", "audio-silent", "junk-file"]
