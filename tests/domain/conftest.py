"""Settings of property tests: few examples in every run, many when asked, and no deadline.

A search is never exhaustive, and every run draws others. A busy machine fails none.
"""

from hypothesis import HealthCheck, settings

for _name, _examples in (("few", 25), ("many", 5_000)):
    settings.register_profile(
        _name,
        deadline=None,
        max_examples=_examples,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile("few")
