from __future__ import annotations

from django.db import models


class Order(models.Model):
    key = models.CharField(max_length=64, unique=True)

    class Meta:
        app_label = "drf"

    def __str__(self) -> str:
        return self.key


class Run(models.Model):
    order = models.ForeignKey(Order, on_delete=models.CASCADE)
    message_id = models.CharField(max_length=200)
    report_version = models.IntegerField()
    reported_at = models.DateTimeField()
    patient_id = models.CharField(max_length=64)
    patient_name = models.CharField(max_length=100)
    run_id = models.CharField(max_length=200)
    test_code = models.CharField(max_length=64)
    status = models.CharField(max_length=16)
    run_at = models.DateTimeField()
    serial_number = models.CharField(max_length=64)

    class Meta:
        app_label = "drf"

    def __str__(self) -> str:
        return self.run_id


class Row(models.Model):
    run = models.ForeignKey(Run, on_delete=models.CASCADE)
    sequence = models.IntegerField()
    code = models.CharField(max_length=64)
    name = models.CharField(max_length=200)
    value_type = models.CharField(max_length=16)
    value = models.CharField(max_length=200)
    numeric_value = models.DecimalField(max_digits=20, decimal_places=6, null=True)
    units = models.CharField(max_length=64)
    reference_low = models.CharField(max_length=64)
    reference_high = models.CharField(max_length=64)
    reference_text = models.CharField(max_length=200)
    reference_type = models.CharField(max_length=16)
    abnormal_flag = models.CharField(max_length=8, null=True)  # noqa: DJ001 - as it is sent
    status = models.CharField(max_length=16)

    class Meta:
        app_label = "drf"

    def __str__(self) -> str:
        return self.code
