"""What is done with results: signed, told, given on, escalated, charged."""
