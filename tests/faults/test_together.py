"""The same thing many times at the same moment."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from itertools import permutations
from typing import Any

from tests.faults import bodies
from tests.faults.stack import Answer, Stack

AT_ONCE = 64


def together(stack: Stack, posts: Sequence[tuple[str, bytes]]) -> list[Answer]:
    """All sent at one moment, each over a connection of its own that is already open."""
    start = threading.Barrier(len(posts))
    answers: list[Answer | None] = [None] * len(posts)

    def one(place: int, target: str, body: bytes) -> None:
        connection = stack.connect(60)
        connection.connect()
        start.wait()
        answers[place] = stack.post(target, body, connection=connection)
        connection.close()

    threads = [
        threading.Thread(target=one, args=(place, *post)) for place, post in enumerate(posts)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert None not in answers
    return [answer for answer in answers if answer]


def test_64_identical_posts(stack: Stack, full: bool) -> None:
    clinic = stack.clinics[0]
    rounds = 100 if full else 2
    for number in range(rounds):
        request = clinic["requests"][number % len(clinic["requests"])]
        body = bodies.result(clinic, request, f"same-{number}")

        answers = together(stack, [(f"/api/labresults/{request['key']}", body)] * AT_ONCE)

        statuses = sorted(answer.status for answer in answers)
        assert set(statuses) <= {200, 201}, statuses
        assert len({answer.receipt for answer in answers}) == 1
    stack.sweep()
    assert stack.postgres.query(
        "SELECT count(*), sum(redeliveries) FROM labs_message WHERE state = 'filed'"
    ) == [(rounds, rounds * (AT_ONCE - 1))]
    assert _counts(stack) == (rounds, rounds, 0)


def test_an_array_at_once_is_split_once(stack: Stack, full: bool) -> None:
    clinic = stack.clinics[0]
    for number in range(30 if full else 2):
        request = clinic["requests"][number % len(clinic["requests"])]
        members = [json.loads(bodies.result(clinic, request, f"{number}-{i}")) for i in range(3)]

        answers = together(
            stack, [(f"/api/labresults/{request['key']}", json.dumps(members).encode())] * 16
        )

        assert {answer.status for answer in answers} <= {200, 201, 202}
    stack.sweep()
    rounds = 30 if full else 2
    assert _counts(stack) == (rounds * 3, rounds * 3, 0)
    assert stack.postgres.query(
        "SELECT count(*), count(DISTINCT (parent_id, part)) FROM labs_message "
        "WHERE parent_id IS NOT NULL"
    ) == [(rounds * 3, rounds * 3)]
    assert stack.manage("reconcile")["holds"]


def test_versions_of_a_new_orphan_at_once_are_one_orphan(stack: Stack, full: bool) -> None:
    clinic = stack.clinics[0]
    target = f"/api/unmatchedlabresults/{clinic['public_id']}"
    rounds = 30 if full else 3
    for number in range(rounds):
        name = f"orphan-{number}"
        posts = [
            (target, bodies.result(clinic, None, name, version=version, external_id=name))
            for version in range(1, 9)
        ]
        assert {answer.status for answer in together(stack, posts)} <= {201, 202}
    stack.sweep()
    assert _counts(stack) == (rounds, rounds * 8, rounds)


ORDERS = list(permutations(range(1, 6)))
PICTURE = (
    "SELECT r.report_version, r.status, q.state, array_agg((o.code, o.value_text) ORDER BY o.code) "
    "FROM labs_testrun t JOIN labs_labrequest q ON q.id = t.request_id "
    "JOIN labs_labresult r ON r.run_id = t.id AND r.current "
    "JOIN labs_observation o ON o.run_id = t.id AND o.current "
    "WHERE t.run_key = %s GROUP BY r.report_version, r.status, q.state"
)


def test_five_versions_in_any_order_of_arrival(stack: Stack, full: bool) -> None:
    clinic = stack.clinics[0]
    statuses = ("Preliminary", "Preliminary", "Final", "Corrected", "Corrected")
    pictures: list[list[Any]] = []
    for place, order in enumerate(ORDERS if full else ORDERS[::40]):
        request = clinic["requests"][place % len(clinic["requests"])]
        run = f"versions-{place}"
        for version in order:
            body = bodies.result(
                clinic, request, run, version=version, status=statuses[version - 1]
            )
            assert stack.post(f"/api/labresults/{request['key']}", body).status == 201
        pictures.append(stack.postgres.query(PICTURE, run))
    assert pictures[0][0][:3] == (5, "corrected", "complete")
    assert all(picture == pictures[0] for picture in pictures)


def _counts(stack: Stack) -> tuple[int, int, int]:
    """Runs, versions, orphans."""
    return stack.postgres.query(
        "SELECT (SELECT count(*) FROM labs_testrun), (SELECT count(*) FROM labs_labresult), "
        "(SELECT count(*) FROM labs_unmatchedresult)"
    )[0]
