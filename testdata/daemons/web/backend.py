#!/usr/bin/env python3
"""The application behind the web servers, good and bad: answers on 127.0.0.1:9004.

    /app/...          200, a short page        /slow...       answers after 3 s (longer than the proxies wait)
    /big...           200, 400 kB              /upload        takes a body, 201
    /broken/close     closes without a word    /broken/junk   answers with something that is not HTTP
    /broken/header    a header of 16 kB        /broken/short  promises more bytes than it sends
"""
import http.server
import time


class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"

    def log_message(self, format, *args):
        pass

    def do_GET(self):
        path = self.path
        if path.startswith("/slow"):
            time.sleep(3)
            self.answer(200, b"late\n")
        elif path == "/broken/close":
            self.close_connection = True
        elif path == "/broken/junk":
            self.wfile.write(b"\x00\x01 this is not HTTP\r\n\r\n")
        elif path == "/broken/header":
            self.wfile.write(b"HTTP/1.0 200 OK\r\nX-Big: " + b"x" * 16384 + b"\r\n\r\n")
        elif path == "/broken/short":
            self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: 5000\r\n\r\nshort")
        elif path.startswith("/big"):
            self.answer(200, b"0123456789abcdef" * 25600)
        else:
            self.answer(200, b"<html>the application</html>\n")

    do_HEAD = do_GET

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer(201, b"stored\n")

    do_PUT = do_POST

    def answer(self, status, body):
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            pass


http.server.ThreadingHTTPServer(("127.0.0.1", 9004), App).serve_forever()
