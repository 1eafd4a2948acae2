"""A camera that sees what we draw: a film for Chromium's fake capture device.

Source: https://chromium.googlesource.com/chromium/src/+/main/media/capture/video/file_video_capture_device.h
"""

import io
from pathlib import Path

import segno
from PIL import Image, ImageFilter

SIZE = (640, 480)
FRAMES = 15


def film(path: Path, text: str, *, turned: float = 0, blurred: float = 0, dim: bool = False) -> Path:
    """A film of a phone that holds a card's code out, in YUV4MPEG2. `turned` is in degrees, `blurred` in pixels."""
    frame = _phone(text, turned, blurred)
    if dim:
        frame = frame.point(lambda value: 40 + value // 3)
    luma, blue, red = frame.convert("YCbCr").split()
    half = (SIZE[0] // 2, SIZE[1] // 2)
    picture = luma.tobytes() + blue.resize(half).tobytes() + red.resize(half).tobytes()
    header = f"YUV4MPEG2 W{SIZE[0]} H{SIZE[1]} F15:1 Ip A1:1 C420jpeg\n".encode()
    path.write_bytes(header + (b"FRAME\n" + picture) * FRAMES)
    return path


def _phone(text: str, turned: float, blurred: float) -> Image.Image:
    drawn = io.BytesIO()
    segno.make(text, error="m", micro=False).save(drawn, kind="png", scale=6, border=4)
    code = Image.open(drawn).convert("RGB").resize((300, 300))
    scene = Image.new("RGB", SIZE, (70, 74, 82))
    card = Image.new("RGB", (340, 400), (255, 255, 255))
    card.paste(code, (20, 40))
    turned_card = card.rotate(turned, expand=True, fillcolor=(70, 74, 82), resample=Image.Resampling.BICUBIC)
    scene.paste(turned_card, ((SIZE[0] - turned_card.width) // 2, (SIZE[1] - turned_card.height) // 2))
    return scene.filter(ImageFilter.GaussianBlur(blurred)) if blurred else scene
