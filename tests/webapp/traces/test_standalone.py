"""A trace as one file: complete, escaped, opened from disk by a browser that reaches nothing."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse

from tests.webapp.traces import factories as make

pytestmark = pytest.mark.django_db(transaction=True)
HOSTILE = "<script>window.hit=1</script><img src=x onerror='window.hit=2'></style></div>{{ 7 }}\u202e\u200b"


def file_of(client, trace):
    answer = client.get(reverse("traces:standalone", args=[trace.pk]))
    assert answer.status_code == 200
    assert answer["Content-Disposition"] == f'attachment; filename="trace-{trace.pk}.html"'
    return answer.content.decode()


@pytest.fixture
def trace(db):
    run = make.run(engine=make.engine(), params={"temperature": 0.6})
    made = make.trace(
        run, make.problem(HOSTILE, "42"), f"<think>{HOSTILE} tens</think>It is 42.", tokens=True, seed=7,
        provenance={"repo": "some/where", "licence": "Apache-2.0", "note": HOSTILE}, model_name=HOSTILE,
    )  # fmt: skip
    make.verdict(made, extracted=HOSTILE, message="equal after simplification")
    return made


def test_the_file_holds_all_that_is_known(member, trace, annotator):
    trace.labels.create(value="keep", note="clear", rating=5, created_at=make.NOW, created_by=annotator)
    text = file_of(member, trace)
    for words in (
        "It is 42.",
        "equal after simplification",
        "Apache-2.0",
        "temperature",
        "0.6",
        "clear",
        "alan",
        "Expert load",
        "5 of 5",
    ):
        assert words in text, words
    assert HOSTILE not in text
    assert "<script" not in text
    assert "\u202e" not in text.split("<section", 1)[1].split("<h2>Verdicts", 1)[0]


def test_long_text_is_whole(member):
    trace = make.trace(make.run(), make.problem(), "<think>" + "x" * 300_000 + "end of it</think>4")
    assert "x" * 300_000 + "end of it" in file_of(member, trace)


def test_strangers_and_what_is_not_there(client, member, trace):
    assert member.get(reverse("traces:standalone", args=[987654])).status_code == 404
    client.logout()
    assert client.get(reverse("traces:standalone", args=[trace.pk])).status_code == 302


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_from_disk_and_reaches_nothing(chromium, member, trace, tmp_path, scheme):
    path = tmp_path / "trace.html"
    path.write_text(file_of(member, trace), encoding="utf-8")
    context = chromium.new_context(color_scheme=scheme, viewport={"width": 390, "height": 844})
    page = context.new_page()
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto(path.as_uri())
    assert asked == [path.as_uri()]
    assert said == []  # the policy allows the style sheet, and nothing else was tried
    assert page.evaluate("window.hit") is None
    assert (
        page.evaluate("getComputedStyle(document.body).backgroundColor")
        == {"light": "rgb(251, 251, 250)", "dark": "rgb(21, 22, 20)"}[scheme]
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert [v["id"] for v in Axe().run(page).response["violations"]] == []
    context.close()
