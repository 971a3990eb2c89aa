"""Inputs and outputs of command jobs: downloads, mounts, direct addresses, registered data."""

from __future__ import annotations

from pathlib import Path

from azure.ai.ml import Input, Output
from localcloud.testing.azure_session import unique
from localcloud.testing.job_sources import (
    code,
    error_of_run,
    log_of,
    submit,
)
from localcloud.testing.workspace_session import MlWorkspace
from localcloud.testing.workspace_session import ml as ml


def test_a_command_gets_its_code_and_inputs_and_leaves_outputs_logs_and_artifacts(
    ml: MlWorkspace, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "in.txt").write_text("from the input")
    source = code(
        tmp_path / "src",
        main="import pathlib, sys\n"
        "text = pathlib.Path(sys.argv[1], 'in.txt').read_text()\n"
        "pathlib.Path(sys.argv[2], 'out.txt').write_text(text + ' ' + sys.argv[3])\n"
        "pathlib.Path('outputs').mkdir(); pathlib.Path('outputs/kept.txt').write_text('kept')\n"
        "print('read', text)\n",
    )

    name = submit(
        ml, "python main.py ${{inputs.data}} ${{outputs.out}} ${{inputs.times}} $[[--never ${{inputs.times}}]]",
        code=str(source), inputs={"data": Input(type="uri_folder", path=str(data)), "times": 3},
        outputs={"out": Output(type="uri_folder")},
    )  # fmt: skip
    job = ml.finished(name)

    assert job.status == "Completed", error_of_run(ml, name)
    ml.client.jobs.download(name, download_path=str(tmp_path / "got"), all=True)
    assert (tmp_path / "got/named-outputs/out/out.txt").read_text() == "from the input 3"
    assert (tmp_path / "got/artifacts/outputs/kept.txt").read_text() == "kept"
    assert "read from the input" in (tmp_path / "got/artifacts/user_logs/std_log.txt").read_text()


def test_a_single_file_is_an_input_and_an_output_by_its_path(ml: MlWorkspace, tmp_path: Path) -> None:
    (tmp_path / "words.csv").write_text("a,b\n")

    name = submit(
        ml, "test -f ${{inputs.words}} && cp ${{inputs.words}} ${{outputs.copy}}",
        inputs={"words": Input(type="uri_file", path=str(tmp_path / "words.csv"), mode="download")},
        outputs={"copy": Output(type="uri_file", mode="upload")},
    )  # fmt: skip

    assert ml.finished(name).status == "Completed", error_of_run(ml, name)
    blob = ml.client.jobs.get(name).outputs["copy"].path.split("/paths/")[1]
    container = ml.client.datastores.get_default().container_name
    assert ml.blobs().get_blob_client(container, blob).download_blob().readall() == b"a,b\n"


def test_a_read_write_mount_shows_existing_files_and_keeps_changes_even_after_a_failure(ml: MlWorkspace) -> None:
    folder = f"shared/{unique('f')}"
    container = ml.client.datastores.get_default().container_name
    for word in ("kept", "changed", "removed"):
        ml.blobs().get_blob_client(container, f"{folder}/{word}.txt").upload_blob(word.encode())
    line = (
        "cat ${{outputs.place}}/*.txt; cd ${{outputs.place}}; echo -n new > new.txt; echo -n other > changed.txt; "
        "rm removed.txt; exit 1"
    )

    name = submit(
        ml, line,
        outputs={
            "place": Output(
                type="uri_folder", path=f"azureml://datastores/workspaceblobstore/paths/{folder}", mode="rw_mount"
            )
        },
    )  # fmt: skip

    assert ml.finished(name).status == "Failed"
    assert "changedkeptremoved" in log_of(ml, name)
    client = ml.blobs().get_container_client(container)
    blobs = {blob: client.download_blob(blob).readall() for blob in client.list_blob_names(name_starts_with=folder)}
    assert blobs == {
        f"{folder}/kept.txt": b"kept",
        f"{folder}/changed.txt": b"other",
        f"{folder}/new.txt": b"new",
    }


