"""HEP as it is sent now: capture agents of production servers as sensors.

agents ─ UDP, TCP, TLS ─▶ places ─▶ reception (password, agent, time) ─▶ waiting ─▶ Ingest
"""

from relaytrap.hub.hep.door import HepDoor, HepStatus

__all__ = ["HepDoor", "HepStatus"]
