#!/usr/bin/env bash
# pipelines/session.sh COMMAND…: run a command as the service connection's identity. AzureCLI@2 with addSpnToEnvironment
# sets servicePrincipalId, tenantId and idToken; the providers want them under names of their own.
set -euo pipefail

: "${servicePrincipalId:?set by AzureCLI@2 with addSpnToEnvironment: true}"
: "${tenantId:?set by AzureCLI@2 with addSpnToEnvironment: true}"
: "${idToken:?set by AzureCLI@2 for a service connection with workload identity federation; this one has a secret}"
for name in BASE_NAME LOCATION BACKEND_STORAGE_ACCOUNT BACKEND_CONTAINER; do
    value=${!name:-}
    # A macro that names no variable stays as it is written.
    if [ -z "$value" ] || [ "$value" = "\$($name)" ]; then
        echo "##vso[task.logissue type=error]Variable $name is not set: add it to the environment's variable group." >&2
        exit 1
    fi
done

export ARM_USE_OIDC=true ARM_OIDC_TOKEN="$idToken"
export ARM_CLIENT_ID="$servicePrincipalId" ARM_TENANT_ID="$tenantId"
if [ -z "${ARM_SUBSCRIPTION_ID:-}" ]; then
    ARM_SUBSCRIPTION_ID=$(az account show --query id --output tsv)
    export ARM_SUBSCRIPTION_ID
fi
export AZURE_SUBSCRIPTION_ID="$ARM_SUBSCRIPTION_ID"
export DATABRICKS_AUTH_TYPE=${DATABRICKS_AUTH_TYPE:-azure-cli}
export PULUMI_BACKEND_URL="azblob://$BACKEND_CONTAINER?storage_account=$BACKEND_STORAGE_ACCOUNT"
exec "$@"
