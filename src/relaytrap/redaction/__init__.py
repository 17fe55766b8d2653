"""Removing what an operator keeps to himself from bytes, text and rows. Pure: whoever publishes says what is secret.

    redactor = Redactor(Secrets.of(sensors))
    redactor.octets(raw)      # one message
    redactor.rows(found)      # rows of the catalogue's questions, nested as they come
    redactor.removed          # what was taken out, and how often

Sensors' addresses go in every encoding that `evidence.address_forms` knows or that can be peeled off (hex, base64,
percent escapes, one inside the other); telephone numbers lose their last digits. What stays is what an attacker wrote.
"""

from relaytrap.redaction.redactor import Redactor
from relaytrap.redaction.secrets import Secrets

__all__ = ["Redactor", "Secrets"]
