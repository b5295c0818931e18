"""The size ceilings hold, and the script that says so can count."""

from pathlib import Path

import pytest

from tools import size_table

ROOT = Path(__file__).resolve().parents[1]


def planted(tmp_path, **files):
    """A tree whose `minijax` holds the given files; `__` in a name stands for `/`."""
    for name, text in files.items():
        path = tmp_path / "minijax" / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def broken(root):
    return list(size_table.violations(size_table.measure_all(root)))


def test_minijax_keeps_to_its_ceilings():
    assert broken(ROOT) == []


def test_every_file_of_minijax_is_counted_once():
    files = size_table.measure_all(ROOT)
    assert len(files) == len(list((ROOT / "minijax").rglob("*.py")))
    assert sum(size_table.floor_sizes(files).values()) == sum(file.size for file in files)


@pytest.mark.parametrize("text, lines", [
    ("", []),
    ("x = 1\n\n\ny = 2\n", [1, 4]),
    ("# comment\nx = 1  # counted\n    # comment\n", [2]),
    ('"""One\n\ntwo."""\nx = 1\n', [4]),
    ('def f():\n    """Doc."""\n    return """not\n    a docstring"""\n', [1, 3, 4]),
    ('class C:\n    "Doc."\n    async def f(self):\n        """Doc\n        more."""\n', [1, 3]),
    ('x = 1\n"""A string that is no docstring."""\n', [1, 2]),
    ("@decorated\ndef f(a,\n      b): return a\n", [1, 2, 3]),
])
def test_what_counts_as_code(text, lines):
    assert size_table.code_lines(text) == lines


def test_a_function_counts_from_its_def_with_inner_functions(tmp_path):
    text = ('@decorated\ndef outer():\n    """Doc."""\n    # comment\n'
            '    def inner():\n        return 1\n    return inner\n')
    (file,) = size_table.measure_all(planted(tmp_path, util=text))
    assert file.functions == (("outer", 2, 4), ("inner", 5, 2))


def body(lines):
    return "".join(f"x{i} = {i}\n" for i in range(lines))


def test_a_long_file_is_reported(tmp_path):
    root = planted(tmp_path, util=body(500), numpy__api=body(501))
    assert broken(root) == ["minijax/numpy/api.py: 501 lines of code, ceiling 500"]


def test_a_long_function_is_reported(tmp_path):
    def function(name, lines):
        return f"def {name}():\n" + "".join(f"    x{i} = {i}\n" for i in range(lines - 1))

    root = planted(tmp_path, util=function("f", 40) + function("g", 41))
    assert broken(root) == ["minijax/util.py:41: g has 41 lines of code, ceiling 40"]


@pytest.mark.parametrize("name, ceiling, what", [
    ("tracing__m", size_table.KERNEL_CEILING, "the kernel"),
    ("lowering__table_m", size_table.KERNEL_CEILING, "the kernel"), ("ops__m", size_table.OPS_CEILING, "ops/")])
def test_a_large_floor_is_reported(tmp_path, name, ceiling, what):
    files = {f"{name}{i}": body(500) for i in range(ceiling // 500)}
    assert broken(planted(tmp_path, **files)) == []
    assert broken(planted(tmp_path, **files, **{f"{name}more": body(1)})) == [
        f"{what}: {ceiling + 1:,} lines of code, ceiling {ceiling:,}"]


def test_libraries_above_the_kernel_have_no_ceiling_of_their_own(tmp_path):
    assert broken(planted(tmp_path, **{f"numpy__m{i}": body(500) for i in range(30)})) == []


def test_the_script_prints_and_fails(tmp_path, capsys):
    root = planted(tmp_path, util=body(501))
    assert size_table.main([str(root), "--files"]) == 1
    printed = capsys.readouterr().out
    assert "minijax/util.py" in printed and "too long: minijax/util.py: 501" in printed
    planted(tmp_path, util=body(3))
    assert size_table.main([str(root)]) == 0
    assert "kernel: L0-L7 without ops" in capsys.readouterr().out
