"""Loggers of the SDKs: they may not say more than INFO, because at DEBUG they print the bodies of answers."""

from __future__ import annotations

import logging

# botocore and urllib3 log bodies and headers at DEBUG; google logs payloads where
# $GOOGLE_SDK_PYTHON_LOGGING_SCOPE asks for it; azure and msal log tokens' requests.
SDK_LOGGERS = ("boto3", "botocore", "s3transfer", "urllib3", "google", "grpc", "azure", "msal", "requests")


class _NothingBelowInfo(logging.Filter):
    """Stays where it is when somebody lowers the level afterwards."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.INFO


_FILTER = _NothingBelowInfo("oatie-secrets")


def cap_sdk_loggers() -> None:
    """For the SDKs' loggers that exist by now; called again after each import and each first use."""
    for name in SDK_LOGGERS:
        _cap(logging.getLogger(name))
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and name.partition(".")[0] in SDK_LOGGERS:
            _cap(logger)


def _cap(logger: logging.Logger) -> None:
    inherits = logger.name in SDK_LOGGERS
    level = logger.getEffectiveLevel() if inherits else logger.level
    if logging.NOTSET < level < logging.INFO:
        logger.setLevel(logging.INFO)
    if _FILTER not in logger.filters:
        logger.addFilter(_FILTER)
