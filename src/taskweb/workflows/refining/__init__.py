"""Measuring on the target: rows, plan, costs, the runs one by one, and the report. What `taskweb refine` does."""
