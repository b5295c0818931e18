"""docs/coverage.md is of today: it lists the ops, rules, lowerings and cases that there are, and each op is checked."""

from tools import coverage

# Ops that the rule checker has no samples of, and where they are tested instead.
ELSEWHERE = {op: test for test, names in {
    "tests/test_callbacks.py": ("debug_callback", "io_callback", "pure_callback"),
    "tests/test_collectives.py": ("all_gather", "all_to_all", "axis_index", "pmax", "pmin", "ppermute", "psum",
                                  "psum_scatter"),
    "tests/test_custom_rules.py": ("custom_call", "custom_transpose_call", "custom_vjp_call", "custom_vjp_linear",
                                   "custom_vmap_call"),
    "tests/test_random_bits.py": ("random_unwrap", "random_wrap"),
    "tests/test_reverse_while.py": ("linear_loop",),
    "tests/test_special.py": ("rng_uniform",),
    "tests/test_windows.py": ("reduce_window",),
}.items() for op in names}


def test_the_page_is_of_today():
    text = coverage.PAGE.read_text(encoding="utf-8")
    assert text == coverage.page(coverage.counts_in(text)), "write it anew: python -m tools.coverage --write"


def test_every_op_is_checked():
    counts = coverage.counts_in(coverage.PAGE.read_text(encoding="utf-8"))
    unchecked = {name for name, count in counts.items() if not count.isdigit()}
    assert unchecked <= set(ELSEWHERE), unchecked - set(ELSEWHERE)
    assert all((coverage.PAGE.parents[1] / test).exists() for test in ELSEWHERE.values())
