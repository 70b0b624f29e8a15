"""What tests of the pure core share: hypothesis gives a busy machine all the time that it needs.

Its limit of 200 ms for an example is one on the machine, not on what is tested.
"""

from hypothesis import HealthCheck, settings

# Its own choice of a profile, which is another in CI, stays.
settings.register_profile(
    "patient", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")
