"""Base of every resource class of this provider. Inputs and states are camelCase."""

from __future__ import annotations

from localcloud.plugins.databricks.api import Api
from localcloud.plugins.databricks.names import snake
from localcloud.plugins.errors import PluginError
from localcloud.plugins.values import Plain


class Resource:
    """`replaces`: inputs whose change needs a new resource. `unsent`: inputs that are not sent to the service."""

    replaces: tuple[str, ...] = ()
    unsent: tuple[str, ...] = ()
    required: tuple[str, ...] = ()

    def create(self, api: Api, inputs: Plain) -> str:
        raise NotImplementedError

    def read(self, api: Api, id_: str) -> Plain | None:
        raise NotImplementedError

    def update(self, api: Api, id_: str, inputs: Plain) -> None:
        raise PluginError("this resource cannot be updated in place")

    def delete(self, api: Api, id_: str, state: Plain) -> None:
        raise NotImplementedError

    def existing(self, api: Api, inputs: Plain) -> str | None:
        """Return the id of the resource that has the name, for types whose creation would be refused then."""
        return None

    def begun(self, api: Api, inputs: Plain, state: Plain) -> bool:
        """Whether the resource of `existing` is as the first request of its creation leaves it, made by this caller."""
        return False

    def finish(self, api: Api, id_: str, inputs: Plain) -> None:
        """Make the requests of a creation that come after the first one."""

    def completed(self, inputs: Plain) -> Plain:
        """Return the inputs in their stored form. Raises PluginError for wrong inputs."""
        return inputs

    def comparable(self, inputs: Plain) -> Plain:
        """Return inputs of a state, which another plugin may have written, in the form of `completed`."""
        return inputs

    def imported(self, state: Plain) -> Plain:
        """Return the inputs of a resource that the program did not make."""
        return dict(state)

    def body(self, inputs: Plain) -> Plain:
        sent: Plain = snake({key: value for key, value in inputs.items() if key not in self.unsent})
        return sent
