"""The bundled scene: what four honeypots recorded of real programs in network namespaces, and who was behind it.

`networks` is all that a running hub needs; `scene` and `timeline` are for loading the sample and for tests.
"""
