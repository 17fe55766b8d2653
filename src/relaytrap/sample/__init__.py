"""The bundled scene: what four honeypots recorded of real programs in network namespaces, and who was behind it."""

from relaytrap.sample.networks import SENSOR_PREFIX, load_networks, with_sample

__all__ = ["SENSOR_PREFIX", "load_networks", "with_sample"]
