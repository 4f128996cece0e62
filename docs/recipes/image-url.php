<?php
// A signed image URL for ACCESS=signed: php image-url.php ORIGIN LAYOUT KEY EXPIRES KID SECRET

/** $key: the photo's key, or the whole URL of a picture elsewhere; $expires: Unix seconds. */
function image_url(string $origin, string $layout, string $key, int $expires, string $kid, string $secret): string
{
    $digest = hash_hmac('sha256', "$layout\n$key\n$expires", $secret, true);
    $sig = rtrim(strtr(base64_encode($digest), '+/', '-_'), '=');
    $path = rawurlencode($key);
    if (!preg_match('~^https?://~', $key)) {
        $path = str_replace('%2F', '/', $path);
    }
    return "$origin/" . rawurlencode($layout) . "/$path?exp=$expires&kid=" . rawurlencode($kid) . "&sig=$sig";
}

if (PHP_SAPI === 'cli') {
    [, $origin, $layout, $key, $expires, $kid, $secret] = $argv;
    echo image_url($origin, $layout, $key, (int) $expires, $kid, $secret), "\n";
}
