"""The trace list, the trace page, and its token windows, as members and strangers meet them."""

import json
import re

import pytest
from django.urls import reverse
from django.utils.html import escape

from tests.webapp.traces import factories as make

pytestmark = pytest.mark.django_db


def page(client, name, *args, query=""):
    answer = client.get(reverse(name, args=args) + query)
    assert answer.status_code == 200
    return answer.content.decode()


# -- who may ----------------------------------------------------------------------------------------------------------


def test_strangers_are_sent_to_log_in(client, group_of_three):
    trace = group_of_three[0]
    for address in (
        reverse("traces:list"),
        reverse("traces:detail", args=[trace.pk]),
        reverse("traces:tokens", args=[trace.pk]),
        reverse("traces:group", args=[trace.run_id, trace.problem_id]),
    ):
        answer = client.get(address)
        assert answer.status_code == 302
        assert answer["Location"].startswith(reverse("accounts:login"))


@pytest.mark.parametrize("who", ["admin", "editor", "annotator", "viewer"])
def test_every_member_may_read(client, request, group_of_three, who):
    client.force_login(request.getfixturevalue(who))
    page(client, "traces:list")
    page(client, "traces:detail", group_of_three[0].pk)


def test_pages_are_for_reading(member, group_of_three):
    trace = group_of_three[0]
    for address in (
        reverse("traces:list"),
        reverse("traces:detail", args=[trace.pk]),
        reverse("traces:tokens", args=[trace.pk]),
    ):
        assert member.post(address).status_code == 405


def test_what_is_not_there(member, group_of_three):
    other = make.problem("another question")
    for name, args in (
        ("traces:detail", [9999]),
        ("traces:tokens", [9999]),
        ("traces:group", [9999, other.pk]),
        ("traces:group", [group_of_three[0].run_id, other.pk]),
    ):
        assert member.get(reverse(name, args=args)).status_code == 404


# -- the list ---------------------------------------------------------------------------------------------------------


def test_the_list_shows_its_rows_and_counts(member, group_of_three):
    text = page(member, "traces:list")
    assert "3 traces" in text
    assert "think never closed" in text
    assert "equal" not in text  # messages belong to the trace page


def test_the_address_holds_filter_order_and_page(member, group_of_three):
    text = page(member, "traces:list", query="?verdict=correct&sort=-think")
    assert "1 trace" in text
    assert re.search(r'value="correct"[^>]*checked', text)
    assert f"{reverse('curation:next')}?verdict=correct&amp;sort=-think" in text
    assert 'aria-sort="descending"' in text


def test_a_value_without_sense_is_an_error_in_words(member, group_of_three):
    text = page(member, "traces:list", query="?verdict=maybe")
    assert "0 traces" in text
    assert "Select a valid choice. maybe is not one" in text


def test_htmx_gets_the_rows_alone_and_a_clean_address(member, group_of_three):
    answer = member.get(
        reverse("traces:list") + "?text=&verdict=wrong&verdict=correct&page=3&sort=", headers={"HX-Request": "true"}
    )
    assert b"<html" not in answer.content
    assert answer["HX-Push-Url"] == reverse("traces:list") + "?verdict=wrong&verdict=correct"
    answer = member.get(reverse("traces:list") + "?text=", headers={"HX-Request": "true"})
    assert answer["HX-Push-Url"] == reverse("traces:list")


def test_going_back_gets_the_whole_page(member, group_of_three):
    headers = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
    answer = member.get(reverse("traces:list"), headers=headers)
    assert b"<html" in answer.content
    assert "HX-Request" in answer["Vary"]


def test_an_empty_installation_says_what_to_do(member):
    assert "No traces yet" in page(member, "traces:list")
    assert "No trace fits" in page(member, "traces:list", query="?verdict=wrong")


def test_the_list_asks_a_fixed_number_of_queries_and_reads_no_text(member, django_assert_num_queries, group_of_three):
    run, problem = make.run("many"), make.problem("a question " * 1000)
    for n in range(30):
        make.trace(run, problem, f"<think>{n}", sample_index=n, finish="length")
    member.get(reverse("traces:list"))
    # session, user, three choices, count, rows, findings, verdict counts
    with django_assert_num_queries(9) as asked:
        page(member, "traces:list")
    rows = next(
        query["sql"] for query in asked.captured_queries if "LIMIT 33" in query["sql"] or "LIMIT 50" in query["sql"]
    )
    assert not re.search(r'"traces_trace"\."(completion|reasoning|prompt|segments|metadata)"', rows.split(" FROM ")[0])


# -- the trace page ---------------------------------------------------------------------------------------------------


