"""Why some of JAX's primitives have no meaning in minijax, in the words of the error that a user gets."""

from __future__ import annotations

from minijax.interop.equations import refused

_REASONS = {
    "it is a kernel for one kind of device, or a part of one. Call the function of jax.numpy or jax.lax that it "
    "speeds up, or register a rule":
        "core_map cudnn_fusion delay dot_product_attention_bwd dot_product_attention_bwd_wrapper "
        "dot_product_attention_fp8_bwd dot_product_attention_fp8_bwd_wrapper dot_product_attention_fp8_fwd "
        "dot_product_attention_fp8_fwd_wrapper dot_product_attention_fwd dot_product_attention_fwd_wrapper get_global "
        "jaxpr_call masked_load masked_swap mpmd_map multiple_of num_programs pallas_call program_id reciprocal "
        "rnn_bwd rnn_fwd run_scoped scaled_matmul scaled_matmul_wrapper semaphore_read semaphore_signal "
        "semaphore_wait with_memory_space_constraint",
    "what it calls is compiled code that minijax cannot look into. Call it through jax.pure_callback, or register a "
    "rule":
        "call_exported ffi_call spsolve",
    "it is a part of a transfer between devices that is split into a start and an end. Use the collective as a whole":
        "all_gather_done all_gather_reduced all_gather_reduced_start all_gather_start all_to_all_done all_to_all_start "
        "pbroadcast_done pbroadcast_start ppermute_done ppermute_start precv psend psum_done psum_invariant_start "
        "psum_start reduce_scatter_done reduce_scatter_start unreduced_psum unreduced_psum_start "
        "unreduced_reduce_scatter unreduced_reduce_scatter_start",
    "it is about sums over devices that are still to be taken. Take them with jax.lax.psum":
        "preduced reduced_vary_cast_p vary_unreduced_cast_p",
    "it is a check that JAX's checkify takes out. Call jax.experimental.checkify.checkify inside the function":
        "check",
    "it is about shapes that are not known while tracing. Trace with shapes that are numbers":
        "dim_as_value dimension_size shape_assertion",
    "it is an object of JAX that changes in place. Carry values instead":
        "accum_grad_in_ref box_get box_set create_linear empty_ref log_extend log_read new_box new_log pin run_state "
        "unpin",
    "it is the forward derivative of a jax.custom_vjp function, which has none; JAX refuses to compile it, too. Use "
    "jax.custom_jvp, or take reverse derivatives":
        "custom_lin",
    "it is of JAX's older sparse arrays, COO and CSR. Use jax.experimental.sparse.BCOO or BCSR, or register a rule":
        "coo_fromdense coo_matmat coo_matvec coo_todense csr_fromdense csr_matmat csr_matvec csr_todense",
    "which element of a window is chosen is said by a function; no public function of JAX makes it. Differentiate "
    "jax.lax.reduce_window with max or min, or register a rule with minijax.interop.register('select_and_scatter', "
    "rule), where rule(operand, source, init, **params) computes its result with minijax":
        "select_and_scatter",
    "keys of minijax are threefry2x32 keys. Make the key with that implementation":
        "philox2x32 philox4x32 threefry4x32",
}

refused.update({name: f"{reason}." for reason, names in _REASONS.items() for name in names.split()})
