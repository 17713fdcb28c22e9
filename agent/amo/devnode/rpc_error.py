"""Errors of JSON-RPC 2.0 as Tendermint words them."""

from agent.errors import AgentError

Id = str | int | None
"""Of a request; None: the answer has no id."""


class RpcError(AgentError):
    """data: the detail; empty: left out. status: of HTTP, 200 for nearly every error."""

    def __init__(self, code: int, text: str, data: str = "", *, status: int = 200) -> None:
        super().__init__(f"{text}: {data}" if data else text)
        self.code = code
        self.text = text
        self.data = data
        self.status = status

    def to_json(self) -> dict[str, object]:
        error: dict[str, object] = {"code": self.code, "message": self.text}
        return error | ({"data": self.data} if self.data else {})


def parse_error(data: str) -> RpcError:
    return RpcError(-32700, "Parse error. Invalid JSON", data)


def invalid_request(data: str) -> RpcError:
    return RpcError(-32600, "Invalid Request", data)


def method_not_found() -> RpcError:
    return RpcError(-32601, "Method not found")


def invalid_params(data: str, form: str = "json") -> RpcError:
    return RpcError(
        -32602, "Invalid params", f"error converting {form} params to arguments: {data}"
    )


def internal_error(data: str) -> RpcError:
    return RpcError(-32603, "Internal error", data)
