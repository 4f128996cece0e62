<?php
// Image URLs: php image-url.php ORIGIN LAYOUT KEY EXPIRES KID SECRET prints a signed one, for ACCESS=signed.
// With a seventh argument, WIDTHS such as 160,320,640, it prints an <img> element with all widths.

/** Without a signature. $key: the photo's key, or the whole URL of a picture elsewhere. */
function open_url(string $origin, string $layout, string $key): string
{
    $path = rawurlencode($key);
    if (!preg_match('~^https?://~', $key)) {
        $path = str_replace('%2F', '/', $path);
    }
    return "$origin/" . rawurlencode($layout) . "/$path";
}

/** For ACCESS=signed. $expires: Unix seconds. */
function image_url(string $origin, string $layout, string $key, int $expires, string $kid, string $secret): string
{
    $digest = hash_hmac('sha256', "$layout\n$key\n$expires", $secret, true);
    $sig = rtrim(strtr(base64_encode($digest), '+/', '-_'), '=');
    return open_url($origin, $layout, $key) . "?exp=$expires&kid=" . rawurlencode($kid) . "&sig=$sig";
}

/** An <img> element. $signer: null, or [expires, kid, secret] for ACCESS=signed. */
function image_set(
    string $origin, string $layout, string $key, array $widths, string $sizes, int $width, int $height, string $alt, ?array $signer = null
): string {
    sort($widths);
    $urls = [];
    foreach ($widths as $w) {
        $text = "$layout,width=$w";
        $urls[$w] = $signer ? image_url($origin, $text, $key, ...$signer) : open_url($origin, $text, $key);
    }
    $values = [
        'src' => end($urls),
        'srcset' => implode(', ', array_map(fn ($url, $w) => "$url {$w}w", $urls, array_keys($urls))),
        'sizes' => $sizes,
        'width' => $width,
        'height' => $height,
        'alt' => $alt,
        'loading' => 'lazy',
    ];
    $pairs = array_map(fn ($name, $value) => $name . '="' . htmlspecialchars((string) $value) . '"', array_keys($values), $values);
    return '<img ' . implode(' ', $pairs) . '>';
}

if (PHP_SAPI === 'cli') {
    [, $origin, $layout, $key, $expires, $kid, $secret] = $argv;
    if (isset($argv[7])) {
        $widths = array_map('intval', explode(',', $argv[7]));
        echo image_set($origin, $layout, $key, $widths, '320px', 1, 1, '', [(int) $expires, $kid, $secret]), "\n";
    } else {
        echo image_url($origin, $layout, $key, (int) $expires, $kid, $secret), "\n";
    }
}
