"""Hidden characters: the server and the browser cut and name them alike, and nothing is lost."""

import pytest

from webapp.traces.visible import pieces, raw_pieces

CASES = {
    "nothing hidden": "plain text,\twith tab\nand 中文 and é",
    "bidi override": "a\u202eevil\u202c b",
    "isolates": "\u2066x\u2069 \u200fy\u061c",
    "zero width": "b\u200bc\ufeff \u00ad \u2060",
    "escape and bell": "\x1b[31mred\x1b[0m \x07\x7f\x9b",
    "carriage returns": "one\r\ntwo\rthree",
    "separators": "a\u2028b\u2029c",
    "tag characters": "x\U000e0041\U000e007f",
    "joiners that join": "👨\u200d👩\u200d👧 می\u200cخواهم",
    "joiners that hide": "pass\u200dword \u200cx",
    "only hidden": "\u200b\u200b",
    "empty": "",
}


@pytest.mark.parametrize("name", CASES)
def test_the_text_can_be_read_back(name):
    cut = pieces(CASES[name])
    assert "".join(chr(int(p.code, 16)) if p.code else p.text for p in cut) == CASES[name]
    shown = "".join(p.text for p in cut if not p.code)
    assert not any(char in shown for char in "\u202e\u200b\ufeff\x1b\r\u2066\u2028")


def test_server_and_browser_agree(in_node):
    found = in_node({"visible.js": ["pieces"]}, "result = given.map((text) => pieces(text));", list(CASES.values()))
    for text, browser in zip(CASES.values(), found, strict=True):
        assert browser == [{"text": p.text, "code": p.code} for p in pieces(text)]


def test_marks_have_names():
    (mark,) = pieces("\u202e")
    assert (mark.text, mark.code, mark.name) == ("RLO", "202E", "RIGHT-TO-LEFT OVERRIDE")
    assert pieces("\x1b")[0].text == "ESC"
    assert [p.code for p in pieces("👨\u200d👩")] == [""]
    assert [p.code for p in pieces("a\u200db")] == ["", "200D", ""]


RAW = CASES | {
    "tab and trailing spaces": "a \t \n\tb  \r\nc ",
    "odd spaces": "a\xa0b\u3000c\u202f d",
    "nul sign": "x\u2400y",
    "special tokens": "<｜begin▁of▁sentence｜><｜User｜>hi<|im_end|> <||> <|not one|> a <|b",
    "spaces that end nothing": "a    b",
}


@pytest.mark.parametrize("name", RAW)
def test_the_raw_view_can_be_read_back(name, in_node):
    cut = raw_pieces(RAW[name])
    assert "".join(chr(int(p.code, 16)) if p.code else p.text for p in cut) == RAW[name]
    (browser,) = in_node({"visible.js": ["rawPieces"]}, "result = given.map((text) => rawPieces(text));", [RAW[name]])
    assert [(p["text"], p["code"], p.get("isSpecial", False)) for p in browser] == [
        (p.text, p.code, p.is_special) for p in cut
    ]


def test_the_raw_view_marks_what_is_invisible_and_what_is_special():
    assert [p.text for p in raw_pieces("a \t \nb\xa0c")] == ["a", "·", "→", "·", "\nb", "NBSP", "c"]
    cut = raw_pieces(RAW["special tokens"])
    assert [p.text for p in cut if p.is_special] == ["<｜begin▁of▁sentence｜>", "<｜User｜>", "<|im_end|>"]
    assert [p.text for p in raw_pieces("a    b")] == ["a    b"]


def test_the_raw_view_takes_time_linear_in_the_text():
    for text in (" " * 200_000 + "x", "<|" * 200_000, "\t " * 100_000 + "x"):
        assert sum(len(p.text) for p in raw_pieces(text)) == len(text)
