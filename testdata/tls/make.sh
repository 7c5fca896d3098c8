#!/bin/sh
# Makes the certificates that the tests of mail talk TLS with: an authority that nobody trusts, and by it one for `localhost`, one for
# another name and one that is out of date. The key is no secret.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
: > index.txt
echo unique_subject=no > index.txt.attr
echo 01 > serial
cat > openssl.cnf <<'END'
[ca]
default_ca = here
[here]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = names
[names]
commonName = supplied
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
[server]
subjectAltName = DNS:localhost, IP:127.0.0.1
extendedKeyUsage = serverAuth
[other]
subjectAltName = DNS:mail.example.org
extendedKeyUsage = serverAuth
END
key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$1"; }
# NAME KEY EXTENSIONS END [SIGNED BY…]
sign() {
    openssl req -new -batch -key "$2" -subj "/CN=$1" -out "$1.csr"
    name=$1 extensions=$3 end=$4
    shift 4
    openssl ca -batch -notext -config openssl.cnf -in "$name.csr" -out "$name.pem" -extensions "$extensions" \
        -startdate 20200101000000Z -enddate "$end" "$@"
}
key ca.key
key server.key
sign ca ca.key authority 21200101000000Z -selfsign -keyfile ca.key
sign server server.key server 21200101000000Z -cert ca.pem -keyfile ca.key
sign other server.key other 21200101000000Z -cert ca.pem -keyfile ca.key
sign expired server.key server 20210101000000Z -cert ca.pem -keyfile ca.key
cp ca.pem server.pem other.pem expired.pem server.key "$here"
