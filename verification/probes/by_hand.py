"""Probes that no client can make: steps for a person, recorded so that they are not forgotten."""

from __future__ import annotations

from verification.probe import Kind, Probe

PROBES = (
    Probe(
        name="agentless-job",
        believed="AzureMLJobWaitTask works with a workload-identity connection",
        basis="learn.microsoft.com/azure/machine-learning/how-to-devops-machine-learning; docs/azure-devops.md",
        kind=Kind.MANUAL,
        steps="Run azure-pipelines.yml with amlServerJob: true. The job of the stage has to end as the ML job does.",
    ),
    Probe(
        name="studio-preview-private",
        believed="Studio previews the workspace's own blobs from inside a private network, and the training data not",
        basis="learn.microsoft.com/azure/machine-learning/how-to-enable-studio-virtual-network",
        kind=Kind.MANUAL,
        steps="With profile private, from a machine in a peered network: Studio, Data, Datastores, Browse, for "
        "workspaceblobstore and for trainingdata.",
    ),
    Probe(
        name="image-build-closed-registry",
        believed="behind a closed registry the cluster pushes the image as the pipeline's identity, by AcrPush",
        basis="docs/adr/0022; learn.microsoft.com/azure/machine-learning/how-to-secure-workspace-vnet",
        kind=Kind.MANUAL,
        steps="With profile private: `make smoke`, then read 20_image_build_log.txt of the run in experiment "
        "prepare_image. Take AcrPush away, publish a changed environment, and see whether the push fails.",
    ),
    Probe(
        name="first-compute-managed-network",
        believed="the first compute of a stack with a managed network takes about 30 minutes",
        basis="learn.microsoft.com/azure/machine-learning/how-to-managed-network",
        kind=Kind.MANUAL,
        steps="Note how long `pulumi up` of a new private stack takes for learning-compute.",
    ),
    Probe(
        name="online-traffic-after-update",
        believed="a PUT of an online endpoint without `traffic` takes its traffic away",
        basis="Azure/azure-rest-api-specs, OnlineEndpointProperties; docs/adr/0041",
        kind=Kind.MANUAL,
        steps="With a pipeline of dev that says `serve: online`, after `make serve`: PUT the endpoint as GET shows it, "
        "without properties.traffic, by `az rest`, and look. `python -m mlops serve` puts the traffic back.",
    ),
    Probe(
        name="online-without-code",
        believed="an MLflow model with azureml-ai-monitoring among its packages is served without code",
        basis="Azure/azureml-examples#3904; learn.microsoft.com/azure/machine-learning/how-to-deploy-mlflow-models",
        kind=Kind.MANUAL,
        steps="With a pipeline of dev that says `serve: online`: `python -m mlops serve --stack dev`. It ends with the "
        "colour that answers, or with the end of the container's log.",
    ),
)
