"""Proving rules: every rule of an op against every other, and derivatives of functions against differences.

    check_op(op, samples)           all rules of one op, yours too; prints which rule fails at which index
    check_grads(f, args, order)     derivatives of a function, as `jax.test_util` has it
    check_rules(f, *args)           the rules that a custom function carries, against it and each other
    harvest(f, *args)               the equations of a program, as samples of their ops
    mutants(op), seen               planted wrong rules, to see that samples are good enough to catch them
    standing(op, samples, proofs)   by rule: proven by the checks that passed, or why the op has none by nature
    over_axis(name, size)           around a collective: the function of the whole batch, which is checked
"""

from minijax.testing.compare import Mismatch
from minijax.testing.gradients import check_grads, check_jvp, check_vjp
from minijax.testing.mutants import Mutant, mutants, planted
from minijax.testing.proofs import standing
from minijax.testing.report import Failure, Report, RuleError, check_op
from minijax.testing.rules import check_rules
from minijax.testing.samples import Sample, generated_samples, harvest, over_axis

__all__ = ["Failure", "Mismatch", "Mutant", "Report", "RuleError", "Sample", "check_grads", "check_jvp", "check_op",
           "check_rules", "check_vjp", "generated_samples", "harvest", "mutants", "over_axis",
           "planted", "standing"]
