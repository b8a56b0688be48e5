"""Capsules that earlier releases wrote, which this one must read. Run to write them anew:

python -m tests.golden

`<category>.capsule` is the state of the plan of a category (tests/indicators/subjects.py) after
SAVED_ROWS generated bars; `coarse.capsule` that of series over coarser bars. `outputs.json` has
what each plan says of the rows after, and the kind of processor on which the bits are the same.
Both are read by tests/indicators/test_golden.py.

Write them anew only where a capsule is meant to be refused: an operator or an indicator means
something else than before, and its version was raised. The changelog then says so, since fleets
that run those plans start them anew. A plan that grew by an indicator is no such case: the names
of the outputs are in `outputs.json`, and the plan is made of those alone.
"""
