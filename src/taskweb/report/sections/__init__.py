"""The sections of a report, one file each: plain values in, a `Section` out."""
