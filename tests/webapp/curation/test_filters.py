"""Saved filters: what is kept of an address, who may save and delete, what is refused."""

import pytest
from django.urls import reverse

from webapp.curation import queries
from webapp.curation.models import SavedFilter

ADDRESS = "/filters/"


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("verdict=wrong&verdict=correct&label=none", "verdict=wrong&verdict=correct&label=none"),
        ("think_min=10&page=3&csrfmiddlewaretoken=x&queue=y&utm_source=z", "think_min=10"),
        ("sort=-think&verdict=", "sort=-think"),
        ("sort=password&verdict=maybe&run=999999&tags=%3Cb%3E&think_min=abc", ""),
        ("text=%3Cscript%3E&text_in=prompt", "text=%3Cscript%3E&text_in=prompt"),
    ],
)
def test_only_conditions_that_the_list_knows_are_kept(db, query, kept):
    assert sorted(queries.known_conditions(query).split("&")) == sorted(kept.split("&"))


def test_the_conditions_of_the_page_around_are_saved_under_a_name(client, annotator):
    client.force_login(annotator)
    page = client.get(
        ADDRESS, headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/traces/?verdict=wrong&page=2"}
    )
    assert 'value="verdict=wrong"' in page.content.decode()

    answer = client.post(
        ADDRESS, {"name": "wrong ones", "query": "verdict=wrong&page=2"}, headers={"HX-Request": "true"}
    )
    saved = SavedFilter.objects.get()
    assert (saved.name, saved.query, saved.created_by) == ("wrong ones", "verdict=wrong", annotator)
    assert f'href="{reverse("traces:list")}?verdict=wrong" aria-current="true"' in answer.content.decode()


def test_without_javascript_the_address_says_the_conditions(client, annotator):
    client.force_login(annotator)
    assert "verdict=wrong" in client.get(f"{ADDRESS}?query=verdict%3Dwrong").content.decode()
    assert client.post(ADDRESS, {"name": "a", "query": "verdict=wrong"}).url == ADDRESS


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "", "query": "verdict=wrong"}, "Give the filter a name"),
        ({"name": "x" * 121, "query": "verdict=wrong"}, "at most 120 characters"),
        ({"name": "a", "query": "nothing=known"}, "no condition to save"),
        ({"name": "taken", "query": "verdict=wrong"}, "“taken” exists with other conditions"),
    ],
)
def test_what_cannot_be_saved_is_refused_in_words(client, annotator, fields, words):
    client.force_login(annotator)
    client.post(ADDRESS, {"name": "taken", "query": "verdict=correct"})
    answer = client.post(ADDRESS, fields)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert SavedFilter.objects.count() == 1


def test_the_same_again_adds_nothing(client, annotator):
    client.force_login(annotator)
    for _ in range(2):
        assert client.post(ADDRESS, {"name": "a", "query": "verdict=wrong"}).status_code == 302
    assert SavedFilter.objects.count() == 1


def test_a_viewer_uses_filters_but_saves_none(client, annotator, viewer):
    client.force_login(annotator)
    client.post(ADDRESS, {"name": "a", "query": "verdict=wrong"})
    client.force_login(viewer)
    text = client.get(f"{ADDRESS}?query=verdict%3Dcorrect").content.decode()
    assert "verdict=wrong" in text
    assert "<form" not in text.split("</header>")[1]
    assert client.post(ADDRESS, {"name": "b", "query": "verdict=wrong"}).status_code == 403


def test_deleting(client, annotator, other_annotator, viewer, editor):
    client.force_login(annotator)
    for name in ("mine", "too"):
        client.post(ADDRESS, {"name": name, "query": "verdict=wrong"})
    mine, too = SavedFilter.objects.order_by("pk")

    for member in (viewer, other_annotator):
        client.force_login(member)
        assert client.post(reverse("curation:delete_filter", args=[mine.pk])).status_code == 403
    client.force_login(annotator)
    assert client.get(reverse("curation:delete_filter", args=[mine.pk])).status_code == 405
    assert client.post(reverse("curation:delete_filter", args=[mine.pk])).status_code == 302
    assert client.post(reverse("curation:delete_filter", args=[mine.pk])).status_code == 404
    client.force_login(editor)
    answer = client.post(
        reverse("curation:delete_filter", args=[too.pk]), {"query": ""}, headers={"HX-Request": "true"}
    )
    assert "No filter is saved yet" in answer.content.decode()


def test_a_hostile_name_stays_text(client, annotator):
    client.force_login(annotator)
    client.post(ADDRESS, {"name": "<img src=x onerror=alert(1)>", "query": "verdict=wrong"})
    text = client.get(ADDRESS).content.decode()
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text


def test_many_filters_cost_no_more_queries(client, annotator, django_assert_max_num_queries):
    client.force_login(annotator)
    for n in range(12):
        client.post(ADDRESS, {"name": f"f{n}", "query": f"think_min={n}"})
    with django_assert_max_num_queries(4):
        client.get(ADDRESS, headers={"HX-Request": "true"})