def test_the_page_can_be_read_without_scripts(member, group_of_three):
    text = page(member, "traces:detail", group_of_three[0].pk)
    for words in (
        "What is 12 + 30?", "12 and 30", "\\boxed{42}", "sample 1 of 3", "old reading", "equal after simplification",
        "math 0.9.0", "tiny", "arithmetic",
    ):  # fmt: skip
        assert words in text, words
    think, answer = (text.index("</h2>\n    <span", text.index(f'kind-{kind}" id=')) for kind in ("think", "answer"))
    assert think < answer
    assert text.count('<details class="pane kind-prompt"') == 1
    assert reverse("curation:label", args=[group_of_three[0].pk]) in text


def test_neighbours_are_those_of_the_group(member, group_of_three):
    first, second, third = (trace.pk for trace in group_of_three)
    text = page(member, "traces:detail", second)
    assert "sample 2 of 3" in text
    assert f'rel="prev" href="{reverse("traces:detail", args=[first])}"' in text
    assert f'rel="next" href="{reverse("traces:detail", args=[third])}"' in text
    assert "think never closed" in text
    assert 'rel="next"' not in page(member, "traces:detail", third)


def test_the_viewer_is_told_where_the_tokens_are(member, group_of_three):
    trace = group_of_three[0]
    text = page(member, "traces:detail", trace.pk)
    config = json.loads(
        re.search(r'<script id="viewer-config" type="application/json">(.*?)</script>', text, re.DOTALL)[1]
    )
    assert config["tokensUrl"] == reverse("traces:tokens", args=[trace.pk])
    assert (config["count"], config["layers"], config["nExperts"], config["topK"]) == (
        trace.store_tokens,
        [1, 2, 3],
        16,
        2,
    )
    bare = page(member, "traces:detail", group_of_three[2].pk)
    assert 'id="inspector"' not in bare
    assert '"count": 0' in bare


HOSTILE = [
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "</div></article></details><style>*{display:none}</style>",
    '<div hx-get="/admin/" hx-trigger="load" data-hx-post="/x">hx</div>',
    "{{ settings.SECRET_KEY }} {% debug %}",
    "\u202egnp.exe\u202c \u200b\x1b[2J",
    "$\\href{javascript:alert(1)}{x}$",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_model_text_never_becomes_markup(member, text):
    problem = make.problem(text, text, of=make.problem_set(f"set {text[:20]}"))
    trace = make.trace(
        make.run(f"run {text[:20]}"), problem, f"<think>{text}</think>{text}", reasoning=None, prompt=text,
        provenance={"id": text}, metadata={text: text}, model_name=text,
    )  # fmt: skip
    make.verdict(trace, extracted=text, gold=text, message=text)
    addresses = [
        reverse("traces:detail", args=[trace.pk]),
        reverse("traces:list"),
        reverse("traces:group", args=[trace.run_id, problem.pk]),
    ]
    for address in addresses:
        shown = member.get(address).content.decode()
        if "<" in text:
            assert text not in shown
            assert escape(text)[:40] in shown
    reader = member.get(addresses[0]).content.decode().split('id="reader"')[1].split("</article>")[0]
    assert not re.search("[\u202e\u202c\u200b\x1b]", reader)
    assert re.match(r"[^>]*hx-disable", reader)


def test_a_very_long_trace_is_paged_by_address(member, shared_data):
    row = json.loads((shared_data / "bad_inputs" / "19_huge_line.jsonl").read_text(encoding="utf-8"))
    text = next(value for value in row.values() if isinstance(value, str) and len(value) > 1_000_000)
    trace = make.trace(make.run(), make.problem(), text)
    first = page(member, "traces:detail", trace.pk)
    assert len(first) < 260_000  # 200,000 of it are text
    address = re.search(r'href="(\?pane=\d+&amp;from=\d+)[^"]*">Show more', first)[1].replace("&amp;", "&")
    assert "Show what comes before" in page(member, "traces:detail", trace.pk, query=address)
    for odd in ("?pane=2&from=999999999", "?pane=x&from=-5", "?pane=99&from=1"):
        page(member, "traces:detail", trace.pk, query=odd)


def test_a_lost_shard_is_said_and_the_text_stays(member, group_of_three, store):
    trace = group_of_three[0]
    (store / trace.store_path).write_bytes(b"PAR1 no longer")
    text = page(member, "traces:detail", trace.pk)
    assert "The tokens of this trace cannot be shown: shard" in text
    assert "12 and 30" in text
    answer = member.get(reverse("traces:tokens", args=[trace.pk]))
    assert answer.status_code == 410
    assert "cannot be read" in answer.json()["error"]


def test_the_page_asks_a_fixed_number_of_queries(member, django_assert_num_queries, group_of_three):
    for minute in range(10):
        make.verdict(group_of_three[0], minutes=10 + minute)
    # session, user, trace, findings, verdicts, place among the samples (4), replay (2)
    with django_assert_num_queries(11):
        page(member, "traces:detail", group_of_three[0].pk)
