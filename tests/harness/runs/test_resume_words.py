"""What the refusal of a resume says of a system that is another one by now."""

from s5eval.harness.record.same_system import changes


def test_it_names_what_differs() -> None:
    before = {"weights": "sha256:" + 64 * "a", "stages": {"stage1": {"revision": 5}}, "kept": 1}
    now = {"weights": "sha256:" + 64 * "b", "stages": {"stage1": {"revision": 6}, "filter": {"share": 0.6}}, "kept": 1}
    said = changes(before, now)
    assert said.startswith('weights was "sha256:aaaa') and 'and is "sha256:bbbb' in said and 64 * "a" not in said
    assert "stages.stage1.revision was 5 and is 6" in said
    assert 'stages.filter was nothing and is {"share": 0.6}' in said
    assert changes({"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}, {}).endswith(", and 2 more")
