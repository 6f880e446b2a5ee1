"""What is done with results: alarms, what people agreed on, what is signed."""
