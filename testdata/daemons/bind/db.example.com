$TTL 300
@           SOA   ns1 hostmaster 2026010101 3600 600 86400 60
            NS    ns1
            A     192.0.2.10
            AAAA  2001:db8:1::10
            MX    10 mail
            TXT   "v=spf1 mx -all" "second \"string\""
            CAA   0 issue "ca.example"
ns1         A     192.0.2.1
www         A     192.0.2.10
            AAAA  2001:db8:1::10
mail        A     192.0.2.25
shop        CNAME cdn
cdn         CNAME www
only-v4     A     192.0.2.44
_dmarc      TXT   "v=DMARC1; p=none"
_sip._tcp   SRV   10 60 5060 www
xn--mnchen-3ya A  192.0.2.60
*.wild      A     192.0.2.99
sub         NS    ns.sub
ns.sub      A     192.0.2.200
