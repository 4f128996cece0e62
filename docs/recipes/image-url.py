"""Image URLs: python3 image-url.py ORIGIN LAYOUT KEY EXPIRES KID SECRET prints a signed one, for ACCESS=signed.

With a seventh argument, WIDTHS such as 160,320,640, it prints an <img> element with all widths.
"""

import base64
import hashlib
import hmac
import sys
from html import escape
from urllib.parse import quote


def open_url(origin, layout, key):
    """Without a signature. key: the photo's key, or the whole URL of a picture elsewhere."""
    path = quote(key, safe="" if key.startswith(("http://", "https://")) else "/")
    return f"{origin}/{quote(layout, safe='')}/{path}"


def image_url(origin, layout, key, expires, kid, secret):
    """For ACCESS=signed. expires: Unix seconds."""
    text = f"{layout}\n{key}\n{expires}".encode()
    digest = hmac.new(secret.encode(), text, hashlib.sha256).digest()
    sig = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    return f"{open_url(origin, layout, key)}?exp={expires}&kid={quote(kid, safe='')}&sig={sig}"


def image_set(origin, layout, key, widths, sizes, width, height, alt, signer=None):
    """An <img> element. signer: None, or (expires, kid, secret) for ACCESS=signed."""
    urls = {}
    for w in sorted(widths):
        text = f"{layout},width={w}"
        urls[w] = image_url(origin, text, key, *signer) if signer else open_url(origin, text, key)
    values = {
        "src": list(urls.values())[-1],
        "srcset": ", ".join(f"{url} {w}w" for w, url in urls.items()),
        "sizes": sizes,
        "width": width,
        "height": height,
        "alt": alt,
        "loading": "lazy",
    }
    return "<img " + " ".join(f'{name}="{escape(str(value))}"' for name, value in values.items()) + ">"


if __name__ == "__main__":
    origin, layout, key, *signer = sys.argv[1:7]
    if len(sys.argv) > 7:
        widths = [int(w) for w in sys.argv[7].split(",")]
        print(image_set(origin, layout, key, widths, "320px", 1, 1, "", signer))
    else:
        print(image_url(origin, layout, key, *signer))
