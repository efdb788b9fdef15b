"""What `train.py` refuses before anything is recorded."""

import http.server
import sys

import pytest

from produtos.errors import BadInput
from tests.support.threads import Quiet, serving

ROWS = [f"produto {n};texto de venda {n};{('livro', 'brinquedo')[n % 2]}" for n in range(120)]
TABLE = "\n".join(["nome;descricao;categoria", *ROWS, ""]).encode()


class Half(Quiet):
    """Promises a whole table and sends half of it."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(TABLE)))
        self.end_headers()
        self.wfile.write(TABLE[: len(TABLE) // 2])


def test_half_a_download_is_not_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    import train

    # Were anything to be recorded, this server would be asked, and missed.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Half)
    address = f"http://127.0.0.1:{server.server_port}/x.csv?token=SECRET"
    monkeypatch.setattr(sys, "argv", ["train.py", "--dataset", address])
    with serving(server), pytest.raises(BadInput) as refusal:
        train.main()
    half, whole = f"{len(TABLE) // 2:,}", f"{len(TABLE):,}"
    assert f"the server sent {half} of {whole} bytes" in str(refusal.value)
    assert "SECRET" not in str(refusal.value)
