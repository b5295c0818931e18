"""Effects: programs that lean on their surroundings, the handlers that answer them, and taps.

    ops.py        the effects: parameter, get_state, set_state, next_keys, tap
    handler.py    the trace that answers; what a pure form exchanges
    programs.py   programs made pure, one form for each op that holds programs
    custom.py     forms of custom rules, and of programs on many devices
    keys.py       sequences of random keys and their handler
    states.py     states, trees of values, and what a plan has of them
    store.py      the handler of modules: parameters, state, keys
    views.py      state under a derivative
    taps.py       tap, collect, perturb

All of it stands above the kernel: handlers are written with what any interpreter may use.
"""
