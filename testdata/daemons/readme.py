#!/usr/bin/env python3
"""Writes testdata/README.md: usage: readme.py TESTDATA

One line for each file of testdata/logs, with its number of lines as it is now and the versions of the packages that are
installed. A file without a line here, or a line without a file, is an error, so that the two cannot drift apart.
"""
import bz2
import gzip
import lzma
import pathlib
import subprocess
import sys
import zlib

ALL = "all visits, errors and attacks of `daemons/web/web-requests.py`"
QUERIES = "the questions of `daemons/dns-queries.sh`"
MESSAGES = "the messages of `daemons/rsyslog/messages.sh`"

# folder: (packages, [(file, what shaped it, what is special)])
FOLDERS = {
    "nginx": (["nginx-light"], [
        ("combined.log", "`access_log PATH;` (the default, `combined`)", ALL + "; `\\xHH` escapes; users with a space and a quote; statuses 009 to 505; request lines that are empty, binary, without version, of 6 kB and 8 kB"),
        ("main.log", "`log_format main`, combined + `\"$http_x_forwarded_for\"`", "the same requests; lists of forwarded addresses, hostile ones too"),
        ("request_time.log", "combined + `$request_time`", "the same requests"),
        ("upstream.log", "combined + `$request_time $upstream_response_time \"$upstream_addr\"`", "the same requests; `-`, one value, `a, b` (passed to the next server), `a : b` (internal redirect), unix sockets"),
        ("timings.log", "combined + `rt=… uct=\"…\" uht=\"…\" urt=\"…\"`", "the same requests; `-` and lists within the quotes"),
        ("vhost.log", "`$host:$server_port` + combined", "the same requests"),
        ("host_first.log", "`$host` + combined", "the same requests; hosts that are addresses, and a client's own invention"),
        ("ingress.log", "the documented default of the Kubernetes ingress controller", "the same requests; `$upstream_addr` and its fellows are lists with `, ` and ` : ` without quotes; empty `[]`"),
        ("json.log", "`log_format json escape=json`", "the same requests, one JSON object a line, but not always: bytes that are not UTF-8 are written as they are, and the status `009` is no JSON number"),
        ("combined_kolkata.log", "`combined`, `TZ=Asia/Kolkata`", "offset `+0530`"),
        ("error.log", "`error_log PATH warn;`", "records of several lines (FastCGI stderr of PHP and of a CGI script; a line feed in a file name), raw control bytes, refused upstreams, limits, rules"),
        ("error_info.log", "`error_log PATH info;`, by a reload", "the same at level info: invalid requests, clients that went or timed out, TLS failures, notices of the stop"),
    ]),
    "apache": (["apache2"], [
        ("common.log", "`%h %l %u %t \"%r\" %>s %b`", ALL + "; `\\\"` and `\\xhh` escapes; `%b` is `-` without a body"),
        ("combined.log", "common + `\"%{Referer}i\" \"%{User-agent}i\"`", "the same requests"),
        ("common_debian.log", "Debian's `common`: `%O` for `%b`", "the same requests; bytes with headers, never `-`"),
        ("combined_debian.log", "Debian's `combined`: `%O` for `%b`", "the same requests"),
        ("vhost_combined.log", "Debian's `vhost_combined`: `%v:%p` first", "the same requests, and those of a second virtual host"),
        ("combinedio.log", "combined + `%I %O`", "the same requests"),
        ("combined_us.log", "combined + `%D`", "the same requests; microseconds at the end"),
        ("hostnames.log", "combined, `HostnameLookups On`", "names and addresses in the first field"),
        ("error.log", "the default layout, mpm_event, `LogLevel info`", "AH codes, os errors, `[pid N:tid N]`, clients with port, `, referer:`; stderr of CGI scripts comes raw, without a header (mod_cgid)"),
        ("error_prefork.log", "the default layout, mpm_prefork", "as with mod_php: pid and tid are the same number (older 2.4 wrote `[pid N]` only); `AH01215` for each line of a CGI script's stderr (mod_cgi)"),
        ("error_22.log", "`ErrorLogFormat \"[%t] [%l] %7F: %E: [client\\ %a] %M% ,\\ referer\\ %{Referer}i\"`", "the manual's layout similar to 2.2: no module, pid or microseconds. 2.2 wrote the client without port; 2.4 cannot"),
        ("error_iso.log", "`ErrorLogFormat \"[%{cu}t] [%-m:%-l] %-a %-L %M\"`", "ISO 8601 with microseconds; unique ids"),
        ("error_debug.log", "the default layout, `LogLevel debug`", "`file.c(line):` before the client"),
    ]),
    "rotated": (["nginx-light", "logrotate"], [
        ("access.log", "`compress`, `delaycompress`; `postrotate` with USR1", "the newest; the set is one log, oldest in .3.gz, 10 + 20 + 30 + 40 requests"),
        ("access.log.1", "", "not yet compressed"),
        ("access.log.2.gz", "", ""),
        ("access.log.3.gz", "", "the oldest"),
    ]),
    "compressed": (["nginx-light", "gzip", "bzip2", "xz-utils", "zstd"], [
        ("access.several-members.log.gz", "`cat access.log.3.gz access.log.2.gz`", "a gzip file of two members"),
        ("access.log.bz2", "`bzip2 -9`", "rotated/access.log.1"),
        ("access.log.xz", "`xz -6`", "rotated/access.log.1"),
        ("access.log.zst", "`zstd -19`", "rotated/access.log.1"),
    ]),
    "bind": (["bind9"], [
        ("query_all.log", "`print-time yes; print-category yes; print-severity yes`", QUERIES + ", category `queries`; flags, ECS, escaped names, IPv6, TCP. Local time of Berlin. This version always prints `client @0x…`"),
        ("query_time.log", "`print-time yes`", "the same queries; the usual query log"),
        ("query_none.log", "nothing printed before the message", "the same queries, without any time"),
        ("query_iso8601.log", "`print-time iso8601; print-category yes`", "the same queries; local time without offset"),
        ("query_iso8601_utc.log", "`print-time iso8601-utc; print-severity yes`", "the same queries; `Z`"),
        ("query_errors.log", "category `query-errors`, `severity debug 2`", "SERVFAIL and REFUSED, with source file and line"),
        ("security.log", "categories `security`, `update-security`", "denied recursion, transfers and an update"),
        ("rpz.log", "category `rpz`", "rewrites to NXDOMAIN, NODATA and local data"),
        ("named.log", "category `default`", "zones, lame servers, rate limit, notify"),
    ]),
    "dnsmasq": (["dnsmasq-base"], [
        ("queries.log", "`log-queries`, `log-facility=PATH`", QUERIES + "; query, forwarded, reply, cached, config, `/etc/pihole/gravity.list NAME is`; names as they came (spaces, quotes); the cache dump of SIGUSR1; children with other pids (TCP)"),
        ("extra.log", "`log-queries=extra`", "the same questions, with number and requestor before each"),
    ]),
    "unbound": (["unbound"], [
        ("ascii.log", "`log-time-ascii: yes`, `log-queries`, `log-replies`, `log-servfail`, `log-local-actions`", QUERIES + "; local time of New York, no year; statistics at the stop"),
        ("epoch.log", "`log-time-ascii: no`", "the same questions; `[SECONDS]`"),
        ("tagged.log", "`log-tag-queryreply: yes`", "the same questions; `query:` and `reply:` for `info:`"),
    ]),
    "syslog": (["rsyslog", "openssh-server", "bind9", "dnsmasq-base", "unbound"], [
        ("traditional.log", "`RSYSLOG_TraditionalFileFormat`", MESSAGES + ", then sshd's and others'; `#NNN` for control characters; odd tags, 8 kB messages, empty ones, datagrams that are not syslog; times of another year (they came with the message)"),
        ("rfc3339.log", "`RSYSLOG_FileFormat` (Debian's default)", "the same messages"),
        ("pri.log", "a template with `<%PRI%>` first", "the same messages; `<invld>` once"),
        ("rfc5424.log", "`RSYSLOG_SyslogProtocol23Format`", "the same messages; structured data with escapes and UTF-8; two spaces before messages that came by RFC 3164"),
        ("unescaped.log", "`RSYSLOG_FileFormat`, `escapeControlCharactersOnReceive=\"off\"`, `TZ=America/St_Johns`", "the messages once more: raw control bytes, records of several lines, `-03:30`"),
        ("newyear.log", "`RSYSLOG_TraditionalFileFormat`; senders' clocks set with faketime", "29 December 2025 to 1 March 2026, no year in the times"),
        ("auth.log", "`auth,authpriv.*`, traditional", "sshd (accepted, failed, invalid user, preauth, not SSH at all), su, sudo, useradd, PAM; names that look like log lines"),
        ("auth_rfc3339.log", "`auth,authpriv.*`, `RSYSLOG_FileFormat`", "the same messages"),
        ("named.log", "BIND's own syslog channel, traditional", QUERIES + "; local time of rsyslog (UTC)"),
        ("dnsmasq.log", "dnsmasq's own syslog, traditional", QUERIES),
        ("unbound.log", "`use-syslog: yes`, `RSYSLOG_FileFormat`", QUERIES + "; `unbound: [PID:THREAD]`"),
    ]),
    "malformed": ([], [
        ("cut-within-last-line.log", "20 lines of nginx/combined.log, 40 bytes short", ""),
        ("no-line-feed-at-end.log", "the last line feed taken off", ""),
        ("cut-within-first-line.log", "the first 59 bytes taken off", ""),
        ("crlf.log", "`unix2dos`", ""),
        ("half-lf-half-crlf.log", "the last 10 of 20 lines through `unix2dos`", ""),
        ("cr-only.log", "`unix2mac`", "no line feed at all"),
        ("bom-utf8.log", "a UTF-8 byte order mark before", ""),
        ("bom-utf16le.log", "`iconv` to UTF-16, little-endian, with mark", ""),
        ("bom-utf16be.log", "`iconv` to UTF-16, big-endian, with mark", ""),
        ("utf16le-without-bom.log", "`iconv` to UTF-16LE", ""),
        ("nul-run-between-lines.log", "4096 NULs after line 10", "what a crash leaves"),
        ("nul-run-within-line.log", "512 NULs after byte 1000", ""),
        ("nul-run-at-end.log", "4096 NULs after the last line", ""),
        ("only-nul.log", "8192 NULs", ""),
        ("empty.log", "no byte", ""),
        ("one-line-feed.log", "one line feed", ""),
        ("empty-line-after-each.log", "an empty line after each", ""),
        ("three-formats-mixed.log", "nginx access, Apache error, syslog, nginx access", "10 lines each"),
        ("format-changed-midway.log", "combined, then timings", "10 lines each"),
        ("gzip-bytes-appended-to-text.log", "text, then the same log's next lines as gzip", ""),
        ("two-writers-interleaved.log", "300 bytes, then other lines", "a line begins within another"),
        ("gzip-without-gz-name.log", "gzip data, named .log", ""),
        ("plain-text-named.gz", "text, named .gz", ""),
        ("empty.gz", "no byte", ""),
        ("gzip-of-nothing.gz", "`gzip </dev/null`", "valid"),
        ("cut-in-the-middle.gz", "half of the bytes", ""),
        ("cut-in-the-trailer.gz", "4 bytes short", ""),
        ("cut-in-the-header.gz", "5 bytes", ""),
        ("text-after-the-end.gz", "text after the member", ""),
        ("nul-after-the-end.gz", "1024 NULs after the member", "padding, as tapes leave it; valid"),
        ("second-member-cut.gz", "a whole member, then 100 bytes of the next", ""),
        ("wrong-crc.gz", "the CRC overwritten", ""),
        ("line-joined-across-members.gz", "the first member does not end with a line feed", "valid; one line is two requests"),
        ("line-of-100-kB.gz", "a line of 100,000 bytes, then 20 lines", "valid"),
    ]),
}


