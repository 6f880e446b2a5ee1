"""Two clinics with one of everything, and everybody who may knock at a door of either.

Of the other clinic each name and each id is known, so that a page that tells one of them is found.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, models
from django.test import Client
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from integrations.heska.connections import connect, create_client
from integrations.heska.models import Connection, InboundClient
from labs.models import (
    Alarm,
    Analyte,
    Analyzer,
    Attachment,
    Clinic,
    LabEvent,
    LabRequest,
    LabResult,
    Membership,
    Message,
    Panel,
    Review,
    Role,
    Submission,
    UnmatchedResult,
    Visit,
)
from labs.services import own
from labs.services.intake import journal
from labs.services.orders import emergency_codes
from labs.services.orders.codes import set_code
from labs.services.orphaned import matching
from labs.services.people import wall
from labs.services.registry import merging
from labs.services.reviews import care, review
from labs.services.reviews.limits import set_limit
from labs.views.access import ENTERED
from pims.idle import USED
from tests import factories

NOBODY = UUID(int=0)
MISSING_PK = 987_654_321


@dataclass
class Place:
    """A clinic, and what an address of it may name: by kind, as arguments of `reverse`."""

    clinic: Clinic
    word: str
    wall_key: str  # what a paired screen's browser keeps
    objects: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, models.Model] = field(default_factory=dict)
    # What a page's form holds: the rows stay as they are made, so it is read once.
    forms: dict[Any, dict[str, Any]] = field(default_factory=dict)

    def ids(self) -> list[str]:
        """What only people of this clinic may read anywhere."""
        found = {self.word, self.clinic.public_id, self.clinic.name}
        for row in self.rows.values():
            for name in ("lab_report_id", "uuid", "patient_id", "owner_id", "receipt_id", "code"):
                value = getattr(row, name, "")
                # `patient_id` of a result is a number of the database, of a patient the clinic's.
                if isinstance(value, str | UUID):
                    found.add(str(value))
            found.add(getattr(row, "result_key", ""))
        return sorted(each for each in found if len(each) > 3)


def make_place(name: str, word: str) -> Place:
    clinic = factories.make_clinic(name, public_id=f"clinic-{word.lower()}")
    vet = factories.make_staff(Role.VET, clinic=clinic, username=f"vet-{word}", last_name=word)
    owner = factories.make_owner(
        clinic, owner_id=f"C-{word}", first_name=word, last_name=word, email=f"{word}@example.com"
    )
    patient = factories.make_patient(clinic, name=word, patient_id=f"P-{word}", owner=owner)
    second = factories.make_patient(clinic, name=f"{word} II", patient_id=f"P2-{word}", owner=owner)
    unused = factories.make_owner(clinic, last_name=f"{word} unused")
    request = factories.make_request(patient, accepted=True)
    run = factories.make_run(files=(factories.make_picture(file_name=f"{word}.png"),))
    factories.make_result(request, factories.make_report([run]))
    opened = factories.make_request(patient, accepted=True)
    stuck = factories.make_request(patient)
    Submission.objects.filter(request=stuck).update(state="needs_attention")
    LabRequest.objects.filter(pk=stuck.pk).update(state="needs_attention")
    signed = factories.make_request(patient, accepted=True)
    factories.make_result(signed)
    signed.refresh_from_db()
    review.sign(acting_user=vet, request=signed, expected_version=signed.version)
    orphan = factories.make_unmatched(clinic, patient_name=word, owner_last_name=word)
    held = factories.make_unmatched(clinic, patient_name=word)
    matching.hold(acting_user=vet, unmatched=held, expected_version=held.version, reason=word)
    matched = factories.make_unmatched(clinic, patient_name=word)
    matching.match(
        acting_user=vet, unmatched=matched, patient=patient, expected_version=matched.version
    )
    interval = own.set_interval(
        acting_user=None,
        clinic=clinic,
        analyte=Analyte.objects.get(code="WBC"),
        species="dog",
        low="5",
        high="15",
        unit="10^3/uL",
        source=word,
    )
    typed = factories.make_typed(patient, acting_user=vet)
    emergency = emergency_codes.give(acting_user=None, clinic=clinic)
    bad = factories.make_message(clinic, raw=f'{{"word": "{word}"}}'.encode())
    journal.quarantine(message=bad, cause="Not understood")
    code = set_code(acting_user=None, clinic=clinic, kind="sex", word=word, code="X")
    limit = set_limit(
        acting_user=None,
        clinic=clinic,
        analyte="K",
        species="dog",
        unit="mmol/L",
        low="2",
        high="8",
    )
    alarming = factories.make_request(second, accepted=True)
    rows = [factories.make_row("K", "9.1", unit="mmol/L")]
    factories.make_result(alarming, factories.make_report([factories.make_run(rows)]))
    follow_up = care.follow_up(
        acting_user=vet,
        request=request,
        what=word,
        assigned_to=vet,
        due_on=timezone.localdate() + timedelta(days=2),
    )
    care.tell_owner(acting_user=vet, request=request, what=word)
    care.hand_over(acting_user=vet, request=request, to=vet, note=word)
    alarm = Alarm.objects.get(run__request=alarming)
    access = connect(acting_user=None, clinic=clinic, client_id=f"id-{word}", client_secret="s")
    analyzer = Analyzer.objects.create(clinic=clinic, model="Element HT5", name=word)
    own.set_panel(
        acting_user=None,
        clinic=clinic,
        panel=Panel.objects.get(code="HDC-1"),
        favourite=True,
        billing_code=word[:32],
    )
    visit = Visit.objects.create(clinic=clinic, patient=patient, at=timezone.now(), doctor=word)
    kept, double = (factories.make_patient(clinic, name=f"{word} {n}") for n in ("A", "B"))
    merge = merging.merge(acting_user=None, survivor=kept, merged=double)
    boss = factories.make_staff(Role.ADMIN, clinic=clinic, username=f"boss-{word}")
    screen, _ = wall.make(acting_user=boss, clinic=clinic, name="Laboratory")
    _, pairing = wall.make(acting_user=boss, clinic=clinic, name="Corridor")
    _, link = wall.make(acting_user=boss, clinic=clinic, name="Treatment room")
    wall_key = wall.pair(link)
    assert wall_key
    colleague = factories.make_staff(clinic=clinic, username=f"colleague-{word}")
    for row in (request, opened, stuck, orphan, held, matched, signed):
        row.refresh_from_db()
    message = request.runs.get().versions.all()[0].message
    file = Attachment.objects.get(message=message)
    admin: dict[str, models.Model] = {
        "labs_clinic": clinic,
        "labs_analyzer": analyzer,
        "labs_owner": unused,
        "labs_patient": patient,
        "labs_visit": visit,
        "labs_membership": colleague.membership_set.get(),
        "labs_labrequest": request,
        "labs_labresult": LabResult.objects.filter(clinic=clinic)[0],
        "labs_message": message,
        "labs_submission": Submission.objects.get(request=request),
        "labs_labevent": LabEvent.objects.filter(clinic=clinic)[0],
        "labs_matchdecision": matched.decisions.get(),
        "labs_review": Review.objects.filter(clinic=clinic)[0],
        "labs_unmatchedresult": orphan,
        "heska_connection": Connection.objects.get(clinic=clinic),
        "heska_inboundclient": InboundClient.objects.get(clinic=clinic),
    }
    place = Place(clinic, word, wall_key)
    place.rows = {
        "patient": patient,
        "second": second,
        "owner": owner,
        "request": request,
        "open": opened,
        "stuck": stuck,
        "signed": signed,
        "typed": typed,
        "orphan": orphan,
        "held": held,
        "matched": matched,
        "emergency": emergency,
        "message": message,
        "bad": bad,
        "file": file,
        "alarm": alarm,
        "follow_up": follow_up,
        "vet": vet,
        "limit": limit,
        **admin,
    }
    place.objects = {
        "patient": (patient.uuid,),
        "owner": (owner.uuid,),
        "request": (request.lab_report_id,),
        "open": (opened.lab_report_id,),
        "stuck": (stuck.lab_report_id,),
        "signed": (signed.lab_report_id,),
        "typed": (typed.lab_report_id, typed.runs.get().pk),
        "file": (file.uuid,),
        "orphan": (orphan.uuid,),
        "held": (held.uuid,),
        "matched": (matched.uuid,),
        "merge": (merge.uuid,),
        "emergency": (emergency.code,),
        "code": (code.pk,),
        "range": (interval.pk,),
        "screen": (screen.pk,),
        "pairing": (pairing,),
        "alarm": (alarm.uuid,),
        "versions": (request.lab_report_id, request.runs.get().pk),
        "follow_up": (follow_up.uuid,),
        "limit": (limit.pk,),
        "message": (message.receipt_id,),
        "bad": (bad.receipt_id,),
        "clinic": (clinic.public_id,),
        "client": (access.client_id,),
        "key": (opened.result_key,),
        "login": (colleague.pk,),
        "link": (urlsafe_base64_encode(force_bytes(colleague.pk)), "made-up"),
        **{name: (row.pk,) for name, row in admin.items()},
    }
    place.rows["access"] = access  # type: ignore[assignment]
    return place


CATALOGUE: dict[str, Any] = {"labs_analyte": Analyte, "labs_panel": Panel}
MISSING: dict[str, tuple[Any, ...]] = {
    "link": (urlsafe_base64_encode(force_bytes(MISSING_PK)), "made-up"),
    "patient": (NOBODY,),
    "owner": (NOBODY,),
    "file": (NOBODY,),
    "alarm": (NOBODY,),
    "versions": ("VL-NOTTHERE", MISSING_PK),
    "follow_up": (NOBODY,),
    "limit": (MISSING_PK,),
    "orphan": (NOBODY,),
    "held": (NOBODY,),
    "matched": (NOBODY,),
    "merge": (NOBODY,),
    "request": ("LR-MISSING",),
    "open": ("LR-MISSING",),
    "stuck": ("LR-MISSING",),
    "signed": ("LR-MISSING",),
    "typed": ("LR-MISSING", MISSING_PK),
    "emergency": ("E-ZZZZ",),
    "code": (MISSING_PK,),
    "range": (MISSING_PK,),
    "screen": (MISSING_PK,),
    "pairing": ("MISSING",),
    "message": ("missing",),
    "bad": ("missing",),
    "clinic": ("clinic-missing",),
    "client": ("missing",),
    "key": ("missing",),
}


@dataclass
class World:
    own: Place
    other: Place
    people: dict[str, User]
    tokens: dict[str, str]
    clients: dict[str, Any]

    def client(self, role: str) -> Client:
        """A browser or a program of that role."""
        made = Client(raise_request_exception=True)
        if role in self.tokens:
            made.defaults["HTTP_AUTHORIZATION"] = f"Bearer {self.tokens[role]}"
        if role == "screen":
            made.cookies[settings.WALL_COOKIE_NAME] = self.own.wall_key
        if role == "halfway":
            form = {"username": "halfway", "password": "correct horse battery"}
            assert made.post("/login/", form)["Location"] == "/login/app/"
        if role in self.people:
            made.force_login(self.people[role])
        if role in self.people:
            # Else in some cell a minute is over and the session is written, which the same request
            # for another object does not do.
            session = made.session
            session[USED] = int(timezone.now().timestamp()) + 3600
            session.save()
        if role == "entered":
            session = made.session
            until = (timezone.now() + timedelta(minutes=30)).timestamp()
            session[ENTERED] = {str(self.own.clinic.pk): until}
            session.save()
        return made

    def arguments(self, kind: str, whose: str) -> tuple[Any, ...]:
        if kind == "-":
            return ()
        if kind == "client":
            # Another clinic's client under one's own clinic's address.
            clinic = self.own.clinic.public_id
            return (clinic, *(MISSING[kind] if whose == "missing" else self.objects(whose)[kind]))
        if kind == "app":
            return ("labs",)
        if kind in CATALOGUE:
            return (CATALOGUE[kind].objects.order_by("pk")[0].pk if whose == "own" else MISSING_PK,)
        if whose == "missing":
            return MISSING.get(kind, (MISSING_PK,))
        found: tuple[Any, ...] = self.objects(whose)[kind]
        return found

    def objects(self, whose: str) -> dict[str, Any]:
        return (self.own if whose == "own" else self.other).objects


def make_world() -> World:
    own, other = (
        make_place("Elm Street Veterinary Clinic", "Marigold"),
        make_place("Harbor Animal Hospital", "Hushpuppy"),
    )
    people = {
        role: factories.make_staff(role_name, clinic=own.clinic, username=role, **fields)
        for role, role_name, fields in (
            ("desk", Role.RECEPTION, {}),
            ("technician", Role.TECHNICIAN, {}),
            ("vet", Role.VET, {}),
            ("admin", Role.ADMIN, {"is_staff": True}),
            ("two", Role.VET, {}),
            ("disabled", Role.ADMIN, {"is_staff": True}),
            ("locum", Role.VET, {}),
        )
    }
    Membership.objects.create(user=people["two"], clinic=other.clinic, role=Role.RECEPTION)
    people["locum"].membership_set.update(ends_at=timezone.now() - timedelta(minutes=1))
    # The technician helped out at the other clinic once.
    Membership.objects.create(
        user=people["technician"],
        clinic=other.clinic,
        role=Role.VET,
        ends_at=timezone.now() - timedelta(minutes=1),
    )
    people["root"] = User.objects.create_superuser("root")
    people["entered"] = User.objects.create_superuser("entered")
    factories.make_staff(
        Role.ADMIN,
        clinic=own.clinic,
        username="halfway",
        password="correct horse battery",
        is_staff=True,
    )
    wide = create_client(acting_user=None, clinic=None)
    clients = {"heska": own.rows["access"], "wide": wide, "rival": other.rows["access"]}
    tokens = {role: _token(access) for role, access in clients.items()}
    # A session from before must not do.
    User.objects.filter(username="disabled").update(is_active=False)
    return World(own, other, people, tokens, clients)


def _token(access: Any) -> str:
    response = Client().post(
        "/api/oauth/token",
        {"client_id": access.client_id, "client_secret": access.client_secret},
        content_type="application/json",
    )
    token: str = response.json()["access_token"]
    return token


class Statements:
    """The SQL of a request without its values: what a stopwatch or a log could tell apart."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def __call__(self, execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
        self.found.append(re.sub(r'"s\d+_x\d+"', "savepoint", str(sql)))
        return execute(sql, params, many, context)

    def watch(self) -> Any:
        return connection.execute_wrapper(self)


__all__ = ["MISSING", "Message", "Place", "Statements", "UnmatchedResult", "World", "make_world"]
