"""The messages and stubs that the language host needs. Only its own process may import this module.

The reason is in core/pulumi_protocol.py. An empty `grpc.aio` under a server of threads saves another 40 ms.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any

from localcloud.core.pulumi_protocol import protocol_modules

sys.modules.setdefault("grpc.aio", types.ModuleType("grpc.aio"))
grpc: Any = importlib.import_module("grpc")
empty_pb2: Any = importlib.import_module("google.protobuf.empty_pb2")
json_format: Any = importlib.import_module("google.protobuf.json_format")
analyzer_pb2, language_pb2, language_pb2_grpc, plugin_pb2 = protocol_modules(
    "analyzer_pb2", "language_pb2", "language_pb2_grpc", "plugin_pb2"
)
