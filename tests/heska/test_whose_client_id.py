"""An address for unmatched results that names a clinic by the client id that Heska gave it. Any
clinic's administrator may type any client id: only Heska says whose it is (I3)."""

from __future__ import annotations

import threading

import pytest
from django.db import connections as database

from integrations.heska import connections, credentials, tokens
from integrations.heska.models import Connection
from integrations.heska.services import addresses
from labs.errors import InvalidInput
from tests import factories
from tests.heska.conftest import TOKEN

pytestmark = pytest.mark.django_db


@pytest.fixture
def elm(connected, settings):
    """Not connected yet; the settings are Heska's."""
    clinic = factories.make_clinic("Elm Street")
    connected(clinic)
    Connection.objects.all().delete()
    return clinic


def enter(clinic, **more):
    return credentials.enter(
        acting_user=None, clinic=clinic, client_id="c-1", client_secret="s", untested=True, **more
    )


def test_typed_in_and_untested_it_leads_nowhere_for_a_vendor_wide_token(elm, fake_heska):
    fake_heska.on("/oauth/token", *[(503, b"", {})] * 3)
    assert enter(elm).stored
    assert addresses.clinic_named("c-1", of=None) is None
    assert addresses.clinic_named("c-1", of=elm) == elm  # that token says whose it is
    oak = factories.make_clinic("Oak")
    assert addresses.clinic_named("c-1", of=oak) is None
    assert addresses.clinic_named(elm.public_id, of=None) == elm


@pytest.mark.parametrize("how", ["entered", "tested", "ordered"])
def test_once_heska_gave_a_token_it_leads_to_the_clinic(elm, fake_heska, how):
    if how != "entered":
        connections.connect(acting_user=None, clinic=elm, client_id="c-1", client_secret="s")
        assert addresses.clinic_named("c-1", of=None) is None
    fake_heska.on("/oauth/token", (200, TOKEN, {}))
    if how == "entered":
        enter(elm)
    elif how == "tested":
        credentials.test(acting_user=None, clinic=elm)
    else:
        tokens.get(Connection.objects.get(), lambda: 10.0)
    assert addresses.clinic_named("c-1", of=None) == elm


def test_a_new_secret_for_it_changes_nothing_and_another_client_id_does(elm, fake_heska):
    fake_heska.on("/oauth/token", (200, TOKEN, {}))
    enter(elm)
    connections.connect(acting_user=None, clinic=elm, client_id="c-1", client_secret="new")
    assert addresses.clinic_named("c-1", of=None) == elm
    connections.connect(acting_user=None, clinic=elm, client_id="c-2", client_secret="new")
    assert addresses.clinic_named("c-1", of=None) is None
    assert addresses.clinic_named("c-2", of=None) is None


@pytest.mark.django_db(transaction=True)
def test_two_clinics_that_enter_one_client_id_at_once():
    """One has it, the other is told. The look beforehand sees nothing yet."""
    clinics = [factories.make_clinic(name) for name in ("Elm", "Oak", "Ash", "Fir")]
    start, told = threading.Barrier(len(clinics)), []

    def enter(clinic):
        try:
            given = connections.checked(clinic, "c-1", "s")
            start.wait(10)
            connections.store(
                acting_user=None, clinic=clinic, client_id=given[0], client_secret=given[1]
            )
            told.append("stored")
        except InvalidInput as error:
            told.append(error.message)
        finally:
            database.close_all()

    threads = [threading.Thread(target=enter, args=(clinic,)) for clinic in clinics]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == [connections.TAKEN] * 3 + ["stored"]
    assert Connection.objects.filter(client_id="c-1").count() == 1
