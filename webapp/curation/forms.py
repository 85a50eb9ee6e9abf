"""What people type into the pages of curation, checked field by field. A selection's recipe is in recipe_form.py."""

from django import forms
from django.utils.translation import gettext_lazy as _

from webapp import tags
from webapp.curation.actions import NewLabel
from webapp.curation.models import ExportFormat
from webapp.traces.models import LabelValue

RATINGS = [("", _("none")), *((str(n), str(n)) for n in range(1, 6))]


class LabelForm(forms.Form):
    """One label. `seen` is the id of the newest label that the page showed."""

    value = forms.ChoiceField(
        choices=LabelValue.choices, error_messages={"required": _("Choose keep, reject or unsure, then it is saved.")}
    )
    rating = forms.TypedChoiceField(
        label=_("Rating"), choices=RATINGS, coerce=int, empty_value=None, required=False, widget=forms.RadioSelect
    )
    tags = forms.CharField(
        label=_("Tags"),
        required=False,
        max_length=500,
        widget=forms.TextInput(attrs={"list": "used-tags", "autocomplete": "off", "data-label": "tags"}),
    )
    note = forms.CharField(
        label=_("Note"),
        required=False,
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 3, "data-label": "note"}),
    )
    seen = forms.IntegerField(required=False, min_value=1, widget=forms.HiddenInput)

    def clean_tags(self) -> str:
        """The canonical form of webapp.tags."""
        try:
            return tags.canonical(self.cleaned_data["tags"])
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error

    def new_label(self) -> NewLabel:
        """What the valid form says."""
        data = self.cleaned_data
        return NewLabel(LabelValue(data["value"]), data["rating"], data["tags"], data["note"].strip())


class SavedFilterForm(forms.Form):
    """A name for the conditions of a trace list."""

    name = forms.CharField(label=_("Name"), max_length=120, error_messages={"required": _("Give the filter a name.")})
    query = forms.CharField(required=False, max_length=4000, widget=forms.HiddenInput)


class RunSelectionForm(forms.Form):
    """The names of a selection that is to be run and of the dataset that it draws."""

    name = forms.CharField(
        label=_("Name of the selection"),
        max_length=200,
        help_text=_("What it is for, such as “cold start, first try”."),
    )
    dataset = forms.CharField(
        label=_("Dataset"),
        max_length=200,
        help_text=_("A new one, or one that is there: it then gets its next version."),
    )


class ExportForm(forms.Form):
    """The format to write."""

    format = forms.ChoiceField(label=_("Format"), choices=ExportFormat.choices)
