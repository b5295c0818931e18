"""The benchmarks run, and their harness computes what it says; times themselves are not tested."""

import json
import re

import jax
import pytest

import minijax
from benchmarks import __main__ as command
from benchmarks import hlo, rows_devices, rows_run, table, timing
from benchmarks.rows import ROWS, Result, clock_text, judge, select


class FakeClock:
    """A clock that only work moves."""

    def __init__(self):
        self.now = 0.0
        self.log = []

    def __call__(self):
        return self.now

    def work(self, name, *seconds):
        """Work that takes the given seconds in turn, the last of them for ever."""
        left = list(seconds)

        def run():
            self.log.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]
            return name

        return run


EFFORT = timing.Effort(rounds=3, batches=2, seconds=1.0, budget=1000.0)


def compete(works, effort=EFFORT):
    clock = FakeClock()
    contestants = {name: clock.work(name, *seconds) for name, seconds in works.items()}
    return timing.compete(contestants, "b", effort, clock=clock), clock.log


def test_times_and_ratios_are_those_of_the_clock():
    contest, _ = compete({"a": [2.0], "b": [4.0], "c": [1.0]})
    assert contest.best == {"a": 2.0, "b": 4.0, "c": 1.0}
    assert contest.ratio == {"a": 0.5, "b": 1.0, "c": 0.25}


def test_contestants_alternate_by_batches():
    _, log = compete({"a": [2.0], "b": [2.0]})
    assert "".join(log[-12:]) == "abba" * 3  # 3 rounds of 2 batches of one call


def test_a_slow_first_call_and_a_busy_moment_do_not_count():
    contest, _ = compete({"a": [50.0, 1.0, 1.0, 9.0, 1.0], "b": [1.0]})
    assert contest.best["a"] == 1.0 and contest.ratio["a"] == 1.0


def test_the_median_round_decides():
    #              warm, calls, once, then three rounds of one batch
    contest, _ = compete({"a": [1.0, 1.0, 1.0, 1.0, 8.0, 2.0], "b": [1.0]}, timing.Effort(3, 1, 1.0, 1000.0))
    assert contest.ratio["a"] == 2.0 and contest.best["a"] == 1.0


def test_ratios_come_from_the_quietest_rounds():
    quiet, busy = [{"a": 2.0, "b": 1.0}, {"a": 2.1, "b": 1.0}, {"a": 2.0, "b": 1.1}], {"a": 2.0, "b": 3.0}
    assert timing.quietest([busy, busy, *quiet, busy], {"a": 2.0, "b": 1.0}) == quiet


@pytest.mark.parametrize("seconds, least, most", [(2.0, 1, 1), (0.1, 10, 13), (1e-6, 1_000_000, 1_300_000)])
def test_calls_fill_a_batch(seconds, least, most):
    clock = FakeClock()
    assert least <= timing.calls_for(clock.work("a", seconds), 1.0, timing.nothing, clock) <= most


def test_finish_is_inside_the_time_and_gets_the_last_result():
    clock = FakeClock()
    finished = []

    def finish(result):
        finished.append(result)
        clock.now += 6.0

    assert timing.batch(clock.work("a", 1.0), 3, finish, clock) == 3.0
    assert finished == ["a"]


@pytest.mark.parametrize("round_seconds, expected", [(0.001, (11, 5)), (0.4, (11, 1)), (100.0, (3, 1))])
def test_slow_rows_get_fewer_batches_then_fewer_rounds(round_seconds, expected):
    assert timing.plan(timing.Effort(11, 5, 0.01, 8.0), round_seconds) == expected


def test_a_row_is_judged_by_its_limit():
    assert judge("a", 1.0, 2.0, 0.5, 0.5).reached is True
    assert judge("a", 1.0, 2.0, 0.51, 0.5).reached is False
    assert judge("a", 1.0, 2.0, 0.51, None).reached is None


def test_equal_programs_count_as_one_in_the_mean():
    def run(name, ratio, note=""):
        return Result(f"compiled run time: {name}", 1.0, 1.0, ratio, note=note)

    (mean,) = rows_run.geometric_mean([run("a", 3.0, "same HLO"), run("b", 0.25), run("c", 2.0, "same HLO"),
                                       Result("another", 1.0, 1.0, 9.0)])
    assert mean.ratio == pytest.approx(0.25 ** (1 / 3)) and mean.reached
    assert rows_run.geometric_mean([run("a", 3.0)]) == []


