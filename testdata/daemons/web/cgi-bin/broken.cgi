#!/bin/sh
echo "broken.cgi: giving up" >&2
exit 3