def line_count(path):
    """Line feeds in the file, or in what its compressed bytes hold; None if they cannot be read to the end."""
    data = path.read_bytes()
    try:
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        elif path.suffix == ".bz2":
            data = bz2.decompress(data)
        elif path.suffix == ".xz":
            data = lzma.decompress(data)
        elif path.suffix == ".zst":
            data = subprocess.run(["zstd", "-dcq", path], check=True, capture_output=True).stdout
    except (OSError, EOFError, zlib.error):
        return None
    return data.count(b"\n")


def version(package):
    return subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], check=True, capture_output=True, text=True).stdout


def main():
    root = pathlib.Path(sys.argv[1])
    logs = root / "logs"
    there = {str(p.relative_to(logs)) for p in logs.rglob("*") if p.is_file()}
    told = {f"{folder}/{name}" for folder, (_, files) in FOLDERS.items() for name, _, _ in files}
    if there != told:
        sys.exit(f"readme.py: not told of: {sorted(there - told)}; not there: {sorted(told - there)}")

    out = [
        "# Test data",
        "",
        "`logs/` holds small logs that real daemons wrote, one folder for each daemon. `make.sh` makes them again: root on Debian",
        "is enough; it runs the daemons of Debian's packages with the configurations of `daemons/`, in namespaces of its own, so",
        "that nothing of the system is touched. Nothing in them is edited or invented, but for `malformed/`, where copies",
        "were harmed on purpose. All hosts, clients and users are made up: addresses of the documentation ranges, a host `web1`, keys and",
        "passwords that lived for one run. Times are those of the last run. This file is written by `daemons/readme.py`.",
        "",
        "*Lines* counts line feeds, of a compressed file those within; `—` means that it cannot be read to its end.",
    ]
    for folder, (packages, files) in FOLDERS.items():
        out += ["", f"## {folder}", ""]
        if packages:
            out += ["Written by " + ", ".join(f"{p} {version(p)}" for p in packages) + ".", ""]
        out += ["| file | lines | shaped by | special |", "|---|---:|---|---|"]
        for name, shaped, special in files:
            n = line_count(logs / folder / name)
            cells = [f"`{name}`", "—" if n is None else str(n), shaped, special]
            out.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
    (root / "README.md").write_text("\n".join(out) + "\n")


main()
