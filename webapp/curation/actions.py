"""Writes of labels and saved filters. Labels are only added; the trace keeps a copy of its newest one.

Left out: selections, datasets and exports, whose writes are in selection_actions.py and dataset_actions.py.
"""

from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from webapp.accounts.actions import record
from webapp.accounts.models import Role, User
from webapp.curation.models import Label, SavedFilter
from webapp.traces.actions import set_current_label
from webapp.traces.models import LabelValue, Trace


class LabelConflict(Exception):  # noqa: N818  # it is a fact to be shown, not a fault
    """The trace got another label than the one that the writer had seen. `newest` is that label; nothing was written."""

    def __init__(self, newest: Label | None) -> None:
        super().__init__(_("this trace was labelled meanwhile"))
        self.newest = newest


@dataclass(frozen=True, slots=True)
class NewLabel:
    """What a person says of a trace: `rating` 1..5 or None, `tags` in the form of webapp.tags."""

    value: LabelValue
    rating: int | None = None
    tags: str = ""
    note: str = ""

    def says_the_same_as(self, label: Label) -> bool:
        """Whether `label` holds just this."""
        return (self.value, self.rating, self.tags, self.note) == (label.value, label.rating, label.tags, label.note)


@transaction.atomic
def add_label(trace_id: int, new: NewLabel, *, seen: int | None, by: User, at: datetime) -> tuple[Label, bool]:
    """Add a label; returns the trace's newest label and whether it is a new row.

    `seen` is the id of the newest label that the writer had before their eyes, None for no label. Someone's own label posted
    again adds nothing. Raises LabelConflict when the newest label is not the one seen, Trace.DoesNotExist for a bad id.
    """
    Trace.objects.select_for_update().only("pk").get(pk=trace_id)  # two who label at once come one after the other
    newest = Label.objects.select_related("created_by").filter(trace_id=trace_id).order_by("-pk").first()
    if newest is not None and newest.created_by_id == by.pk and new.says_the_same_as(newest):
        return newest, False
    if seen != (newest.pk if newest else None):
        raise LabelConflict(newest)
    label = Label.objects.create(
        trace_id=trace_id,
        value=new.value,
        rating=new.rating,
        tags=new.tags,
        note=new.note,
        created_at=at,
        created_by=by,
    )
    set_current_label(trace_id, value=new.value, rating=new.rating, tags=new.tags)
    return label, True


def save_filter(*, name: str, query: str, by: User, at: datetime) -> SavedFilter:
    """Keep a query string under a name. Raises ValueError when the name is taken by another query; the same again adds nothing."""
    known = SavedFilter.objects.filter(name=name).first()
    if known is not None and known.query == query:
        return known
    try:
        with transaction.atomic():
            saved = SavedFilter.objects.create(name=name, query=query, created_by=by, created_at=at)
            record("filter.saved", f"filter {saved.pk}", by=by, detail={"name": name, "query": query})
    except IntegrityError as error:
        message = _("A filter named “%(name)s” exists with other conditions; choose another name, or delete it first.")
        raise ValueError(message % {"name": name}) from error
    return saved


def may_delete(saved: SavedFilter, user: User) -> bool:
    """A filter goes by the hand of the one who made it, or of an editor."""
    return saved.created_by_id == user.pk or user.may(Role.EDITOR)


@transaction.atomic
def delete_filter(saved: SavedFilter, *, by: User) -> None:
    """Forget a saved filter; the traces that it showed are untouched. Raises PermissionDenied when it is not theirs to delete."""
    if not may_delete(saved, by):
        raise PermissionDenied(_("Only the one who saved a filter, or an editor, deletes it."))
    record("filter.deleted", f"filter {saved.pk}", by=by, detail={"name": saved.name, "query": saved.query})
    SavedFilter.objects.filter(pk=saved.pk).delete()
