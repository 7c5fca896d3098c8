#!/usr/bin/env bash
# The turn of a year in a log whose times have no year: the senders' clocks are set (faketime), their messages are real.
set -euo pipefail
for when in '2025-12-29 08:15:00' '2025-12-30 17:40:21' '2025-12-31 12:00:00' '2025-12-31 23:59:58' '2025-12-31 23:59:59' \
    '2026-01-01 00:00:00' '2026-01-01 00:00:01' '2026-01-01 09:30:00' '2026-01-02 10:00:00' '2026-01-10 10:00:00' \
    '2026-02-28 23:59:59' '2026-03-01 00:00:00'; do
    faketime -f "$when" logger -n 127.0.0.1 -P 5514 -d --rfc3164 -t newyear --id=77 "the sender's clock says $when"
done
