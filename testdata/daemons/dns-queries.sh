#!/usr/bin/env bash
# Asks a name server on this machine all kinds of questions: dns-queries.sh PORT [burst]
set -uo pipefail
port=$1

ask() { dig -p "$port" +tries=1 +timeout=1 +noidnin "$@" >/dev/null 2>&1 || :; }
at4() { ask @127.0.0.1 "$@"; }
at6() { ask @::1 "$@"; }

at4 -q www.example.com -t A
at4 -q www.example.com -t A                      # again: from the cache, if there is one
at4 -q www.example.com -t AAAA
at6 -q www.example.com -t AAAA
at4 -b 203.0.113.5 -q example.com -t MX
at4 -b 203.0.113.42 -q example.com -t TXT
at4 -q example.com -t SOA
at4 -q example.com -t NS
at4 -q example.com -t ANY
at4 -q _sip._tcp.example.com -t SRV
at4 -q _dmarc.example.com -t TXT
at4 -q shop.example.com -t A                     # two CNAMEs on the way
at4 -q only-v4.example.com -t AAAA               # NODATA
at4 -q nothing.example.com -t A                  # NXDOMAIN
at4 -x 192.0.2.10
at4 -x 192.0.2.77
at4 -x 2001:db8:1::10
at6 -b 2001:db8::1 -q any.thing.wild.example.com -t A
at4 -q ads.example -t A                          # blocked
at4 -q tracker.ads.example -t AAAA
at4 -q nodata.example -t A
at4 -q walled.example -t A
at4 -q www.broken.example -t A                   # SERVFAIL
at4 -q www.elsewhere.example -t A                # nobody to ask
at4 -b 198.51.100.88 -q www.elsewhere.example -t A
at4 +tcp -q www.example.com -t A
at6 +tcp -q example.com -t ANY
at4 +dnssec -q www.example.com -t A
at4 +cd -q www.example.com -t A
at4 +adflag +norecurse -q www.example.com -t A
at4 +norecurse -q www.elsewhere.example -t A
at4 +noedns -q www.example.com -t A
at4 +cookie=0123456789abcdef -q www.example.com -t A
at4 +nsid +bufsize=512 -q www.example.com -t A
at4 +subnet=203.0.113.0/24 -q www.example.com -t A
at4 +ednsflags=0x4000 +edns=1 -q www.example.com -t A
at4 -q WwW.eXaMpLe.CoM -t A
at4 -q xn--mnchen-3ya.example.com -t A
at4 -q 'münchen.example.com' -t A
at4 -q '*.example.com' -t A
at4 -q 'under_score.example.com' -t A
at4 -q 'with\032space.example.com' -t A
at4 -q 'dotted\.label.example.com' -t A
at4 -q 'quote\".semicolon\;.paren\(.example.com' -t A
at4 -q 'back\\slash.dollar\$.at\@.example.com' -t A
at4 -q 'line\010feed.nul\000.high\255.escape\027[31m.example.com' -t A
at4 -q '${jndi:ldap://x.example/a}.example.com' -t A
at4 -q "'\;drop.table--.example.com" -t TXT
at4 -q '-dash.example.com' -t A
at4 -q "$(printf 'a%.0s' {1..63}).$(printf 'b%.0s' {1..63}).$(printf 'c%.0s' {1..63}).$(printf 'd%.0s' {1..45}).example.com" -t A
at4 -q . -t NS
at4 -q com -t DNSKEY
at4 -q example.com -t TYPE65
at4 -q example.com -t TYPE65280
at4 -c CH -q version.bind -t TXT
at4 -c HS -q example.com -t A
at4 -c ANY -q example.com -t A
at4 +opcode=IQUERY -q example.com -t A
at4 +opcode=NOTIFY -q example.com -t SOA
at4 -q example.com -t AXFR
at4 -b 203.0.113.199 +tcp -q example.com -t IXFR=1
printf 'server 127.0.0.1 %s\nzone example.com\nupdate add new.example.com 60 A 192.0.2.5\nsend\n' "$port" | nsupdate >/dev/null 2>&1
if [[ ${2-} == burst ]]; then
    for _ in {1..20}; do at4 -b 198.51.100.7 -q www.example.com -t A & done      # too many: rate limit
    wait
fi
printf 'not DNS at all' >"/dev/udp/127.0.0.1/$port"
printf '\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www' >"/dev/udp/127.0.0.1/$port"
exit 0
