<?php
// Who asks, proved: the assertion that Sidegate sends in X-Sidegate-Assertion. Needs PHP 8 with openssl, no library.
// Keep $keys for five minutes in a real app, and fetch them again when a key id is not among them.
function who_asks(string $assertion, string $sidegate, string $audience): array
{
    [$head, $body, $signature] = array_pad(explode('.', $assertion), 3, '');
    $decoded = fn(string $part): string => (string) base64_decode(strtr($part, '-_', '+/'));
    $header = json_decode($decoded($head), true) ?? [];
    $keys = array_column(json_decode(file_get_contents("$sidegate/_sidegate/jwks"), true)['keys'], null, 'kid');
    $key = $keys[$header['kid'] ?? ''] ?? throw new Exception('unknown key');
    // openssl wants the public key as PEM, and the two numbers of the signature as DER (RFC 5480 §2, RFC 3279 §2.2.3).
    $point = hex2bin('3059301306072a8648ce3d020106082a8648ce3d03010703420004') . $decoded($key['x']) . $decoded($key['y']);
    $pem = "-----BEGIN PUBLIC KEY-----\n" . chunk_split(base64_encode($point), 64, "\n") . "-----END PUBLIC KEY-----\n";
    $number = fn(string $n): string => "\2" . chr(strlen($n = ltrim($n, "\0")) + (ord($n) >> 7)) . str_repeat("\0", ord($n) >> 7) . $n;
    $numbers = implode(array_map($number, str_split($decoded($signature), 32)));
    $verified = openssl_verify("$head.$body", "\x30" . chr(strlen($numbers)) . $numbers, $pem, OPENSSL_ALGO_SHA256) === 1;
    $claims = json_decode($decoded($body), true) ?? [];
    if (!$verified || ($header['alg'] ?? '') !== 'ES256' || ($claims['iss'] ?? '') !== $sidegate
        || ($claims['aud'] ?? '') !== $audience || ($claims['exp'] ?? 0) < time() - 10 || ($claims['nbf'] ?? 0) > time() + 10) {
        throw new Exception('cannot be believed');
    }
    return $claims;   // sub, roles, groups, …
}
