"""What people choose on the import pages.

The names of the formats are those of `workers.formats`, which the web application never imports; a test compares the two.
"""

from django import forms
from django.utils.translation import gettext_lazy as _

from webapp.jobs.models import JobKind

AUTO = "auto"
FORMATS = {
    JobKind.IMPORT_PROBLEMS: [
        (AUTO, _("recognise by content")),
        ("gsm8k", _("GSM8K: question, answer ending in ####")),
        ("math500", _("MATH-500: problem, solution, answer, subject, level")),
        ("plain_problems", _("plain: prompt or problem or messages, answer")),
    ],
    JobKind.IMPORT_TRACES: [
        (AUTO, _("recognise by content")),
        ("seed_traces", _("gathered traces: id, source, problem, raw, reasoning")),
        ("plain_traces", _("plain: prompt, completion; or a conversation")),
    ],
}
FAMILIES = [
    ("chain_sum", _("sums and differences")),
    ("gcd", _("greatest common divisor")),
    ("number_sorting", _("sorting numbers")),
    ("number_filtering", _("comparing with a bound")),
    ("letter_counting", _("counting a letter")),
    ("simple_equations", _("equations in one unknown")),
]
SPLITS = [
    ("heldout", _("held out from the bundled model's training")),
    ("train", _("those it may have been trained on")),
    ("any", _("both")),
]


class UploadForm(forms.Form):
    """The file. Its size is checked while it is stored."""

    file = forms.FileField(
        label=_("File"),
        error_messages={"required": _("Choose a file first."), "empty": _("The file is empty: it has no records.")},
    )


class ConfirmForm(forms.Form):
    """The name to import under and the format to read as."""

    name = forms.CharField(max_length=180, error_messages={"required": _("Give it a name.")})
    format = forms.ChoiceField(label=_("Format"))

    def __init__(self, *args: object, kind: JobKind, name_label: str, name_help: str, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # handed through as they are
        self.fields["name"].label, self.fields["name"].help_text = name_label, name_help
        choice = self.fields["format"]
        assert isinstance(choice, forms.ChoiceField)  # noqa: S101  # declared above
        choice.choices = FORMATS[kind]

    def clean_name(self) -> str:
        """The name with single spaces."""
        return " ".join(self.cleaned_data["name"].split())


class ProceduralForm(forms.Form):
    """Problems that are made instead of read."""

    family = forms.ChoiceField(label=_("Family"), choices=FAMILIES)
    size = forms.IntegerField(label=_("How many"), min_value=1, max_value=20_000, initial=200)
    seed = forms.IntegerField(
        label=_("Seed"),
        min_value=0,
        max_value=2**31 - 1,
        initial=0,
        help_text=_("The same seed makes the same problems."),
    )
    split = forms.ChoiceField(label=_("Which"), choices=SPLITS)
    set_name = forms.CharField(
        label=_("Problem set"),
        max_length=180,
        required=False,
        help_text=_("Left empty, it is named after the choices above."),
    )