OURS = """HloModule jit_f, entry_computation_layout={(f32[]{:T(8)})->f32[]}

FileNames
1 "a.py"

%region_0.1 (x.2: f32[], y: f32[]) -> f32[] {
  %x.2 = f32[] parameter(0), metadata={op_name="jit(f)/sin" source_file="a\\".py" stack={1}}
  ROOT %sine.3 = f32[] sine(%x.2), metadata={op_name="a"}, backend_config={"n":1}
}
"""
THEIRS = """HloModule jit_g, entry_computation_layout={(f32[]{:T(8)})->f32[]}

%r (p: f32[], q: f32[]) -> f32[] {
  %p = f32[] parameter(0)
  ROOT %s = f32[] sine(%p), backend_config={"n":1}
}
"""


def test_programs_are_the_same_up_to_names_and_metadata():
    assert hlo.same(OURS, THEIRS)


@pytest.mark.parametrize("here, there", [("sine", "cosine"), ("f32[]", "f64[]"), ('"n":1', '"n":2'),
                                         ("sine(%p)", "sine(%q)")])
def test_programs_that_differ_are_not_the_same(here, there):
    assert here in THEIRS and not hlo.same(OURS, THEIRS.replace(here, there))


@pytest.mark.parametrize("seconds, text", [(4.123e-6, "4.12 us"), (0.0123, "12.3 ms"), (0.123, "123 ms"), (2.0, "2 s"),
                                           (3e-8, "30 ns")])
def test_seconds_are_readable(seconds, text):
    assert clock_text(seconds) == text


def test_the_table_as_markdown():
    results = [judge("a", 1e-6, 2e-6, 0.5, 0.6, note="n"), Result("b", 1e4, None, 2.0, unit="B")]
    assert table.markdown(results).splitlines() == [
        "| what | minijax | JAX | ratio | target | verdict |", "| --- | ---: | ---: | ---: | ---: | --- |",
        "| a (n) | 1\u00a0us | 2\u00a0us | 0.5 | ≤\u00a00.6\u00a0x | ok |", "| b | 10,000\u00a0B | - | 2 | - | - |"]


def test_every_row_has_its_own_name_and_can_be_selected():
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names) >= 20
    assert [row.name for row in select("^eager (sin|add)$")] == ["eager sin", "eager add"]
    assert all(select(re.escape(name)) for name in names)


def test_one_row_end_to_end(tmp_path, capsys):
    path = tmp_path / "rows.json"
    assert command.main(["--quick", "--rows", "^eager sin$", "--markdown", "--json", str(path)]) == 0
    (row,) = json.loads(path.read_text())["rows"]
    assert row["name"] == "eager sin" and row["ours"] > 0 and row["theirs"] > 0
    assert "| eager sin |" in capsys.readouterr().out


def test_a_row_that_fails_does_not_hide_the_others(monkeypatch, capsys):
    def broken(effort):
        raise RuntimeError("no such op")

    (sine,) = select("^eager sin$")
    monkeypatch.setattr(command, "select", lambda pattern: [command.Row("broken", broken), sine])
    assert command.main(["--quick"]) == 1
    printed = capsys.readouterr()
    assert "broken: FAILED: RuntimeError: no such op" in printed.err and "eager sin" in printed.out


def test_a_row_of_many_devices_gets_a_process_that_has_them(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    (many,) = select(r"^make_jaxpr\(pmap\(grad\)\)")
    assert not many.at_home
    (result,) = command.measured(many, timing.QUICK)
    assert result.name == many.name and result.ours > 0 and result.theirs > 0 and result.target == "<= 0.4 x"


def test_rows_of_many_devices_are_measured_here_if_it_has_them(monkeypatch):
    many = [row for row in ROWS if row.environment]
    assert len(many) == 5 and all("pmap" in row.name for row in many)
    for name, value in rows_devices.DEVICES.items():
        monkeypatch.setenv(name, value)
    assert all(row.at_home for row in ROWS)


def test_a_process_that_fails_is_told(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    row = command.Row("no row has this name", lambda effort: [], environment=rows_devices.DEVICES)
    with pytest.raises(RuntimeError, match="'no row has this name' in a process of its own"):
        command.measured(row, timing.QUICK)


def test_a_train_step_on_devices_is_the_same_program():
    assert hlo.same(rows_devices.train_hlo(minijax), rows_devices.train_hlo(jax))


def test_no_row_of_that_name_is_an_error():
    assert command.main(["--rows", "no row has this name"]) == 1