def test_directories_of_data_lake_storage_are_folders_of_an_input(ml: MlWorkspace) -> None:
    folder = f"shared/{unique('f')}"
    container = ml.client.datastores.get_default().container_name
    for name in (folder, f"{folder}/deep", f"{folder}/deep/er"):
        ml.blobs().get_blob_client(container, name).upload_blob(b"", metadata={"hdi_isfolder": "true"})
    ml.blobs().get_blob_client(container, f"{folder}/deep/er/a.txt").upload_blob(b"a")

    name = submit(
        ml, "cd ${{inputs.data}}; find . -type f",
        inputs={"data": Input(type="uri_folder", path=f"azureml://datastores/workspaceblobstore/paths/{folder}")},
    )  # fmt: skip

    assert ml.finished(name).status == "Completed", error_of_run(ml, name)
    assert log_of(ml, name).split() == ["./deep/er/a.txt"]


def test_an_input_that_is_mounted_for_writing_keeps_the_command_s_files(ml: MlWorkspace) -> None:
    folder = f"shared/{unique('f')}"
    container = ml.client.datastores.get_default().container_name
    ml.blobs().get_blob_client(container, f"{folder}/a.txt").upload_blob(b"a")

    name = submit(
        ml, "echo -n b > ${{inputs.data}}/b.txt",
        inputs={
            "data": Input(
                type="uri_folder", path=f"azureml://datastores/workspaceblobstore/paths/{folder}", mode="rw_mount"
            )
        },
    )  # fmt: skip

    assert ml.finished(name).status == "Completed", error_of_run(ml, name)
    assert ml.blobs().get_blob_client(container, f"{folder}/b.txt").download_blob().readall() == b"b"


def test_outputs_with_a_name_are_registered_when_the_job_succeeds(ml: MlWorkspace) -> None:
    data, model = unique("data"), unique("model")
    outputs = {
        "rows": Output(type="uri_folder", name=data),
        "model": Output(type="custom_model", name=model, version="4"),
    }

    failed = submit(ml, "echo x > ${{outputs.rows}}/r; exit 1", outputs=outputs)
    assert ml.finished(failed).status == "Failed"
    name = submit(ml, "echo 1 > ${{outputs.rows}}/r.txt; echo 2 > ${{outputs.model}}/m.bin", outputs=outputs)
    assert ml.finished(name).status == "Completed", error_of_run(ml, name)

    asset = ml.client.data.get(data, label="latest")
    assert (asset.version, asset.path) == ("1", ml.client.jobs.get(name).outputs["rows"].path)
    (registered,) = ml.client.models.list(name=model)
    assert (registered.version, registered.job_name, registered.type) == ("4", name, "custom_model")
    again = submit(ml, "echo 2 > ${{outputs.model}}/m.bin", outputs={"model": outputs["model"]})
    assert ml.finished(again).status == "Failed"
    assert f"'{model}' has a version 4 already" in error_of_run(ml, again)[1]


def test_direct_mode_passes_addresses_and_copies_nothing(ml: MlWorkspace) -> None:
    name = submit(
        ml, "echo in=${{inputs.data}} out=${{outputs.out}}",
        inputs={
            "data": Input(type="uri_folder", path="azureml://datastores/workspaceblobstore/paths/none", mode="direct")
        },
        outputs={"out": Output(type="uri_folder", mode="direct")},
    )  # fmt: skip

    assert ml.finished(name).status == "Completed", error_of_run(ml, name)
    log = log_of(ml, name)
    assert f"workspaces/{ml.name}/datastores/workspaceblobstore/paths/none" in log
    assert f"paths/azureml/{name}/out/" in log


def test_missing_data_are_named(ml: MlWorkspace) -> None:
    name = submit(
        ml, "true",
        inputs={"data": Input(type="uri_folder", path="azureml://datastores/workspaceblobstore/paths/no/such/folder")},
    )  # fmt: skip

    assert ml.finished(name).status == "Failed"
    assert "The input 'data' (azureml://" in error_of_run(ml, name)[1]
    assert "no/such/folder" in error_of_run(ml, name)[1]
