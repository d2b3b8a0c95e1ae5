"""The manifests of ingestion and alert dispatch: whole in themselves, and started as the programs want it."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from jobs.dispatch.configuration import parse
from jobs.ingestion import settings as ingestion
from jobs.ingestion.auth.gatekeeper import refuse_open_to_the_world
from jobs.ingestion.http.pages import PATHS

PROJECT: Final = Path(__file__).parents[2]
K8S: Final = PROJECT / "k8s"
SERVICES: Final = {"ingestion.yaml": "StatefulSet", "dispatch.yaml": "Deployment"}


def bytes_of(quantity: str) -> int:
    """Return the bytes of a quantity in GiB."""
    return int(quantity.removesuffix("Gi")) * 1024**3


def documents(name: str) -> dict[str, dict[str, Any]]:
    """Return the documents of a manifest by their kind."""
    found = list(yaml.safe_load_all((K8S / name).read_text()))
    assert len({document["kind"] for document in found}) == len(found)
    return {document["kind"]: document for document in found}


def configuration(name: str) -> str:
    """Return the configuration file in a manifest."""
    [document] = documents(name)["ConfigMap"]["data"].values()
    return str(document)


@pytest.mark.parametrize(("name", "kind"), SERVICES.items())
def test_parts_of_a_manifest_name_one_another(name: str, kind: str) -> None:
    parts = documents(name)
    workload = parts[kind]["spec"]
    pod = workload["template"]
    [container] = pod["spec"]["containers"]
    labels = pod["metadata"]["labels"]
    assert workload["selector"]["matchLabels"] == labels == parts["Service"]["spec"]["selector"]
    ports = {port["name"] for port in container["ports"]}
    assert {port["targetPort"] for port in parts["Service"]["spec"]["ports"]} == ports
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] in ports
    claims = [claim["metadata"]["name"] for claim in workload.get("volumeClaimTemplates", [])]
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]} | dict.fromkeys(claims)
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert set(mounts) == set(volumes)
    assert volumes["configuration"]["configMap"]["name"] == parts["ConfigMap"]["metadata"]["name"]
    [file] = parts["ConfigMap"]["data"]
    command = container["command"]
    assert command[command.index("--config") + 1] == f"{mounts['configuration']}/{file}"
    # A read-only mount can hold no other one.
    places = sorted(mounts.values())
    assert not any(inner.startswith(f"{outer}/") for outer, inner in pairwise(places))


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_secret_stands_in_a_manifest(name: str) -> None:
    assert "Secret" not in documents(name)
    assert not re.search(r"https?://hooks|password:|sentinel_[0-9a-f]{12}_", (K8S / name).read_text())


def test_ingestion_takes_its_configuration_and_lets_nobody_unknown_in() -> None:
    parts = documents("ingestion.yaml")
    settings = ingestion.read(configuration("ingestion.yaml").encode())
    refuse_open_to_the_world(settings.auth, ("0.0.0.0",))  # noqa: S104 - as in a pod
    spec = parts["StatefulSet"]["spec"]
    [container] = spec["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert (settings.listen.http, settings.listen.grpc) == (f"0.0.0.0:{ports['http']}", f"0.0.0.0:{ports['grpc']}")
    assert {container[probe]["httpGet"]["path"] for probe in ("livenessProbe", "readinessProbe")} <= set(PATHS)
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    for file in (settings.auth.keys, settings.texts.hash_secret):
        assert str(file).startswith(f"{mounts['secrets']}/")
    assert settings.buffer.folder.is_relative_to(mounts["buffer"])
    [claim] = spec["volumeClaimTemplates"]
    room = bytes_of(claim["spec"]["resources"]["requests"]["storage"])
    assert room > settings.buffer.disk_bytes + 2 * settings.buffer.segment_bytes
    memory = settings.buffer.memory_bytes + settings.memory_bytes_max
    assert bytes_of(container["resources"]["limits"]["memory"]) > 2 * memory


def test_dispatch_takes_its_configuration_and_its_arguments() -> None:
    parts = documents("dispatch.yaml")
    [container] = parts["Deployment"]["spec"]["template"]["spec"]["containers"]
    program, module, *arguments = container["command"][1:]
    assert (program, module) == ("-m", "jobs.dispatch")
    told = dict(zip(arguments[::2], arguments[1::2], strict=True))
    known = (PROJECT / "jobs" / "dispatch" / "__main__.py").read_text()
    assert [option for option in told if f'add("{option}"' not in known] == []
    parse(configuration("dispatch.yaml"), "alertmanager.yml", K8S)
    [port] = container["ports"]
    assert told["--listen"] == f"0.0.0.0:{port['containerPort']}"
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert told["--store"].startswith(f"{mounts['outbox']}/")
    # The outbox in a folder is for one process.
    assert parts["Deployment"]["spec"]["replicas"] == 1
    assert parts["Deployment"]["spec"]["strategy"] == {"type": "Recreate"}
    from_secrets = {each["name"] for each in container["env"] if "secretKeyRef" in each["valueFrom"]}
    named = set(re.findall(r"\{env: (\w+)\}", configuration("dispatch.yaml")))
    assert named == from_secrets


def test_both_run_from_one_image_that_is_built_from_what_is_there() -> None:
    dockerfile = (K8S / "services.Dockerfile").read_text()
    sent = (K8S / "services.Dockerfile.dockerignore").read_text().splitlines()
    for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE):
        *sources, _ = line.split()
        for source in sources:
            assert (PROJECT / source).exists(), source
            assert f"!{source}" in sent, source
    project = (PROJECT / "pyproject.toml").read_text()
    for extra in re.findall(r"--extra (\w+)", dockerfile):
        assert re.search(rf"^{extra} = \[", project, re.MULTILINE), extra
    version = re.search(r'^version = "(.+)"', project, re.MULTILINE)
    assert version is not None
    for name, kind in SERVICES.items():
        [container] = documents(name)[kind]["spec"]["template"]["spec"]["containers"]
        assert container["image"] == f"llm-sentinel-services:{version[1]}"
        assert f"--tag {container['image']} " in dockerfile
