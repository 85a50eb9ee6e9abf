"""What the trace page's modules say, translated here, as they have no catalogue of their own. They put it together: {name} is replaced there."""

from django.utils.translation import gettext as _


def words() -> dict[str, object]:
    """Sentences and names by the key under which the modules know them."""
    return _page() | _legend() | _names()


def _page() -> dict[str, object]:
    return {
        "layerOf": _("layer {id} ({n} of {count})"),
        "layer": _("layer {id}"),
        "token": _("token {n} of {count}"),
        "tokenNamed": _("token {n}: {text}"),
        "loading": _("{loaded} of {count} tokens"),
        "failed": _("The tokens could not be loaded: {why}. Reload the page to try again."),
        "notRouted": _("It was never fed back, so nothing was routed."),
        "found": _("{n} of {count}"),
        "notFound": _("not found on this page"),
        "empty": _("(no text of its own)"),
        "mapAt": _("token {n} of {count}"),
        "mapFailed": _("The map could not be made: {why}"),
        "saidEntropy": _("entropy {value}"),
        "saidMargin": _("margin {value}"),
        "saidSwapped": _("{value} by the bias"),
        "saidGroups": _("groups {value}"),
        "shown": _("{kind}: {value}"),
        "forking": _("{value}, forking"),
    }


def _legend() -> dict[str, object]:
    return {
        "counts": _("{share} of {count} tokens by top-1 expert"),
        "countsAny": _("{share} of {count} tokens"),
        "lessLikely": _("0 to {low} nats; deeper is less likely"),
        "entropyRange": _("0 to {high} nats; deeper is less certain"),
        "gateRange": _("gate weight 0 to {high}"),
        "gateAny": _("gate weight of the strongest expert, 0 to {high}"),
        "changeRange": _("0 to {high} experts that the token before did not have"),
        "routingEntropyRange": _("0 to {high} nats; deeper is a router less certain"),
        "marginRange": _("{high} to 0 between the last chosen and the best refused; deeper is closer"),
        "swappedRange": _("0 to {high} experts chosen only through the bias"),
        "unknown": _("not known for the prompt"),
        "forks": _("notched: forking tokens, above {value} nats (the 80th percentile of think and answer)"),
        "soFar": _("of the tokens read so far"),
        "mostUsed": _("the {n} most used of {count}"),
        "repeats": _("colours repeat after {n} experts; the numbers do not"),
        "nothing": _("nothing to show"),
        "loopsNone": _("no loop: nothing comes three times in a row"),
        "acceptedNone": _("no token was drafted and accepted"),
    }


def _names() -> dict[str, object]:
    return {
        "expert": _("expert {id}"),
        "group": _("group {id}"),
        "looping": _("the same tokens at least three times in a row"),
        "acceptedNames": [_("sampled"), _("drafted and accepted")],
        "segments": [_("prompt"), _("think"), _("answer"), _("other")],
        "scripts": {
            "latin": _("Latin"),
            "han": _("Han"),
            "kana": _("Kana"),
            "hangul": _("Hangul"),
            "cyrillic": _("Cyrillic"),
            "arabic": _("Arabic"),
            "digits": _("digits"),
            "letters": _("other letters"),
            "signs": _("signs and spaces"),
        },
    }
