"""Erasing what is held on an owner as a person, on their request. Their animals' clinical records
stay.

What goes: name, phone and e-mail of the owner; what was typed at the analyzer of whose sample it
was, on every result of their animals; the bodies of the messages that named them, in and out; what
was sent of an order; what the screens of a match showed; and their name, phone and e-mail wherever
people wrote them (labs/queries/registry/owner_words.py), but where somebody says that a word only
looks like it. What stays, and why, the page says before (`KEPT`). There is no way back.

A body that holds several owners' animals is a list of messages, each of which is a message of its
own with its own body: the list's body goes as a whole, the others' own bodies stay.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Collection
from typing import TYPE_CHECKING

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.db.models import Q
from django.template.loader import render_to_string
from django.utils import timezone

from labs import roles
from labs.errors import InvalidInput, Stale
from labs.models import (
    Attachment,
    Blanked,
    MatchDecision,
    Owner,
    UnmatchedResult,
)
from labs.models.append_only import ERASED
from labs.models.vocabulary import forget, lock
from labs.outline import outline
from labs.queries.registry import owner_data, owner_words
from labs.services.events import record
from labs.services.orphaned.decisions import SEPARATED
from labs.services.privacy import blanking

if TYPE_CHECKING:
    from django.contrib.auth.models import User

# Of labs.report.Identity: what tells a person or an animal apart. The rest is clinical.
NAMING = (
    *("patient_id", "patient_name", "microchip"),
    *("owner_id", "owner_first_name", "owner_last_name"),
)
CLINICAL = (
    *("animal", "species", "species_code", "breed", "sex", "sex_code", "birth_date", "age"),
    *("weight", "weight_unit", "doctor"),
)
# Of a decision's evidence: what the rule is judged by, without what stood on the screen.
JUDGED = (
    *("grade", "probability", "tied", "shadow", "found_by", "model", "nobody", "emergency_code"),
    # What contradicted it, for the second person; who had seen it; and that records were separated.
    *("serious", "seen_by", SEPARATED),
)
ERASED_WORDS = "What was typed contradicted the request; it was erased with the owner's data."
KEPT = (
    (
        "The animals, their visits, requests, results, reviews and files",
        "they are clinical records",
    ),
    ("The animals' names and ids, and the owner's id", "records hang on them"),
    ("Each message's times, ids, states and hash", "so that it is known if it is sent again"),
    ("Who did what and when, by ids alone", "nobody can change it, and it names nobody"),
    (
        "What people wrote themselves, such as notes and reasons",
        "it is part of the record; the name, phone and e-mail in it go where it is ticked below",
    ),
    (
        "What the laboratory wrote in a result, and what is in a file that came with it",
        "versions of a result never change",
    ),
    ("What people wrote about other owners' animals", "it is not looked through"),
    ("Mail that was sent, paper, the practice's own files, back-ups", "they are not here"),
)


def export(*, acting_user: User, owner: Owner) -> bytes:
    """A ZIP of all that is held: `owner.json`, the same to read as `owner.html`, and the files that
    came with results. On record. Raises NotAllowed."""
    roles.require(acting_user, owner.clinic, "administer")
    with transaction.atomic():
        found = owner_data.held(owner)
        held = owner_data.export(found)
        files = Attachment.objects.filter(result__run__request__in=found.requests)
        content = _zip(held, owner, list(files.order_by("pk")))
        record("owner.exported", clinic=owner.clinic, acting_user=acting_user, owner=owner.pk)
    return content


def _zip(held: dict[str, object], owner: Owner, files: list[Attachment]) -> bytes:
    packed = io.BytesIO()
    plain = json.dumps(held, cls=DjangoJSONEncoder, indent=1, ensure_ascii=False)
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("owner.json", plain)
        read = outline(json.loads(plain))
        context = {"outline": read, "owner": owner, "now": timezone.now()}
        archive.writestr("owner.html", render_to_string("labs/owner_export.html", context))
        for file in files:
            kind = file.content_type.rpartition("/")[2]
            archive.writestr(f"files/{file.uuid}.{kind}", bytes(file.content))
    return packed.getvalue()


def erase(
    *,
    acting_user: User,
    owner: Owner,
    typed: str,
    keep: Collection[str] = (),
    seen: str | None = None,
) -> None:
    """For good, in one transaction. `typed`: the owner's id, as the person wrote it to confirm.
    `keep`: of what people wrote, the places (`owner_words`) where a word only looks like the
    owner's; `seen`: the places as they were shown.

    Raises NotAllowed, Stale where other texts name the owner than were shown, InvalidInput where
    the confirmation is another one, it was done before, or something is in the way
    (`owner_data.in_the_way`)."""
    roles.require(acting_user, owner.clinic, "administer")
    if typed.strip() != owner.owner_id:
        raise InvalidInput(f"Type {owner.owner_id} to confirm. Nothing was erased.")
    with transaction.atomic():
        lock(owner.clinic_id)
        rows = Owner.objects.select_for_update(of=("self",)).select_related("clinic")
        owner = rows.get(pk=owner.pk)
        if owner.erased_at is not None:
            raise InvalidInput("This owner's data was erased before.")
        found = owner_data.held(owner)
        if reasons := owner_data.in_the_way(found):
            raise InvalidInput(" ".join(["Nothing was erased.", *reasons]))
        places = owner_words.places(found)
        if seen is not None and seen != owner_words.seen_key(places):
            raise Stale(
                "Nothing was erased: somebody has just written something with this owner's name "
                "in it, or changed it. Look at what people wrote once more."
            )
        emptied = blanking.blank(found.messages, Blanked.ERASED)
        left = found.messages.filter(blanked_at=None).count()
        if left:
            raise InvalidInput(
                f"Nothing was erased: {left} messages of this owner's are not settled yet. "
                "Finish or cancel their requests first."
            )
        found.submissions.update(sent_body="", provider_words="")
        for orphan in found.unmatched:
            _forget_typed(orphan)
        # Also of a match that was taken back: its screen showed this owner.
        shown = Q(unmatched__in=found.unmatched) | Q(request__in=found.requests)
        for decision in MatchDecision.objects.filter(shown):
            decision.evidence = {k: v for k, v in decision.evidence.items() if k in JUDGED}
            decision.save(update_fields=["evidence"])
        texts = _forget_words(places, keep)
        _forget_name(owner)
        record(
            "owner.erased",
            clinic=owner.clinic,
            acting_user=acting_user,
            owner=owner.pk,
            messages=emptied,
            results=found.unmatched.count(),
            texts=texts,
            texts_kept=len(places) - texts,
        )


def _forget_typed(orphan: UnmatchedResult) -> None:
    orphan.typed = {name: orphan.typed[name] for name in CLINICAL if name in orphan.typed}
    # That there was one still speaks: nothing is filed by an emergency code against it.
    orphan.contradictions = [ERASED_WORDS] if orphan.contradictions else []
    orphan.version += 1
    orphan.save(update_fields=["typed", "typed_id", "contradictions", "version"])


def _forget_words(places: list[owner_words.Place], keep: Collection[str]) -> int:
    """Names, phone and e-mail in what people wrote; the rest of it stays. How many texts."""
    hers = [place for place in places if place.key not in keep]
    for place in hers:
        kept = place.pieces[::2]
        setattr(place.row, place.field, ERASED.join(kept)[: place.longest])
        place.row.save(update_fields=[place.field])
    return len(hers)


def _forget_name(owner: Owner) -> None:
    surname = owner.surname_key
    owner.first_name = owner.last_name = owner.phone = owner.email = ""
    owner.erased_at = timezone.now()
    owner.save()
    forget(owner.clinic_id, surname)
    LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(Owner), object_id=str(owner.pk)
    ).update(object_repr="erased", change_message="")
