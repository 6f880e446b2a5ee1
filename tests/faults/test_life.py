"""The life of results: whatever happens in whatever order, what must hold holds after each step."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from integrations.heska.services import filing
from labs import vendors
from labs.errors import InvalidInput, Stale
from labs.models import (
    LabEvent,
    LabRequest,
    LabResult,
    MatchDecision,
    Message,
    RequestState,
    ReviewState,
    Role,
    Submission,
    TestRun,
    UnmatchedResult,
)
from labs.queries.records.journal import balance
from labs.report import Identity
from labs.services.intake import journal, versions
from labs.services.orders import moving, ordering, states
from labs.services.orphaned import matching, splitting
from labs.services.reviews import review
from tests import factories
from tests.faults.conftest import FULL

STATUSES = ("Preliminary", "Final", "Corrected", "Cancelled")
TESTS = {"HHEM-1": ("CBC", ("WBC", "PLT")), "HDC-3": ("Kidney panel", ("CREA", "BUN"))}


class Life(RuleBasedStateMachine):
    """One clinic; its requests, and everything that was ever posted to it."""

    requests: Bundle[int] = Bundle("requests")
    posted: Bundle[tuple[str, bytes]] = Bundle("posted")

    def __init__(self) -> None:
        super().__init__()
        self.clinic = factories.make_clinic()
        self.vet = factories.make_staff(Role.VET, clinic=self.clinic)
        owner = factories.make_owner(self.clinic)
        self.patients = [
            factories.make_patient(self.clinic, owner=owner, name=name, patient_id=name)
            for name in ("Biscuit", "Olive")
        ]
        self.receipts: dict[tuple[str, bytes], str] = {}
        self.signed: dict[int, int] = {}
        self.stored: set[tuple[int, str]] = set()
        self.typed: dict[int, str] = {}

    # What a practice does.

    @rule(target=requests, patient=st.integers(0, 1), both=st.booleans())
    def place(self, patient: int, both: bool) -> int:
        request = factories.make_request(
            self.patients[patient], panels=tuple(TESTS) if both else ("HHEM-1",), accepted=True
        )
        return request.pk

    @rule(request=requests)
    def cancel(self, request: int) -> None:
        try:
            ordering.cancel_request(
                acting_user=self.vet, request=LabRequest.objects.get(pk=request), reason="Mistake"
            )
        except InvalidInput:
            return  # results are there already

    @rule(request=requests)
    def sign(self, request: int) -> None:
        found = LabRequest.objects.get(pk=request)
        try:
            review.sign(acting_user=self.vet, request=found, expected_version=found.version)
        except InvalidInput:
            return  # nothing to sign

    @rule(request=requests)
    def sign_what_is_no_more_shown(self, request: int) -> None:
        found = LabRequest.objects.get(pk=request)
        with pytest.raises(Stale):
            review.sign(acting_user=self.vet, request=found, expected_version=found.version - 1)

    @rule(which=st.integers(0, 5), onto=requests | st.none())
    def match(self, which: int, onto: int | None) -> None:
        if (orphan := self._orphan(which, "open")) is None:
            return
        request = LabRequest.objects.get(pk=onto) if onto else None
        try:
            matching.match(
                acting_user=self.vet,
                unmatched=orphan,
                patient=request.patient if request else self.patients[0],
                expected_version=orphan.version,
                request=request,
                reason="It is his",
            )
        except InvalidInput:
            assert request is not None, "a cancelled one"
            assert request.cancelled_at is not None

    @rule(which=st.integers(0, 5))
    def unmatch(self, which: int) -> None:
        if orphan := self._orphan(which, "matched"):
            matching.unmatch(
                acting_user=self.vet,
                unmatched=orphan,
                expected_version=orphan.version,
                reason="Not his",
            )

    @rule(which=st.integers(0, 5))
    def dismiss(self, which: int) -> None:
        if orphan := self._orphan(which, "open"):
            matching.dismiss(
                acting_user=self.vet,
                unmatched=orphan,
                expected_version=orphan.version,
                reason="Quality control",
            )

    @rule(which=st.integers(0, 5))
    def hold(self, which: int) -> None:
        if orphan := self._orphan(which, "open"):
            matching.hold(
                acting_user=self.vet,
                unmatched=orphan,
                expected_version=orphan.version,
                reason="Asks the owner",
            )

    @rule(which=st.integers(0, 5), state=st.sampled_from(["held", "dismissed"]))
    def restore(self, which: int, state: str) -> None:
        if orphan := self._orphan(which, state):
            matching.reopen(acting_user=self.vet, unmatched=orphan, expected_version=orphan.version)

    @rule(which=st.integers(0, 5), state=st.sampled_from(["open", "held"]))
    def split(self, which: int, state: str) -> None:
        if (orphan := self._orphan(which, state)) is None:
            return
        held = list(orphan.runs.order_by("pk").values_list("pk", flat=True))
        try:
            splitting.split(
                acting_user=self.vet,
                unmatched=orphan,
                runs=held[:1],
                expected_version=orphan.version,
            )
        except InvalidInput:
            assert len(held) < 2

    @rule(which=st.integers(0, 5), to=st.integers(0, 1))
    def move(self, which: int, to: int) -> None:
        if (orphan := self._orphan(which, "matched")) is None:
            return
        on = orphan.decisions.get(active=True).patient_id
        try:
            matching.move(
                acting_user=self.vet,
                unmatched=orphan,
                patient=self.patients[to],
                expected_version=orphan.version,
                reason="The other one",
            )
        except InvalidInput:
            assert on == self.patients[to].pk

    @rule(request=requests, to=st.integers(0, 1))
    def move_request(self, request: int, to: int) -> None:
        found = LabRequest.objects.get(pk=request)
        try:
            moving.move_request(
                acting_user=self.vet,
                request=found,
                patient=self.patients[to],
                expected_version=found.version,
                reason="The other one",
            )
        except InvalidInput:
            same = found.patient_id == self.patients[to].pk
            assert same or found.cancelled_at is not None

    # What Heska does.

    @rule(
        target=posted,
        request=requests,
        code=st.sampled_from(sorted(TESTS)),
        repeat=st.integers(1, 2),
        version=st.integers(1, 4),
        status=st.sampled_from(STATUSES),
        value=st.sampled_from(["6.13", "0.07", "<2", "*****"]),
        rows=st.integers(0, 2),
        patient=st.sampled_from(["own", "own", "own", "none", "other"]),
        dies=st.booleans(),
    )
    def push(self, request: int, dies: bool, patient: str, **said: Any) -> tuple[str, bytes]:
        found = LabRequest.objects.get(pk=request)
        whose = {"own": found.patient.name, "none": "", "other": "Nobody Else"}[patient]
        run = f"{found.lab_report_id}-{said['code']}-{said['repeat']}"
        body = self._body(run, found.lab_report_id, whose, **said)
        return self._post(f"/api/labresults/{found.result_key}", body, dies)

    @rule(
        target=posted,
        report=st.integers(1, 3),
        name=st.sampled_from(["BISCUIT", "Olive", ""]),
        code=st.sampled_from(sorted(TESTS)),
        both=st.booleans(),
        version=st.integers(1, 3),
        status=st.sampled_from(STATUSES),
        value=st.sampled_from(["6.13", "0.07"]),
        dies=st.booleans(),
    )
    def push_orphan(
        self, report: int, name: str, both: bool, dies: bool, **said: Any
    ) -> tuple[str, bytes]:
        run = f"orphan-{report}-{said['code']}"
        body = self._body(run, "", name, external_id=f"H-{report}", rows=2, repeat=1, **said)
        if both:
            read = json.loads(body)
            other = next(code for code in TESTS if code != said["code"])
            again = {**said, "code": other, "external_id": f"H-{report}", "rows": 2, "repeat": 1}
            more = json.loads(self._body(f"orphan-{report}-{other}", "", name, **again))
            read["Tests"] += more["Tests"]
            read["MessageId"] += "-both"
            body = json.dumps(read).encode()
        return self._post(f"/api/unmatchedlabresults/{self.clinic.public_id}", body, dies)

    @rule(
        target=posted,
        body=st.sampled_from([b"{", b"[]", b"{}", b"7", b'{"a":1,"a":2}', b'{"Tests":"x"}']),
        dies=st.booleans(),
    )
    def push_noise(self, body: bytes, dies: bool) -> tuple[str, bytes]:
        return self._post("/api/labresults/unknown", body, dies)

    @rule(target=posted, members=st.lists(consumes(posted), min_size=1, max_size=3))
    def push_again_as_array(self, members: list[tuple[str, bytes]]) -> Any:
        read = [json.loads(body) for _, body in members if body.startswith(b'{"MessageId"')]
        if not read:
            return multiple()
        return self._post(members[0][0], json.dumps(read).encode(), False)

    @rule(sent=posted, dies=st.booleans())
    def redeliver(self, sent: tuple[str, bytes], dies: bool) -> None:
        self._post(*sent, dies)

    # What happens by itself.

    @rule()
    def sweep(self) -> None:
        Message.objects.filter(clinic=self.clinic).update(
            not_before=datetime.now(UTC) - timedelta(seconds=1)
        )
        journal.sweep()
        assert not Message.objects.pending().filter(clinic=self.clinic, parent=None).exists()

    @rule(which=st.integers(0, 20))
    def replay(self, which: int) -> None:
        found = Message.objects.filter(clinic=self.clinic, direction="in", parent=None)
        if message := found.order_by("pk")[which : which + 1].first():
            vendors.get(message.vendor).refile(message.pk)

    # What must hold.

    @invariant()
    def everything_received_is_somewhere(self) -> None:
        found = balance(self.clinic)
        assert found.holds, found
        rows = Message.objects.filter(clinic=self.clinic, direction="in", parent=None)
        assert {(row.target, bytes(row.raw)): row.receipt_id for row in rows} == self.receipts
        assert rows.count() == len(self.receipts)

    @invariant()
    def one_version_is_current_and_it_is_the_newest(self) -> None:
        for run in TestRun.objects.filter(clinic=self.clinic).prefetch_related("versions"):
            stored = list(run.versions.all())
            [current] = [version for version in stored if version.current]
            assert current == max(stored, key=versions.key_of)
            rows = list(run.observations.filter(current=True))
            said = [(row.code, row.sequence, row.occurrence) for row in rows]
            assert len(said) == len(set(said)), "a row stands twice in the current picture"
            if run.review_state == ReviewState.REVIEWED:
                signed = run.reviews.first()
                assert signed is not None
                assert signed.seen == versions.snapshot(run, current), (
                    "shown is not what was signed"
                )

    @invariant()
    def a_result_stands_where_it_was_sent_or_put(self) -> None:
        for result in LabResult.objects.filter(clinic=self.clinic).select_related(
            "message", "run__request__patient", "run__unmatched"
        ):
            run = result.run
            if run.unmatched is None:
                assert run.request.result_key in result.message.target
                continue
            decision = run.unmatched.decisions.filter(active=True).first()
            assert run.request_id == (decision.request_id if decision else None)
            # One place: whoever looks for it finds it under one state alone.
            assert (run.unmatched.state == "matched") == (decision is not None)
            assert decision is None or decision.patient_id == run.request.patient_id
        twice = MatchDecision.objects.filter(unmatched__clinic=self.clinic, active=True)
        assert len({each.unmatched_id for each in twice}) == len(twice)

    @invariant()
    def no_run_is_lost_or_doubled(self) -> None:
        """By its key and the message that brought it, each once, whatever was decided of it."""
        rows = LabResult.objects.filter(clinic=self.clinic)
        found = Counter(rows.values_list("message", "run__run_key", "reading"))
        assert set(found.values()) <= {1}
        stored = {(message, key) for message, key, _ in found}
        assert self.stored <= stored, "something that was stored is no more"
        self.stored = stored

    @invariant()
    def what_was_typed_is_what_came_in(self) -> None:
        for orphan in UnmatchedResult.objects.filter(clinic=self.clinic):
            now = json.dumps(orphan.typed, sort_keys=True)
            received = LabEvent.objects.filter(
                verb="unmatched.received", unmatched=orphan.split_from or orphan
            ).earliest("pk")
            brought = received.message
            assert brought is not None
            typed = vendors.get(brought.vendor).read(brought).identity or Identity()
            assert now == json.dumps(typed.as_json(), sort_keys=True)
            assert self.typed.setdefault(orphan.pk, now) == now

    @invariant()
    def the_state_is_what_the_tests_say(self) -> None:
        for request in LabRequest.objects.filter(clinic=self.clinic):
            tests = list(request.tests.values_list("state", flat=True))
            runs = LabResult.objects.filter(run__request=request, current=True)
            submission = Submission.objects.filter(request=request).first()
            derived = states.derive(
                tests=tests,
                submission=submission.state if submission else None,
                cancelled=request.cancelled_at is not None,
                runs=list(runs.values_list("status", flat=True)),
            )
            assert request.state == derived
            if request.state == RequestState.COMPLETE and request.reviewed_at:
                waiting = request.runs.exclude(review_state=ReviewState.REVIEWED)
                assert not waiting.exists()

    @invariant()
    def the_audit_tells_each_of_it(self) -> None:
        filed = Message.objects.filter(clinic=self.clinic, direction="in", state="filed")
        filed = filed.filter(parts=None)
        events = LabEvent.objects.filter(clinic=self.clinic)
        assert events.filter(verb="result.filed").count() == filed.count()
        orphans = UnmatchedResult.objects.filter(clinic=self.clinic).count()
        decisions = MatchDecision.objects.filter(unmatched__clinic=self.clinic)
        # Each splitting is told of both halves, and makes one of them.
        made = decisions.filter(action="split").count() // 2
        assert events.filter(verb="unmatched.received").count() == orphans - made
        others = events.filter(verb__startswith="unmatched.").exclude(verb="unmatched.received")
        assert others.count() == decisions.count()

    def _orphan(self, which: int, state: str) -> UnmatchedResult | None:
        found = UnmatchedResult.objects.filter(clinic=self.clinic, state=state).order_by("pk")
        return found[which : which + 1].first()

    def _post(self, target: str, body: bytes, dies: bool) -> tuple[str, bytes]:
        """What the view does; `dies`: killed after the commit."""
        message, new = journal.receive(
            vendor=factories.VENDOR,
            clinic=self.clinic,
            sender="tests",
            target=target,
            headers={},
            raw=body,
        )
        assert new == ((target, body) not in self.receipts)
        assert self.receipts.setdefault((target, body), message.receipt_id) == message.receipt_id
        if not dies and message.state == "received":
            try:
                filing.file_stored(message)
            except filing.strict.NotJson:
                pass  # kept, and answered with 400
        return target, body

    def _body(self, run: str, lab_report_id: str, animal: str, **said: Any) -> bytes:
        name, analytes = TESTS[said["code"]]
        body: dict[str, Any] = {
            "MessageId": f"{run}-{said['version']}",
            "LabReportId": lab_report_id or None,
            "HeskaReportId": said.get("external_id"),
            "ReportVersion": said["version"],
            "Status": said["status"],
            "ReportedAt": f"2026-03-02T16:{said['version']:02}:00Z",
            "Tests": [
                {
                    "TestRunId": run,
                    "TestCode": said["code"],
                    "TestName": name,
                    "Results": [
                        {"Sequence": place, "AnalyteCode": code, "Value": said["value"]}
                        for place, code in enumerate(analytes[: said["rows"]], start=1)
                    ],
                }
            ],
        }
        if animal:
            body["Patient"] = {"Name": animal, "Species": "CANINE"}
        return json.dumps(body).encode()


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level("CRITICAL"):
        yield


@pytest.mark.django_db
def test_failure_mode_01_whatever_is_done_every_result_is_in_exactly_one_place(quiet: None) -> None:
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=300 if FULL else 8,
            stateful_step_count=40 if FULL else 20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
