"""What a person fills in to ask an engine. Limits of single fields stand here, those between fields in run_actions.Sampling and the form's clean."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from webapp.engines.models import Engine
from webapp.problems.models import ProblemSet, Verifier
from webapp.traces.run_actions import Sampling

PROMPT, SET = "prompt", "set"
MAX_PROMPT = 200_000  # characters
# a single prompt has no scorer of its own, so reasoning-gym's are not offered
VERIFIERS = [(v.value, v.label) for v in (Verifier.MATH, Verifier.NUMERIC, Verifier.EXACT)]


class AskForm(forms.Form):
    """Engine, question or problem set, sampling."""

    engine = forms.ModelChoiceField(
        label=gettext_lazy("Engine"), queryset=Engine.objects.order_by("name"), empty_label=None
    )
    what = forms.ChoiceField(
        label=gettext_lazy("Ask"),
        choices=[(PROMPT, gettext_lazy("one prompt")), (SET, gettext_lazy("a problem set"))],
        widget=forms.RadioSelect,
        initial=PROMPT,
    )
    prompt = forms.CharField(
        label=gettext_lazy("Prompt"),
        required=False,
        max_length=MAX_PROMPT,
        strip=False,
        widget=forms.Textarea({"rows": 5, "spellcheck": "false"}),
    )
    answer = forms.CharField(
        label=gettext_lazy("Gold answer"),
        required=False,
        max_length=10_000,
        help_text=gettext_lazy("If you know it, the run can be verified."),
    )
    verifier = forms.ChoiceField(
        label=gettext_lazy("Compared as"), choices=VERIFIERS, required=False, initial=Verifier.MATH
    )
    problem_set = forms.ModelChoiceField(
        label=gettext_lazy("Problem set"),
        queryset=ProblemSet.objects.order_by("name"),
        required=False,
        empty_label=gettext_lazy("choose"),
    )
    limit = forms.IntegerField(
        label=gettext_lazy("Only the first"),
        required=False,
        min_value=1,
        help_text=gettext_lazy("problems; empty: all of them"),
    )
    n = forms.IntegerField(label=gettext_lazy("Samples a problem"), min_value=1, max_value=1024, initial=8)
    temperature = forms.FloatField(
        label=gettext_lazy("Temperature"),
        min_value=0,
        max_value=2,
        initial=0.6,
        help_text=gettext_lazy("0: always the likeliest token"),
    )
    max_tokens = forms.IntegerField(
        label=gettext_lazy("Most tokens"), min_value=1, max_value=1_000_000, help_text=gettext_lazy("of a sample")
    )
    top_p = forms.FloatField(
        label=gettext_lazy("Top-p"), min_value=0.0001, max_value=1, initial=1, help_text=gettext_lazy("1: off")
    )
    top_k = forms.IntegerField(
        label=gettext_lazy("Top-k"), min_value=0, max_value=1_000_000, initial=0, help_text=gettext_lazy("0: off")
    )
    seed = forms.IntegerField(
        label=gettext_lazy("Seed"),
        required=False,
        min_value=0,
        max_value=2**62,
        help_text=gettext_lazy("empty: one is drawn and stored"),
    )
    name = forms.CharField(
        label=gettext_lazy("Name of the run"),
        required=False,
        max_length=200,
        help_text=gettext_lazy("empty: made from the question"),
    )
    system_prompt = forms.CharField(
        label=gettext_lazy("System prompt"),
        required=False,
        max_length=MAX_PROMPT,
        widget=forms.Textarea({"rows": 2, "spellcheck": "false"}),
    )

    def clean(self) -> dict[str, Any]:
        """Ask for what the choice needs, and for what fits the engine's context."""
        given: dict[str, Any] = super().clean() or {}
        if given.get("what") == PROMPT and "prompt" in given and not given["prompt"].strip():
            self.add_error("prompt", _("Write a prompt, or choose an example."))
        if given.get("what") == SET and "problem_set" in given and given["problem_set"] is None:
            self.add_error("problem_set", _("Choose a problem set."))
        self._clean_context(given)
        return given

    def _clean_context(self, given: dict[str, Any]) -> None:
        engine, most = given.get("engine"), given.get("max_tokens")
        context = int(engine.facts.get("context") or 0) if engine else 0
        if not context:
            return
        if most and most >= context:
            words = _("The context of %(engine)s is %(context)s tokens, prompt included; ask for fewer.")
            self.add_error("max_tokens", words % {"engine": engine, "context": f"{context:,}"})
        longest = int(engine.facts.get("longest_token_bytes") or 0) if engine else 0
        asked = given.get("prompt", "") if given.get("what") == PROMPT else ""
        least = -(-len((asked + given.get("system_prompt", "")).encode()) // longest) if longest else 0
        if least >= context:
            words = _("This is at least %(least)s tokens; the context of %(engine)s is %(context)s. Shorten it.")
            field = "prompt" if given.get("what") == PROMPT else "system_prompt"
            self.add_error(field, words % {"least": f"{least:,}", "engine": engine, "context": f"{context:,}"})

    def sampling(self) -> Sampling:
        """The sampling that a valid form asks for."""
        given = self.cleaned_data
        return Sampling(
            n=given["n"], temperature=given["temperature"], top_p=given["top_p"], top_k=given["top_k"], max_tokens=given["max_tokens"],
            seed=given["seed"], system_prompt=given["system_prompt"],
        )  # fmt: skip
