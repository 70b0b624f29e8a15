"""Bodies of HTML forms, read without a multipart parser: only what a plain form sends."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

from oatie_ops.api.problems import ApiError

MEDIA_TYPE = "application/x-www-form-urlencoded"
MAX_BYTES = 16 * 1024
MAX_FIELDS = 20


async def fields(request: Request) -> dict[str, str]:
    """The fields by name; of one that comes twice, the last. Raises `ApiError` 413, 415, 422."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != MEDIA_TYPE:
        raise ApiError(415, "this is no form", why=f"its content type is not {MEDIA_TYPE}")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BYTES:
            raise ApiError(413, "the form is too long", why=f"it has more than {MAX_BYTES} bytes")
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError as error:
        raise ApiError(
            422, "the form cannot be read", why="it is not UTF-8, or has too many fields"
        ) from error
