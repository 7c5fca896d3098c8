#!/bin/sh
# Several lines on stderr, before and after the header.
echo "noisy.cgi: cannot read \"/var/lib/noisy/state\": using defaults" >&2
echo "Traceback (most recent call last):" >&2
echo "  File \"noisy\", line 3, in <module>" >&2
printf 'KeyError: \033[31mred\033[0m caf\303\251 \377\n' >&2
printf 'Content-Type: text/plain\r\n\r\nok\n'
