"""Relaytrap: SIP honeypots and a hub that see through open relays."""

__version__ = "0.1.0"
