"""The Temporal SDK's own metrics: failed workflow tasks, latencies, free slots, its cache."""

from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

from observability.serving import MetricsAddressError


def sdk_runtime(address: str | None) -> Runtime | None:
    """Make an SDK runtime that serves its metrics at ``host:port``; None for the default runtime.

    Raises:
        MetricsAddressError: The address is taken, or is not of this machine.
    """
    if address is None:
        return None
    served = PrometheusConfig(bind_address=address, durations_as_seconds=True)
    try:
        return Runtime(telemetry=TelemetryConfig(metrics=served))
    except (RuntimeError, ValueError):
        raise MetricsAddressError(
            f"SDK_METRICS_ADDRESS is wrong: {address} cannot be listened on;"
            " give an IP address and a port, each process one of its own"
        ) from None
