"""Tag formats: what a response looks like, how a reference one is written, how an output's form is judged.

The trainer renders responses here and the scorer parses outputs here, so that what is trained and what is
judged cannot drift apart.
"""

from tasks.tags.formats import DEFECTS, TAG_FORMATS, Defect, Segment, TagFormat, get_tag_format
from tasks.tags.parse import Parsed, opens_reasoning, parse_output
from tasks.tags.render import Response, Span, render_response

__all__ = [
    "DEFECTS",
    "TAG_FORMATS",
    "Defect",
    "Parsed",
    "Response",
    "Segment",
    "Span",
    "TagFormat",
    "get_tag_format",
    "opens_reasoning",
    "parse_output",
    "render_response",
]
