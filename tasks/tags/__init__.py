"""Tag formats: what a response looks like, how a reference one is written, how an output's form is judged.

The trainer renders responses here and the scorer parses outputs here, so that what is trained and what is
judged cannot drift apart.
"""

from tasks.tags.formats import (
    DEFECTS,
    KEPT_FORMATS,
    TAG_FORMATS,
    TagFormat,
    format_of,
    get_tag_format,
    keep_formats,
)
from tasks.tags.parse import opens_reasoning, parse_output
from tasks.tags.render import Response, render_response

__all__ = [
    "DEFECTS",
    "KEPT_FORMATS",
    "TAG_FORMATS",
    "Response",
    "TagFormat",
    "format_of",
    "get_tag_format",
    "keep_formats",
    "opens_reasoning",
    "parse_output",
    "render_response",
]
