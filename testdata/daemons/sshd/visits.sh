#!/usr/bin/env bash
# Visits an sshd on port 2222 of this machine, mostly without being let in: visits.sh KEY
set -uo pipefail
key=$1
options=(-p 2222 -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=QUIET -o IdentitiesOnly=yes
    -o IdentityAgent=none -o ConnectTimeout=5)
password=(-o PubkeyAuthentication=no -o PreferredAuthentications=password -o NumberOfPasswordPrompts=1)

with_password() { local from=$1 user=$2 word=$3; shift 3; sshpass -p "$word" ssh "${options[@]}" "${password[@]}" -b "$from" "$@" -l "$user" 127.0.0.1 true </dev/null; }
with_key() { local from=$1 user=$2; shift 2; ssh "${options[@]}" -i "$key" -o BatchMode=yes -b "$from" "$@" -l "$user" 127.0.0.1 "true" </dev/null; }

with_key 203.0.113.5 deploy
ssh "${options[@]}" -i "$key" -o BatchMode=yes -l deploy ::1 'echo hello' </dev/null >/dev/null
with_password 203.0.113.5 deploy correct-horse
with_password 198.51.100.88 deploy wrong
with_password 198.51.100.88 root toor
with_password 198.51.100.88 admin admin
with_password 198.51.100.88 nobody nobody
with_password 198.51.100.88 'user with spaces' x
with_password 198.51.100.88 'invalid user admin from 192.0.2.1 port 1 ssh2' x
with_password 198.51.100.88 'a]b[c: d' x
with_password 198.51.100.88 'müller😀' x
with_password 198.51.100.88 '' x
for n in 1 2 3; do ssh-keygen -q -t ed25519 -N '' -f "$key-$n" </dev/null; done
ssh "${options[@]}" -i "$key-1" -i "$key-2" -i "$key-3" -o BatchMode=yes -b 198.51.100.88 -l deploy 127.0.0.1 true </dev/null      # MaxAuthTries
with_key 198.51.100.7 root
with_key 198.51.100.7 oracle
sftp -P 2222 -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=QUIET -i "$key" -b <(echo ls) deploy@127.0.0.1 >/dev/null 2>&1
ssh-keyscan -p 2222 127.0.0.1 >/dev/null 2>&1
ssh "${options[@]}" -o KexAlgorithms=diffie-hellman-group14-sha1 -o BatchMode=yes -l deploy 127.0.0.1 true </dev/null
ssh "${options[@]}" -o Ciphers=aes128-cbc -o BatchMode=yes -l deploy 127.0.0.1 true </dev/null
# Not SSH: one that goes at once, one that says something else, binary, a dead line, one that waits too long.
exec 3<>/dev/tcp/127.0.0.1/2222; exec 3>&-
for word in 'GET / HTTP/1.0\r\n\r\n' 'SSH-1.5-old\r\n' 'SSH-9.9-new\r\n' '\x16\x03\x01\x00\xee\x01\r\n' 'SSH-2.0-x\e[31m\r\n\x00\x00\x00\x0c'; do
    exec 3<>/dev/tcp/127.0.0.1/2222
    printf '%b' "$word" >&3
    timeout 1 cat <&3 >/dev/null
    exec 3>&-
done
for _ in 1 2 3 4 5; do (exec 3<>/dev/tcp/127.0.0.1/2222; sleep 7) & done      # more than MaxStartups, longer than LoginGraceTime
wait
exit 0
