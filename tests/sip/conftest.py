"""Properties are judged by what they find, never by how long a loaded machine takes."""

from hypothesis import HealthCheck, settings

settings.register_profile("relaytrap", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("relaytrap")
