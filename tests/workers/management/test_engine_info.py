"""`engine_info`: facts of a folder, a file or a published model, as a table or as JSON."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from tests.workers.checkpoint import CONFIG


def printed(*arguments):
    out = StringIO()
    call_command("engine_info", *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("family", "billions"),
    [("LLM-7B", "6.910"), ("LLM-67B", "67.425"), ("MoE-16B", "16.376"), ("V2-Lite", "15.706"), ("V2", "235.741"), ("V3", "671.026")],
)  # fmt: skip
def test_published_models(family, billions):
    assert f"{billions} billion" in printed(family)


def test_v3_as_a_table_and_as_json():
    lines = printed("DeepSeek-V3").splitlines()
    assert any(line.split()[:2] == ["Cache", "70,272"] for line in lines)
    assert (
        len({line.index(value) for line, value in zip(lines[:2], ["V3", "DeepSeek-V3"], strict=True)}) == 1
    )  # aligned
    facts = json.loads(printed("V3", "--json"))
    assert facts["cache_bytes_per_token"] == 70_272
    assert facts["parameters"] == 671_026_404_352


def test_a_folder_needs_no_weights(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    assert printed(str(tmp_path)) == printed(str(tmp_path / "config.json"))
    assert "2 of 8 for each token" in printed(str(tmp_path))


def test_what_is_wrong_is_said(tmp_path):
    with pytest.raises(CommandError, match="published models are LLM-7B"):
        printed(str(tmp_path / "none"))
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, "scoring_func": "softmax"}))
    with pytest.raises(CommandError, match="scoring_func"):
        printed(str(tmp_path))
