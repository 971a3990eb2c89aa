#!/usr/bin/env bash
# pipelines/session.sh COMMAND…: run a command as the service connection's identity, in the environment's subscription.
# AzureCLI@2 with addSpnToEnvironment sets servicePrincipalId, tenantId and idToken, and signs the Azure CLI in.
set -euo pipefail

: "${servicePrincipalId:?set by AzureCLI@2 with addSpnToEnvironment: true}"
: "${tenantId:?set by AzureCLI@2 with addSpnToEnvironment: true}"
: "${idToken:?set by AzureCLI@2 for a service connection with workload identity federation; this one has a secret}"
for name in BASE_NAME LOCATION SUBSCRIPTION_ID BACKEND_STORAGE_ACCOUNT BACKEND_CONTAINER; do
    value=${!name:-}
    # A macro without a variable stays in the text unchanged.
    if [ -z "$value" ] || [ "$value" = "\$($name)" ]; then
        echo "##vso[task.logissue type=error]Variable $name is not set: add it to the environment's variable group." >&2
        exit 1
    fi
done

# The variable group decides on the subscription: the connection's is the bootstrap's for previews.
export ARM_SUBSCRIPTION_ID="$SUBSCRIPTION_ID" AZURE_SUBSCRIPTION_ID="$SUBSCRIPTION_ID" ARM_TENANT_ID="$tenantId"
# Everything takes its tokens from the Azure CLI's session, which keepAzSessionActive signs in again every eight minutes.
# The id token itself lives for ten, and the providers would use it for as long as they run (docs/adr/0019).
unset idToken ARM_USE_OIDC ARM_OIDC_TOKEN ARM_OIDC_TOKEN_FILE_PATH ARM_OIDC_REQUEST_TOKEN ARM_OIDC_REQUEST_URL
unset ARM_CLIENT_ID ARM_CLIENT_SECRET ARM_USE_MSI
# DefaultAzureCredential would find the managed identity of the agent's machine first.
export AZURE_TOKEN_CREDENTIALS=AzureCliCredential DATABRICKS_AUTH_TYPE=azure-cli
export PULUMI_BACKEND_URL="azblob://$BACKEND_CONTAINER?storage_account=$BACKEND_STORAGE_ACCOUNT"
exec "$@"
