"""Fuzzing: one module for each reader of octets that somebody else wrote, and for the sensor's engine as a whole.

    python -m fuzz                        the targets, and the invariant of each
    python -m fuzz sip --seconds 60       random changes to the seeds and the corpus
    python -m fuzz sip --atheris          guided by coverage, where Atheris is installed (pip install atheris)
    python -m fuzz sip FILE...            look at inputs again

A target has `check(data)`, which raises when its invariant is broken, and `seeds()`; the invariant stands in the first
lines of its module. What breaks one is written to fuzz/found/ and becomes a test named after the behaviour. Inputs that
reached new code are kept in fuzz/corpus/<target>.zip, those with a story in fuzz/corpus/<target>/; the test suite
runs them all. fuzz/RECORD.md says what was run.
"""
