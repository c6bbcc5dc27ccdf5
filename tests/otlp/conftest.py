"""Settings of the property tests: no deadline for an example, since machines that share their cores pause."""

from hypothesis import settings

settings.register_profile("whence", deadline=None)
settings.load_profile("whence")
