"""The label panel: writes with their refusals, the queue, what two people see who meet."""

import json

import pytest
from django.urls import reverse
from django.utils.html import escape

from tests.webapp.curation.conftest import HOSTILE, make_run
from webapp.curation.models import Label
from webapp.traces.models import Trace


def panel(trace):
    return reverse("curation:label", args=[trace.pk])


def post(client, trace, *, htmx=False, **fields):
    headers = {"HX-Request": "true"} if htmx else {}
    return client.post(panel(trace), {"value": "keep", "seen": "", **fields}, headers=headers)


def test_an_annotator_labels_with_everything(client, annotator, traces):
    client.force_login(annotator)
    answer = post(client, traces[0], rating="4", tags="Carry, sum", note=" step 3 is neat ")

    assert answer.status_code == 302
    label = Label.objects.get()
    assert (label.value, label.rating, label.tags, label.note) == ("keep", 4, " carry sum ", "step 3 is neat")
    assert label.created_by == annotator


def test_the_panel_shows_state_and_history(client, annotator, other_annotator, traces):
    client.force_login(annotator)
    post(client, traces[0], note="mine")
    client.force_login(other_annotator)
    first = Label.objects.get()
    post(client, traces[0], value="reject", seen=first.pk, rating="1", note="theirs")

    page = client.get(panel(traces[0]), headers={"HX-Request": "true"})
    text = page.content.decode()
    assert page.templates[0].name == "curation/_label_panel.html"
    assert "2 labels so far" in text
    assert text.index("theirs") < text.index(">mine<")
    assert page.context["newest"].value == "reject"
    assert page.context["form"].initial["note"] == "theirs"


def test_the_note_of_another_is_not_put_into_ones_own_mouth(client, annotator, other_annotator, traces):
    client.force_login(other_annotator)
    post(client, traces[0], note="theirs", tags="sum", rating="2")
    client.force_login(annotator)

    initial = client.get(panel(traces[0])).context["form"].initial
    assert (initial["note"], initial["tags"], initial["rating"]) == ("", "sum", 2)


@pytest.mark.parametrize("htmx", [False, True])
def test_the_same_label_again_adds_nothing(client, annotator, traces, htmx):
    client.force_login(annotator)
    post(client, traces[0], htmx=htmx)
    post(client, traces[0], htmx=htmx)
    assert Label.objects.count() == 1


def test_a_viewer_reads_but_does_not_label(client, viewer, traces):
    client.force_login(viewer)
    assert client.get(panel(traces[0])).status_code == 200
    assert b"<form" not in client.get(panel(traces[0]), headers={"HX-Request": "true"}).content
    assert post(client, traces[0]).status_code == 403
    assert not Label.objects.exists()


def test_a_stranger_is_sent_to_log_in(client, traces):
    assert post(client, traces[0]).status_code == 302
    assert not Label.objects.exists()


