#!/bin/sh
# A signed image URL for ACCESS=signed: image-url.sh ORIGIN LAYOUT KEY EXPIRES KID SECRET
# KEY is the photo's key, or the whole URL of a picture elsewhere; EXPIRES is in Unix seconds.
set -eu

# Every byte, which is more than is needed, and right.
encode() { printf %s "$1" | od -An -v -tx1 | tr -d ' \n' | sed 's/../%&/g'; }

image_url() { # origin layout key expires kid secret
  sig=$(printf '%s\n%s\n%s' "$2" "$3" "$4" | openssl dgst -sha256 -hmac "$6" -binary | openssl base64 -A | tr '+/' '-_' | tr -d '=')
  case $3 in
    http://* | https://*) path=$(encode "$3") ;;
    *) path=$(encode "$3" | sed 's|%2f|/|g') ;;
  esac
  echo "$1/$(encode "$2")/$path?exp=$4&kid=$(encode "$5")&sig=$sig"
}

image_url "$@"
