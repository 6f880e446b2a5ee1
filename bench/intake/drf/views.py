"""What is usually written: a nested serializer, one transaction, rows by the ORM. No journal, no
duplicates, no versions, no audit, numbers as Decimal and everything unknown dropped."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.shortcuts import get_object_or_404
from oauth2_provider.contrib.rest_framework import OAuth2Authentication, TokenHasScope
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from bench.intake.drf.models import Order, Row, Run


class RowSerializer(serializers.Serializer[Row]):
    Sequence = serializers.IntegerField(source="sequence")
    AnalyteCode = serializers.CharField(source="code")
    AnalyteName = serializers.CharField(source="name")
    ValueType = serializers.CharField(source="value_type")
    Value = serializers.CharField(source="value", allow_blank=True)
    NumericValue = serializers.DecimalField(
        source="numeric_value", max_digits=20, decimal_places=6, allow_null=True
    )
    Units = serializers.CharField(source="units", allow_blank=True)
    ReferenceLow = serializers.CharField(source="reference_low", allow_blank=True)
    ReferenceHigh = serializers.CharField(source="reference_high", allow_blank=True)
    ReferenceText = serializers.CharField(source="reference_text", allow_blank=True)
    ReferenceType = serializers.CharField(source="reference_type")
    AbnormalFlag = serializers.CharField(source="abnormal_flag", allow_null=True)
    Status = serializers.CharField(source="status")


class AnalyzerSerializer(serializers.Serializer[Run]):
    SerialNumber = serializers.CharField()


class TestSerializer(serializers.Serializer[Run]):
    TestRunId = serializers.CharField()
    TestCode = serializers.CharField()
    Status = serializers.CharField()
    RunAt = serializers.DateTimeField()
    Analyzer = AnalyzerSerializer()
    Results = RowSerializer(many=True)


class PatientSerializer(serializers.Serializer[Run]):
    PatientId = serializers.CharField()
    Name = serializers.CharField()


class ReportSerializer(serializers.Serializer[Run]):
    MessageId = serializers.CharField()
    ReportVersion = serializers.IntegerField()
    ReportedAt = serializers.DateTimeField()
    Patient = PatientSerializer()
    Tests = TestSerializer(many=True)


class ResultView(APIView):
    authentication_classes = (OAuth2Authentication,)
    permission_classes = (TokenHasScope,)
    required_scopes = ("results:write",)

    def post(self, request: Request, key: str) -> Response:
        serializer = ReportSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        report = serializer.validated_data
        with transaction.atomic():
            order = get_object_or_404(Order, key=key)
            for test in report["Tests"]:
                run = Run.objects.create(
                    order=order,
                    message_id=report["MessageId"],
                    report_version=report["ReportVersion"],
                    reported_at=report["ReportedAt"],
                    patient_id=report["Patient"]["PatientId"],
                    patient_name=report["Patient"]["Name"],
                    run_id=test["TestRunId"],
                    test_code=test["TestCode"],
                    status=test["Status"],
                    run_at=test["RunAt"],
                    serial_number=test["Analyzer"]["SerialNumber"],
                )
                self.store(run, test["Results"])
        return Response({"Status": "Stored"}, status=201)

    def store(self, run: Run, rows: list[dict[str, Any]]) -> None:
        """(b)"""
        for row in rows:
            Row.objects.create(run=run, **row)


class BulkResultView(ResultView):
    def store(self, run: Run, rows: list[dict[str, Any]]) -> None:
        """(c)"""
        Row.objects.bulk_create([Row(run=run, **row) for row in rows])
