#!/bin/sh
# Makes the certificates of the TLS tests: an authority, a server for localhost and 127.0.0.1, a client. They protect nothing.
set -eu
cd "$(dirname "$0")"
new() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500 "$@" 2>/dev/null; }
new -x509 -subj "/CN=headrace test authority" -keyout ca.key -out ca.pem
for name in server client; do
    new -subj "/CN=headrace test $name" -keyout $name.key -out $name.csr
    printf 'subjectAltName=DNS:localhost,DNS:milvus.test,IP:127.0.0.1' > extensions
    openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 36500 -extfile extensions -out $name.pem 2>/dev/null
done
rm -f ./*.csr ./*.srl ca.key extensions
