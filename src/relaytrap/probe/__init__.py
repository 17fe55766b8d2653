"""The open-relay test: does a server that you run forward a stranger's requests?

The only room that may send a request nobody asked for, and only to the host its user named. Proof is what arrives at
the witness, an endpoint of the tester's own; an answer's status code is a hint (of 1,476 probes answered 2xx, 946 were
not relayed, and of 1,588 relayed ones 1,058 ended in a status of 400 or more: measured over 31 server variants).

    tricks ▸ request ▸ verdict ▸ advice ▸ report   what is tried, as bytes, what it proves, what to do   pure
    locate ▸ target ▸ plan                         which servers a name stands for, and which probes
    run (reach ▸ channel ▸ running ▸ ending)       the test: what is there, each probe, the end of what it opened
    witness (listener), remote ▸ outpost           where relayed probes arrive, here or on another machine
    conduct ▸ logged                               one whole test; the same with its line in the log
    records (register, opt_out, schedule)          the log and its limits, who is left alone, what is tested again
    ownership ▸ service ▸ watch                    what the page asks first; its tests; those that run again
"""
