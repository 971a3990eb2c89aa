"""The bootstrap's program: settings, the resources that the first stack needs, then Azure DevOps."""

from __future__ import annotations

import pulumi
import pulumi.runtime
from pulumi_azure_native import authorization, resources

from bootstrap.access import Access, AccessArgs, EnvironmentScopes
from bootstrap.container_registry import ContainerRegistry, ContainerRegistryArgs
from bootstrap.identities import Federation, Identity, IdentityArgs
from bootstrap.naming import (
    ARM_CONNECTION,
    CI_GROUP,
    OWN_CONTAINER,
    REGISTRY_CONNECTION,
    Names,
    deployment_environment,
    environment_connection,
    workspace_connection,
)
from bootstrap.placement import Placement
from bootstrap.settings import Settings, SettingsError, read_settings
from bootstrap.state import State, StateArgs
from bootstrap.vault import Vault, VaultArgs
from declarations.roles import CustomRole, Grantee, RoleAssigner, RoleScope

OWN = "bootstrap"


def declare() -> None:
    """Declare all resources and export the outputs that the next steps use."""
    try:
        settings = read_settings(pulumi.runtime.get_config_env())
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from None
    for name, value in Bootstrap(settings).outputs.items():
        pulumi.export(name, value)


class Bootstrap:
    """The bootstrap's resources and `outputs`, none of which is a secret."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._names = names = Names(settings.base_name)
        self._client = authorization.get_client_config_output()
        self._subscription = self._client.subscription_id
        group = resources.ResourceGroup(
            "group",
            resource_group_name=names.resource_group,
            location=settings.location,
            tags=self._tags(),
            opts=pulumi.ResourceOptions(protect=settings.protect),
        )
        self._place = Placement(
            names=names,
            resource_group_name=group.name,
            location=settings.location,
            tags=self._tags(),
            protect=settings.protect,
            soft_delete_days=settings.soft_delete_days,
            allowed_ips=settings.allowed_ips,
        )
        self._group = group
        containers = [*map(names.container, settings.names), OWN_CONTAINER]
        self._state = State(
            "state", StateArgs(placement=self._place, containers=containers, replication=settings.replication)
        )
        keys = {name: names.key(name) for name in (*settings.names, OWN)}
        self._vault = Vault("keys", VaultArgs(placement=self._place, tenant_id=self._client.tenant_id, keys=keys))
        self._container_registry = ContainerRegistry("images", ContainerRegistryArgs(placement=self._place))
        self._deployers = {name: self._identity(f"deploy-{name}") for name in settings.names}
        self._runs = {name: self._identity(f"runs-{name}") for name in settings.names}
        self._preview, self._image = (self._identity(label) for label in ("preview", "ci"))
        self._assign_roles()
        self._federations = self._azure_devops() if settings.azure_devops.enabled else self._existing_connections()
        for connection, identity in self._connections().items():
            if connection in self._federations:
                identity.federate(connection, self._federations[connection])
        self.outputs = self._outputs()

    def _tags(self) -> dict[str, str]:
        settings = self._settings
        return {
            "project": "dataopsml",
            "environment": "bootstrap",
            "owner": settings.owner,
            "cost_center": settings.cost_center,
            "managed_by": "pulumi",
        }

    def _identity(self, purpose: str) -> Identity:
        return Identity(purpose, IdentityArgs(placement=self._place, purpose=purpose))

    def _own_subscription(self, environment: str) -> str | None:
        return next(
            candidate.subscription_id for candidate in self._settings.environments if candidate.name == environment
        )

    def _subscription_of(self, environment: str) -> pulumi.Output[str]:
        own = self._own_subscription(environment)
        return self._subscription if own is None else pulumi.Output.from_input(own)

    def _connections(self) -> dict[str, Identity]:
        """Return the identity of each service connection."""
        deploying = {environment_connection(name): identity for name, identity in self._deployers.items()}
        return {
            ARM_CONNECTION: self._preview,
            environment_connection("preview"): self._preview,
            **deploying,
            REGISTRY_CONNECTION: self._image,
            **{workspace_connection(name): identity for name, identity in self._runs.items()},
        }

    def _subscription_for(self, connection: str) -> pulumi.Output[str]:
        """Return the subscription of a connection."""
        for environment in self._settings.names:
            if connection in (environment_connection(environment), workspace_connection(environment)):
                return self._subscription_of(environment)
        return self._subscription

    def _assign_roles(self) -> None:
        settings, names = self._settings, self._names
        operators = [
            Grantee(label=f"operator-{operator.object_id}", principal_id=operator.object_id, type=operator.type)
            for operator in settings.operators
        ]
        caller = Grantee(label="operator", principal_id=self._client.object_id, type=settings.operator_type)
        shared = "subscription"

        def scopes(environment: str) -> EnvironmentScopes:
            own = self._own_subscription(environment)
            label = shared if own is None else f"{shared}-{environment}"
            return EnvironmentScopes(
                subscription=RoleScope(
                    label=label, id=pulumi.Output.concat("/subscriptions/", self._subscription_of(environment))
                ),
                container=RoleScope(
                    label=names.container(environment), id=self._state.container_ids[names.container(environment)]
                ),
                key=RoleScope(label=names.key(environment), id=self._vault.key_ids[environment]),
            )

        Access(
            "access",
            AccessArgs(
                assigner=RoleAssigner(names=names, subscription_id=self._subscription),
                base_name=settings.base_name,
                environments={name: scopes(name) for name in settings.names},
                account=RoleScope(label="state", id=self._state.account_id),
                vault=RoleScope(label="keys", id=self._vault.vault_id),
                container_registry=RoleScope(label="images", id=self._container_registry.registry_id),
                deployers={name: identity.grantee for name, identity in self._deployers.items()},
                preview=self._preview.grantee,
                image=self._image.grantee,
                runs={name: identity.grantee for name, identity in self._runs.items()},
                operators=operators or [caller],
                custom_roles=[CustomRole(name="ONLINE_CALLER", value=role) for role in settings.online_caller_roles],
            ),
        )

    def _existing_connections(self) -> dict[str, Federation]:
        """Return the federations of connections from the settings, under the names that the pipelines use."""
        return {
            connection: Federation(issuer=presented.issuer, subject=presented.subject)
            for connection, presented in self._settings.azure_devops.connections.items()
        }

    def _azure_devops(self) -> dict[str, Federation]:
        from bootstrap.azure_devops import AzureDevOpsArgs, declare_azure_devops

        return declare_azure_devops(
            AzureDevOpsArgs(
                settings=self._settings,
                tenant_id=self._client.tenant_id,
                subscriptions={name: self._subscription_of(name) for name in self._settings.names},
                subscription_id=self._subscription,
                clients={connection: identity.client_id for connection, identity in self._connections().items()},
                registry_name=self._names.container_registry,
                registry_group=self._group.name,
                groups={
                    **{deployment_environment(name): self._variables(name) for name in self._settings.names},
                    CI_GROUP: {"REGISTRY": self._container_registry.login_server},
                },
            )
        )

    def _variables(self, environment: str) -> dict[str, pulumi.Input[str]]:
        """Return the variables of an environment's pipelines. The sample's own variables keep their names."""
        names, group = self._names, self._names.stack_group(environment)
        workspace = names.stack_workspace(environment)
        return {
            "BASE_NAME": self._settings.base_name,
            "LOCATION": self._settings.location,
            "MLPIPELINE_SP_OBJECT_ID": self._deployers[environment].principal_id,
            "BACKEND_RESOURCE_GROUP": self._group.name,
            "BACKEND_STORAGE_ACCOUNT": self._state.account_name,
            "BACKEND_CONTAINER": names.container(environment),
            "PULUMI_SECRETS_PROVIDER": names.secrets_provider(environment),
            "SUBSCRIPTION_ID": self._subscription_of(environment),
            "RESOURCE_GROUP": group,
            "WORKSPACE_NAME": workspace,
            "WORKSPACE_ID": pulumi.Output.concat(
                "/subscriptions/", self._subscription_of(environment), "/resourceGroups/", group,
                "/providers/Microsoft.MachineLearningServices/workspaces/", workspace,
            ),
            "WORKSPACE_SVC_CONNECTION": workspace_connection(environment),
            **self._sharing(environment),
        }  # fmt: skip

    def _sharing(self, environment: str) -> dict[str, pulumi.Input[str]]:
        """Return the variable that lets the last environment read models from the registry of the one before it."""
        *earlier, last = self._settings.names
        if environment not in earlier[-1:]:
            return {}
        return {"MODEL_REGISTRY_USER_OBJECT_ID": self._deployers[last].principal_id}

    def _outputs(self) -> dict[str, pulumi.Input[object]]:
        names = self._names
        return {
            "storage_account": self._state.account_name,
            "own_backend": f"azblob://{OWN_CONTAINER}?storage_account={names.account}",
            "own_secrets_provider": names.secrets_provider(OWN),
            "environments": {
                name: {
                    "backend": f"azblob://{names.container(name)}?storage_account={names.account}",
                    "secrets_provider": names.secrets_provider(name),
                    "deployer_client_id": self._deployers[name].client_id,
                    "deployer_object_id": self._deployers[name].principal_id,
                }
                for name in self._settings.names
            },
            "preview_client_id": self._preview.client_id,
            "registry": self._container_registry.login_server,
            "tenant_id": self._client.tenant_id,
            "connections": {
                connection: {
                    "client_id": identity.client_id,
                    "subscription_id": self._subscription_for(connection),
                    "federated": connection in self._federations,
                }
                for connection, identity in self._connections().items()
            },
        }