def test_a_bad_id_is_not_found(client, annotator, db):
    client.force_login(annotator)
    assert client.post(reverse("curation:label", args=[404]), {"value": "keep"}).status_code == 404
    assert client.get(reverse("curation:label", args=[404])).status_code == 404


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"value": ""}, "Choose keep, reject or unsure"),
        ({"value": "maybe"}, "maybe is not one of the available choices"),
        ({"rating": "6"}, "6 is not one of the available choices"),
        ({"tags": "ok <b>"}, "not a tag: &#x27;&lt;b&gt;&#x27;"),
        ({"note": "nul \x00"}, "Null characters are not allowed"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(client, annotator, traces, fields, words):
    client.force_login(annotator)
    answer = post(client, traces[0], **fields)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not Label.objects.exists()


def test_two_who_meet_see_both_labels_and_lose_nothing(client, annotator, other_annotator, traces):
    client.force_login(other_annotator)
    post(client, traces[0], value="reject", note="step 2 is wrong")
    client.force_login(annotator)

    answer = post(client, traces[0], value="keep", note="looks right to me", rating="5")
    text = answer.content.decode()
    assert answer.status_code == 409
    assert "olga labelled this trace meanwhile" in text
    assert "step 2 is wrong" in text
    assert text.count("looks right to me") >= 2  # named as not saved, and still in its field
    assert Label.objects.get().value == "reject"

    assert answer.context["save_value"] == "keep"  # Ctrl+Enter saves what was meant, not what came in meanwhile
    again = {name: answer.context["form"].data[name] for name in ("seen", "note", "rating")}
    assert post(client, traces[0], value="keep", **again).status_code == 302
    assert [row.value for row in Label.objects.order_by("pk")] == ["reject", "keep"]


def test_a_label_that_is_gone_is_a_conflict_too(client, annotator, traces):
    client.force_login(annotator)
    answer = post(client, traces[0], seen="12345")
    assert answer.status_code == 409
    assert "not there any more" in answer.content.decode()
    assert not Label.objects.exists()


def test_a_conflict_is_swapped_in_where_there_is_javascript(client, annotator, other_annotator, traces):
    client.force_login(other_annotator)
    post(client, traces[0], value="reject")
    client.force_login(annotator)
    answer = post(client, traces[0], htmx=True)
    assert answer.status_code == 200
    assert "meanwhile" in answer.content.decode()


def test_hostile_text_stays_text(client, annotator, db):
    run = make_run("hostile", HOSTILE)
    client.force_login(annotator)
    for trace in Trace.objects.filter(run=run):
        post(client, trace, note=HOSTILE[0])
        text = client.get(panel(trace)).content.decode()
        assert "<script>alert" not in text
        assert "<div hx-get" not in text
        assert "\u202e" not in text
    assert (
        "{{ settings.SECRET_KEY }}"
        in client.get(panel(Trace.objects.filter(run=run).order_by("pk")[2])).content.decode()
    )


@pytest.mark.parametrize("name", ["23_htmx_attrs.jsonl", "25_django_template.jsonl", "27_unbalanced_think.jsonl"])
def test_real_hostile_files_are_shown_as_they_are(client, annotator, shared_data, name):
    lines = (shared_data / "bad_inputs" / name).read_text().splitlines()
    answers = [json.loads(line)["response"] for line in lines]
    run = make_run("hostile", answers)
    client.force_login(annotator)
    for trace, said in zip(Trace.objects.filter(run=run).order_by("pk"), answers, strict=True):
        assert escape(said) in client.get(panel(trace)).content.decode()


def test_tags_that_are_used_are_suggested(client, annotator, traces):
    client.force_login(annotator)
    post(client, traces[0], tags="carry")
    assert client.get(panel(traces[1])).context["used_tags"] == ["carry"]


def test_the_panel_costs_the_same_whatever_the_history(client, annotator, traces, django_assert_max_num_queries):
    client.force_login(annotator)
    for n in range(12):
        newest = Label.objects.order_by("-pk").first()
        post(client, traces[0], seen=newest.pk if newest else "", note=str(n))
    assert Label.objects.count() == 12
    with django_assert_max_num_queries(6):
        client.get(panel(traces[0]), headers={"HX-Request": "true"})


# -- the queue ---------------------------------------------------------------------------------------------------------


def next_address(query="", **more):
    params = [query, *(f"{name}={value}" for name, value in more.items())]
    return f"{reverse('curation:next')}?{'&'.join(p for p in params if p)}"


def detail(trace):
    return reverse("traces:detail", args=[trace.pk])


def test_the_queue_goes_in_the_order_of_the_list(client, annotator, traces):
    client.force_login(annotator)
    newest_first = traces[::-1]
    for trace in newest_first:
        assert client.get(next_address(f"run={trace.run_id}")).url.startswith(detail(trace))
        post(client, trace)


def test_the_queue_keeps_the_lists_own_order(client, annotator, traces):
    client.force_login(annotator)
    by_length = [(7, 2), (9, 0), (3, 4), (1, 1), (5, 3)]
    for chars, position in by_length:
        Trace.objects.filter(pk=traces[position].pk).update(think_chars=chars)
    opened = []
    for _ in traces:
        address = client.get(next_address("sort=think")).url
        trace = next(t for t in traces if address.startswith(detail(t)))
        opened.append(trace)
        post(client, trace)
    assert opened == [traces[position] for _, position in sorted(by_length)]


def test_a_key_opens_the_next_one_and_carries_the_filter(client, annotator, traces):
    client.force_login(annotator)
    query = f"run={traces[0].run_id}&verdict=unscored"
    answer = client.post(
        panel(traces[4]), {"value": "keep", "seen": "", "queue": query}, headers={"HX-Request": "true"}
    )
    follow = client.get(answer.headers["HX-Redirect"])
    assert follow.url.startswith(detail(traces[3]))
    assert f"queue=run%3D{traces[0].run_id}%26verdict%3Dunscored" in follow.url


def test_without_javascript_the_queue_goes_on_by_redirect(client, annotator, traces):
    client.force_login(annotator)
    answer = client.post(panel(traces[4]), {"value": "keep", "seen": "", "queue": ""})
    assert client.get(answer.url).url.startswith(detail(traces[3]))


def test_skipping_goes_on_and_comes_round_again(client, annotator, traces):
    client.force_login(annotator)
    assert client.get(next_address(after=traces[4].pk)).url.startswith(detail(traces[3]))
    for trace in traces[1:]:
        post(client, trace)
    assert client.get(next_address(after=traces[1].pk)).url.startswith(detail(traces[0]))
    assert client.get(next_address(after=traces[0].pk)).url.startswith(detail(traces[0]))
    assert client.get(next_address(after=traces[4].pk)).url.startswith(detail(traces[0]))


def test_a_queue_that_is_done_goes_back_to_the_list_and_says_so(client, annotator, traces):
    client.force_login(annotator)
    for trace in traces:
        post(client, trace)
    answer = client.get(next_address("label=none&verdict=unscored", after=traces[0].pk))
    assert answer.url == f"{reverse('traces:list')}?verdict=unscored"


def test_progress_counts_the_whole_queue_even_from_a_list_of_unlabelled_ones(client, annotator, traces):
    client.force_login(annotator)
    post(client, traces[4])
    make_run("other", ["elsewhere"])
    page = f"http://testserver{detail(traces[0])}?queue=run%3D{traces[0].run_id}%26label%3Dnone"
    answer = client.get(panel(traces[3]), headers={"HX-Request": "true", "HX-Current-URL": page})
    progress = answer.context["progress"]
    assert (progress.labelled, progress.total) == (1, 5)
    assert "1 of 5 labelled" in answer.content.decode()


def test_outside_a_queue_the_panel_stays_and_shows_no_progress(client, annotator, traces):
    client.force_login(annotator)
    answer = post(client, traces[0], htmx=True)
    assert "HX-Redirect" not in answer.headers
    assert answer.context["queue"] is None
    assert "Saved." in answer.content.decode()


def test_back_walks_through_what_one_labelled_oneself(client, annotator, other_annotator, traces):
    client.force_login(other_annotator)
    post(client, traces[2])
    client.force_login(annotator)
    post(client, traces[4])
    post(client, traces[3])

    def back(trace):
        return client.get(panel(trace) + "?queue=").context["back_address"]

    assert back(traces[0]).startswith(detail(traces[3]))
    assert back(traces[3]).startswith(detail(traces[4]))
    assert back(traces[4]) == ""


@pytest.mark.parametrize("after", ["-1", "x", "9" * 40, "٣"])
def test_an_address_with_nonsense_starts_at_the_front(client, annotator, traces, after):
    client.force_login(annotator)
    assert client.get(next_address(after=after)).url.startswith(detail(traces[4]))


def test_a_viewer_has_no_queue(client, viewer, traces):
    client.force_login(viewer)
    assert client.get(next_address()).status_code == 403
