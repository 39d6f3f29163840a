"""Webs as data set repositories of the Hugging Face Hub: what is in one, and how it is written, fetched, checked and cached."""
