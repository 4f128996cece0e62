"""A signed image URL for ACCESS=signed: python3 image-url.py ORIGIN LAYOUT KEY EXPIRES KID SECRET"""

import base64
import hashlib
import hmac
import sys
from urllib.parse import quote


def image_url(origin, layout, key, expires, kid, secret):
    """key: the photo's key, or the whole URL of a picture elsewhere; expires: Unix seconds."""
    text = f"{layout}\n{key}\n{expires}".encode()
    digest = hmac.new(secret.encode(), text, hashlib.sha256).digest()
    sig = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    path = quote(key, safe="" if key.startswith(("http://", "https://")) else "/")
    return f"{origin}/{quote(layout, safe='')}/{path}?exp={expires}&kid={quote(kid, safe='')}&sig={sig}"


if __name__ == "__main__":
    print(image_url(*sys.argv[1:7]))
