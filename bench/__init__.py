"""Timings against the named peers, in one run; they print and assert nothing."""
