"""Content parts, as they may stand in messages and tool outputs of the input."""

from __future__ import annotations

from typing import Literal

import msgspec

ImageDetail = Literal["low", "high", "auto", "original"]


class Part(msgspec.Struct, tag_field="type", kw_only=True):
    """A piece of content. ``type`` is the tag."""


class InputText(Part, tag="input_text"):
    """What a user or a tool says."""

    text: str


class OutputText(Part, tag="output_text"):
    """What the assistant said."""

    text: str


class PlainText(Part, tag="text"):
    """Text of no particular side, as in conversations."""

    text: str


class ReasoningText(Part, tag="reasoning_text"):
    """Raw reasoning."""

    text: str


class SummaryText(Part, tag="summary_text"):
    """A summary of reasoning."""

    text: str


class Refusal(Part, tag="refusal"):
    """The assistant's words for declining."""

    refusal: str


class InputImage(Part, tag="input_image"):
    """``image_url`` is a URL or a ``data:`` URL."""

    image_url: str | None = None
    file_id: str | None = None
    detail: ImageDetail | None = None


class ComputerScreenshot(Part, tag="computer_screenshot"):
    """What a computer showed."""

    image_url: str | None = None
    file_id: str | None = None
    detail: ImageDetail | None = None


class InputFile(Part, tag="input_file"):
    """``file_data`` is base64, bare or as a ``data:`` URL."""

    file_data: str | None = None
    file_id: str | None = None
    file_url: str | None = None
    filename: str | None = None
    detail: str | None = None


class AudioData(msgspec.Struct):
    """Base64 data; ``format`` is ``wav`` or ``mp3``."""

    data: str
    format: str


class InputAudio(Part, tag="input_audio"):
    """Something to listen to."""

    input_audio: AudioData


Content = (
    InputText
    | OutputText
    | PlainText
    | ReasoningText
    | SummaryText
    | Refusal
    | InputImage
    | ComputerScreenshot
    | InputFile
    | InputAudio
)
ToolOutput = str | list[InputText | OutputText | PlainText | InputImage | ComputerScreenshot | InputFile | InputAudio]
