from __future__ import annotations

from typing import Any

from django.db import models


class DerivedField(models.CharField):  # type: ignore[type-arg]
    """A column that the row itself works out whenever it is written, by its method `derive_NAME`:
    also in bulk, and never by hand."""

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        text = getattr(model_instance, f"derive_{self.attname}")()[: self.max_length]
        setattr(model_instance, self.attname, text)
        return text
