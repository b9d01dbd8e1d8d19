"""Licences as people state them, brought to their classes."""

from s5eval.data_manifests.common.licences import licence_class


def test_classes_of_licences_leave_licensors_out() -> None:
    stated = ["CC0, felix.blume", "CC BY 4.0, Bengt Nilsson", "MIT", "CC-BY, WIM (freesound 26143)", "CC-BY-SA-4.0"]
    assert [licence_class(text) for text in stated] == ["CC0", "CC BY 4.0", "MIT", "CC BY", "CC BY SA 4.0"]
