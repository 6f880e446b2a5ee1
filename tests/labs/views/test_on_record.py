"""What must be on record, act by act: signing in, looking, printing, exporting, mailing, deciding,
signing, replaying, credentials and roles. Each leaves its entry, of that person, by ids alone."""

from __future__ import annotations

import re

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from labs.models import LabEvent, Role
from tests import factories
from tests.http import posts
from tests.http.world import World, make_world

pytestmark = pytest.mark.django_db
PASSWORD = "seven brown horses in a row"
# Act, method, address, object, who, what is on record.
ACTS = """
view of a patient     GET  labs:patient               patient   vet   patient.viewed
view of a result      GET  labs:request               request   vet   result.viewed
view of a file        GET  labs:attachment            file      vet   file.viewed
view of a message     GET  labs:message               message   admin message.viewed
view of an owner      GET  labs:owner_data            owner     admin owner.viewed
view of a report      GET  labs:owner_report          request   vet   result.viewed
view of versions      GET  labs:versions              versions  vet   result.viewed
view of an orphan     GET  labs:match                 orphan    vet   unmatched.viewed
an orphan, elsewhere  GET  admin:labs_unmatchedresult_match orphan admin unmatched.viewed
a patient, elsewhere  GET  admin:labs_patient_change  labs_patient admin record.viewed
an owner, elsewhere   GET  admin:labs_owner_change    labs_owner entered record.viewed
a visit, elsewhere    GET  admin:labs_visit_change    labs_visit admin record.viewed
a request, elsewhere  GET  admin:labs_labrequest_change labs_labrequest entered record.viewed
a result, elsewhere   GET  admin:labs_labresult_change labs_labresult entered result.viewed
a review, elsewhere   GET  admin:labs_review_change   labs_review entered result.viewed
a message, elsewhere  GET  admin:labs_message_change  labs_message entered record.viewed
an order, elsewhere   GET  admin:labs_submission_change labs_submission entered record.viewed
a match, elsewhere    GET  admin:labs_matchdecision_change labs_matchdecision entered record.viewed
print                 POST labs:printed               request   vet   result.printed
PDF for the owner     POST labs:owner_report_pdf      request   vet   result.printed
e-mail to the owner   POST labs:send_report           request   vet   result.sent
export of a message   GET  labs:message_body          message   admin message.exported
export of the audit   GET  labs:audit_export          -         admin audit.exported
export of charges     GET  labs:charges_export        -         desk  charges.exported
export of the missing GET  heska_pages:missing        clinic    admin request.missing_exported
export of an owner    GET  labs:owner_export          owner     admin owner.exported
match                 POST labs:match                 orphan    vet   unmatched.match
unmatch               POST labs:unmatch               matched   vet   unmatched.unmatch
hold                  POST labs:hold                  orphan    vet   unmatched.hold
dismissal             POST labs:dismiss               orphan    vet   unmatched.dismiss
move                  POST labs:move_request          request   vet   request.moved
review                POST labs:sign                  request   vet   result.reviewed
replay                POST labs:replay                bad       admin message.replayed
replay of all         POST labs:replay_all            -         admin message.replayed
credentials made      POST heska_pages:make_client    clinic    admin heska.client_created
credentials revoked   POST heska_pages:revoke         client    admin heska.client_revoked
credentials tried     POST heska_pages:test           clinic    admin heska.
change of a patient   POST labs:edit_patient          patient   vet   patient.changed
order                 POST labs:new_request           -         vet   request.placed
cancellation          POST labs:cancel                open      vet   request.cancelled
charge                POST labs:charge                -         desk  request.charged
role                  POST admin:labs_membership_change labs_membership admin staff.role
clinic entered        POST admin:labs_clinic_enter    labs_clinic root clinic.entered
"""
LINES = [(line[:22].strip(), *line[22:].split()) for line in ACTS.strip("\n").splitlines()]


@pytest.fixture
def world() -> World:
    return make_world()


def test_each_act_is_on_record(world: World) -> None:
    """In one world, each act in a transaction of its own: a world costs a second."""
    for what, *line in LINES:
        with transaction.atomic():
            problem = done(world, *line)
            transaction.set_rollback(True)
        assert not problem, f"{what}: {problem}"


def done(world: World, method: str, name: str, kind: str, role: str, verb: str) -> str:
    address = reverse(name, args=world.arguments(kind, "own"))
    client = world.client(role)
    before = set(LabEvent.objects.values_list("pk", flat=True))
    data = posts.data(world, name, role, "own") if method == "POST" else {}
    answer = client.get(address) if method == "GET" else client.post(address, data)
    if answer.status_code >= 400:
        return f"{answer.status_code} {answer.content[:300]!r}"
    new = LabEvent.objects.exclude(pk__in=before)
    found = list(new.filter(verb__startswith=verb))
    if not found:
        return f"only {list(new)}"
    for event in found:
        if event.actor != world.people[role] or event.clinic != world.own.clinic:
            return f"{event} is {event.actor}'s at {event.clinic}"
        # The ids of this world are made of its word.
        if re.search(rf"(?<!-){world.own.word}", str(event.data)):
            return f"a name in {event.data}"
    return ""


@pytest.mark.parametrize("right", [True, False])
def test_signing_in_and_out_is_on_record(right: bool) -> None:
    user = factories.make_staff(Role.VET, username="ada", password=PASSWORD)
    client = Client()
    form = {"username": "ada", "password": PASSWORD if right else "another one"}
    client.post(reverse("labs:login"), form)
    if right:
        client.post(reverse("labs:logout"))
    verbs = list(LabEvent.objects.filter(verb__startswith="staff.").values_list("verb", flat=True))
    assert verbs == (["staff.signed_in", "staff.signed_out"] if right else ["staff.sign_in_failed"])
    for event in LabEvent.objects.filter(verb__startswith="staff."):
        assert event.clinic == user.membership_set.get().clinic


def test_a_result_and_its_correction_are_on_record() -> None:
    request = factories.make_request(accepted=True)
    run = factories.make_run(key="run-a")
    factories.make_result(request, factories.make_report([run]))
    again = factories.make_run([factories.make_row(value="7.00")], key="run-a", status="corrected")
    factories.make_result(request, factories.make_report([again], version=2, status="corrected"))
    assert LabEvent.objects.filter(verb="result.filed", request=request).count() == 2
