"""People around a real edge, on loopback: phones that register and answer, a trunk, strangers. UDP on SIP's port."""

import hashlib
import re
import socket
import threading
from collections.abc import Mapping
from types import TracebackType

from tests.evidence.relays import token

PASSWORD, REALM = "secret", "example.com"


class Actor:
    """Answers whatever is asked of it with 200, and asks; one thread, ended with the block."""

    def __init__(self, address: str, edge: str, user: str = "stranger") -> None:
        self.address = address
        self.user = user
        self._edge = edge
        self._sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sock.bind((address, 5060))
        self._sock.settimeout(0.1)
        self._answers: dict[str, list[str]] = {}
        self._came = threading.Condition()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._serial = 0
        self.asked: list[str] = []

    def __enter__(self) -> "Actor":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._sock.close()

    def ask(
        self, method: str, uri: str, *, more: Mapping[str, str] | None = None, to_tag: str = "", **known: str
    ) -> tuple[int, str]:
        """Send a request to the edge and give the final answer's status and text; (0, "") when none comes."""
        self._serial += 1
        call_id = known.get("call_id") or token(self.address, self._serial)
        number = known.get("number", "1")
        to = f"<sip:{self.user}@{REALM}>" if method == "REGISTER" else f"<{uri}>"
        headers = {
            "Via": f"SIP/2.0/UDP {self.address}:5060;branch=z9hG4bK{token(call_id, number, method)};rport",
            "Max-Forwards": "70",
            "From": f"<sip:{self.user}@{REALM}>;tag={token(call_id)[:8]}",
            "To": to + (f";tag={to_tag}" if to_tag else ""),
            "Call-ID": call_id,
            "CSeq": f"{number} {method}",
            "Contact": f"<sip:{self.user}@{self.address}>",
            **(more or {}),
            "Content-Length": "0",
        }
        text = (
            f"{method} {uri} SIP/2.0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
        )
        answer = self._final(text, call_id, number)
        status = int(answer.split()[1]) if answer else 0
        if method == "INVITE" and status:
            tag = re.search(r"(?mi)^To:.*?(;tag=\S+)", answer)
            headers |= {"CSeq": f"{number} ACK", "To": to + (tag[1] if tag and not to_tag else "")}
            ack = f"ACK {uri} SIP/2.0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
            self._send(ack)
        return status, answer

    def log_in(self, method: str, uri: str) -> int:
        """The same with the password, asked for first."""
        call_id = token(self.address, method, uri)
        status, answer = self.ask(method, uri, call_id=call_id)
        if status not in (401, 407):
            return status
        found = re.search(r'nonce="([^"]+)"', answer)
        assert found
        one = hashlib.md5(f"{self.user}:{REALM}:{PASSWORD}".encode()).hexdigest()
        two = hashlib.md5(f"{method}:{uri}".encode()).hexdigest()
        response = hashlib.md5(f"{one}:{found[1]}:{two}".encode()).hexdigest()
        name = "Authorization" if status == 401 else "Proxy-Authorization"
        value = (
            f'Digest username="{self.user}", realm="{REALM}", nonce="{found[1]}", uri="{uri}", response="{response}"'
        )
        return self.ask(method, uri, call_id=call_id, number="2", more={name: value})[0]

    def _final(self, text: str, call_id: str, number: str) -> str:
        key = f"{call_id} {number}"
        with self._came:
            for _ in range(12):
                self._send(text)
                if self._came.wait_for(lambda: key in self._answers, 0.5):
                    return self._answers.pop(key)[-1]
        return ""

    def _send(self, text: str) -> None:
        self._sock.sendto(text.encode(), (self._edge, 5060))

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                data, sender = self._sock.recvfrom(65535)
            except TimeoutError:
                continue
            except ConnectionRefusedError:  # the edge does not listen yet
                continue
            text = data.decode("utf-8", "replace")
            if not text.startswith("SIP/2.0"):
                self._answer(text, sender)
            elif int(text.split()[1]) >= 200:
                call_id, number = _value(text, "Call-ID"), _value(text, "CSeq").split()[0]
                with self._came:
                    self._answers.setdefault(f"{call_id} {number}", []).append(text)
                    self._came.notify_all()

    def _answer(self, text: str, sender: tuple[str, int]) -> None:
        method = text.split()[0]
        if method == "ACK":
            return
        self.asked.append(text.split("\r\n")[0])
        kept = [line for line in text.split("\r\n") if line.lower().startswith(("via:", "record-route:"))]
        to = _value(text, "To")
        kept += [f"{name}: {_value(text, name)}" for name in ("From", "Call-ID", "CSeq")]
        kept += [f"To: {to}" + ("" if "tag=" in to else f";tag={token(self.address, to)[:8]}")]
        kept += [f"Contact: <sip:{self.user}@{self.address}>", "Content-Length: 0"]
        self._sock.sendto(("SIP/2.0 200 OK\r\n" + "\r\n".join(kept) + "\r\n\r\n").encode(), sender)


def _value(text: str, name: str) -> str:
    found = re.search(rf"(?mi)^{name}:\s*(.*?)\r$", text)
    assert found, (name, text)
    return found[1]
