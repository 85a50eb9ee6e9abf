"""What people type about themselves and each other."""

from django import forms
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.utils.translation import gettext_lazy as _

from webapp.accounts.models import Role


class SignInForm(forms.Form):
    """Name and password. The view asks the backend, and counts."""

    username = forms.CharField(
        label=_("Name"), max_length=150, widget=forms.TextInput({"autocomplete": "username", "autofocus": True})
    )
    password = forms.CharField(
        label=_("Password"),
        max_length=4096,
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "current-password"}),
    )


class NewUserForm(forms.Form):
    """A new member. There is no password to choose for somebody else: they come in by link and set one."""

    username = forms.CharField(label=_("Name"), max_length=150, validators=[UnicodeUsernameValidator()])
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices, initial=Role.ANNOTATOR)


class MemberForm(forms.Form):
    """A member's role, and whether they may come in."""

    role = forms.ChoiceField(choices=Role.choices)
    is_active = forms.BooleanField(required=False)
