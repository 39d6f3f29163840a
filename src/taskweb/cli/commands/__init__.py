"""One command per file: it reads its options, calls one workflow, and prints."""
