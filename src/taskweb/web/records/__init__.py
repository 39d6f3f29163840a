"""The record of a measured run, and its forms: JSON, rows of a tidy table, columns for scoring."""
