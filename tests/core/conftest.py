"""Property tests have no deadline: a slow machine is no defect."""

from hypothesis import settings

settings.register_profile("core", deadline=None)
settings.load_profile("core")
