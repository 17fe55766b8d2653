"""The fault suite: break a real sensor and a real hub on purpose, under traffic, and count what became of each message.

    python -m faults                      every fault at full size (make faults)
    python -m faults --list               what there is
    python -m faults kill-hub wire-cut    some of them; --brief makes them small

Programs are started as operators start them; nothing in them knows about this suite. Everything happens in mount and
network namespaces of the suite's own, so it needs no address, port or disk of the machine, leaves nothing behind, and
nothing it sends can leave. What was recorded is read from the sensor's segments, what is stored from the hub's store,
and each observation of one must be in the other exactly once.
"""
