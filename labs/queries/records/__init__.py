"""The journal and the audit."""
