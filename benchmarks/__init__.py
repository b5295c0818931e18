"""How fast minijax is beside JAX: `python -m benchmarks` prints the table of DESIGN section 6.

`timing` runs contestants in turn, `rows` says what a row is and keeps the list of them,
`rows_*.py` hold the rows themselves, `table` prints.  A new row is one decorated function
in a `rows_*.py` file.
"""
