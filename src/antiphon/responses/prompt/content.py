"""Content parts of items to content of chat messages.

Only a user message may hold pictures, sound and files in a chat request; in any other place they are taken out as
``media``, and the caller puts them into a user message that follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from antiphon.errors import InvalidRequest
from antiphon.responses.prompt.files import file_part, unknown_file
from antiphon.wire.inputs import Screenshot
from antiphon.wire.parts import (
    ComputerScreenshot,
    Content,
    InputAudio,
    InputFile,
    InputImage,
    InputText,
    OutputText,
    PlainText,
    Refusal,
)

ChatPart = dict[str, Any]

#: What stands in a tool's text for a part that had to move to the next message.
PLACEHOLDERS = {"image_url": "[image]", "input_audio": "[audio]", "file": "[file]"}


def one_text(content: str | Sequence[Content] | None) -> str | None:
    """The text of content that is one text alone, as most is; None for all other."""
    if content is None or isinstance(content, str):
        return content
    if len(content) == 1:
        part = content[0]
        if type(part) is InputText or type(part) is OutputText or type(part) is PlainText:
            return part.text
    return None


def chat_parts(content: str | Sequence[Content] | None, path: str) -> list[ChatPart]:
    """The parts of any content, in order; ``path`` is its JSON path. Raises InvalidRequest."""
    if not content:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [_part(part, f"{path}[{n}]") for n, part in enumerate(content)]


def simplest(parts: Sequence[ChatPart]) -> str | list[ChatPart]:
    """Nothing is the empty string and one text is a string, which every back end reads; the rest stay parts."""
    if not parts:
        return ""
    if len(parts) == 1 and parts[0]["type"] == "text":
        text: str = parts[0]["text"]
        return text
    return list(parts)


def split_media(parts: Sequence[ChatPart], *, mark: bool = False) -> tuple[list[ChatPart], list[ChatPart]]:
    """Text parts, and the others. With ``mark`` a placeholder stays in the text for each that was taken out."""
    texts: list[ChatPart] = []
    media: list[ChatPart] = []
    for part in parts:
        if part["type"] == "text":
            texts.append(part)
            continue
        media.append(part)
        if mark:
            texts.append({"type": "text", "text": PLACEHOLDERS[part["type"]]})
    return texts, media


def image_part(image: InputImage | ComputerScreenshot | Screenshot, path: str) -> ChatPart:
    """The chat part of a picture. ``detail: auto`` is the default and left out; ``original`` is at least ``high``."""
    if image.image_url is None:
        if image.file_id is not None:
            raise unknown_file(image.file_id, f"{path}.file_id")
        raise InvalidRequest(
            f"'{path}' must have 'image_url'.", param=f"{path}.image_url", code="missing_required_parameter"
        )
    url: dict[str, Any] = {"url": image.image_url}
    detail = None if isinstance(image, Screenshot) else image.detail
    if detail not in (None, "auto"):
        url["detail"] = "high" if detail == "original" else detail
    return {"type": "image_url", "image_url": url}


def _part(part: Content, path: str) -> ChatPart:
    if isinstance(part, InputImage | ComputerScreenshot):
        return image_part(part, path)
    if isinstance(part, InputFile):
        return file_part(part, path)
    if isinstance(part, InputAudio):
        return {"type": "input_audio", "input_audio": msgspec.to_builtins(part.input_audio)}
    return {"type": "text", "text": part.refusal if isinstance(part, Refusal) else part.text}
