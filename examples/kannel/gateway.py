#!/usr/bin/env python3
"""A plain HTTP SMS gateway (Kannel) behind Parley's gate; Python's standard library only.

  gateway.py serve                       receives delivery reports and replies from Kannel
  gateway.py send NUMBER PURPOSE TEXT    asks for a permit and sends one message

Environment: PARLEY, PARLEY_KEY (gate:use, withdrawals:write), KANNEL (sendsms URL),
KANNEL_USER, KANNEL_PASSWORD, LISTEN (host:port of serve, default 127.0.0.1:8099).
docs/integration/kannel.md says what was run.
"""
import http.server
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request

PARLEY = os.environ.get("PARLEY", "http://127.0.0.1:8080")
KEY = os.environ.get("PARLEY_KEY", "")
KANNEL = os.environ.get("KANNEL", "http://127.0.0.1:13013/cgi-bin/sendsms")
LISTEN = os.environ.get("LISTEN", "127.0.0.1:8099")

# What every message this script sends really does; never claim more.
MEETS = ["identity", "refusal_path", "ai_label", "notice"]
STOP_WORDS = {"TD", "T", "R", "退订", "STOP", "UNSUBSCRIBE"}


def ask(path, body, key=None):
    """POSTs to Parley; gives the answer, or raises with Parley's own sentence."""
    r = urllib.request.Request(PARLEY + "/api/v1" + path, json.dumps(body).encode(), {
        "Authorization": "Bearer " + KEY, "Content-Type": "application/json", "Accept-Language": "en"})
    if key:
        r.add_header("Idempotency-Key", key)
    try:
        with urllib.request.urlopen(r, timeout=10) as a:
            return json.load(a)
    except urllib.error.HTTPError as e:
        p = json.load(e)
        raise SystemExit(f"refused: {p['code']} {p.get('rule', '')} {p['detail']}") from None


def send(number, purpose, text, message_id=None):
    d = ask("/gate/decisions", {"to": number, "channel": "sms", "purpose": purpose,
                                "discloses": ["identity", "refusal_path"]}, message_id)
    if d["effect"] != "allow":  # no permit, no message
        raise SystemExit(f"{d['effect']} by {d.get('by')}: {d['headline']} {d.get('not_before', '')}")
    permit = d["permit"]["id"]
    ask(f"/gate/permits/{permit}/spend", {"meets": MEETS})
    report = f"http://{LISTEN}/report?permit={permit}&state=%d"  # Kannel fills in %d
    q = urllib.parse.urlencode({
        "username": os.environ.get("KANNEL_USER", "parley"), "password": os.environ.get("KANNEL_PASSWORD", "parley"),
        "to": number, "text": text, "charset": "UTF-8", "coding": 2, "dlr-mask": 3, "dlr-url": report})
    try:
        with urllib.request.urlopen(KANNEL + "?" + q, timeout=10) as a:
            print(permit, a.read().decode())
    except urllib.error.HTTPError as e:  # Kannel took nothing: provably not sent
        ask(f"/gate/permits/{permit}/settle", {"outcome": "not_sent", "code": e.code})
        raise SystemExit(f"Kannel refused it: {e.code}") from None
    except OSError:  # nobody knows: it counts in full until somebody finds out
        ask(f"/gate/permits/{permit}/settle", {"outcome": "unknown"})
        raise


def words(raw):
    """Kannel hands on UCS-2 messages as they came, others as UTF-8."""
    try:
        if b"\0" not in raw:
            return raw.decode()
    except UnicodeDecodeError:
        pass
    return raw.decode("utf-16-be", "replace")


class Receiver(http.server.BaseHTTPRequestHandler):
    """What Kannel calls: /report for delivery reports, /reply for messages from customers."""

    def do_GET(self):
        u = urllib.parse.urlsplit(self.path)
        q = {k: v[0] for k, v in urllib.parse.parse_qs(u.query, encoding="latin-1").items()}
        try:
            body = self.report(q) if u.path == "/report" else self.reply(q)
        except SystemExit as e:
            print(e, flush=True)
            body = ""
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.end_headers()
        self.wfile.write(body.encode())

    def report(self, q):
        outcome = {"1": "delivered", "2": "unreachable"}.get(q["state"], "unknown")
        print("report", q["permit"], ask(f"/gate/permits/{q['permit']}/settle", {"outcome": outcome, "code": int(q["state"])}), flush=True)
        return ""

    def reply(self, q):
        text = words(q.get("text", "").encode("latin-1"))
        if text.strip().upper() not in STOP_WORDS:
            return ""
        stops = ask("/withdrawals", {"to": q["from"], "channels": ["sms"], "source": "sms_reply"}, "mo-" + q["id"])
        print("stopped", len(stops["stops"]), flush=True)
        return ""  # the confirmation is a contact too: it would need a permit

    def log_message(self, *_):
        """Nothing: the query holds a number."""


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        host, port = LISTEN.rsplit(":", 1)
        http.server.ThreadingHTTPServer((host, int(port)), Receiver).serve_forever()
    elif sys.argv[1:2] == ["send"] and len(sys.argv) == 5:
        send(*sys.argv[2:])
    else:
        raise SystemExit(__doc__)
