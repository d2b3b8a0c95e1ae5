"""The manifests of k8s/: accepted by the operator's CRD, and equal to what the project runs elsewhere."""

import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from jobs.cli.app import COMMANDS
from jobs.detection.settings import JobSettings, read
from jobs.stack.flink_settings import bytes_of, read_settings
from jobs.stack.layout import flink_wheel

PROJECT = Path(__file__).parents[2]
K8S = PROJECT / "k8s"
CRD = PROJECT / "tests" / "k8s" / "flinkdeployments-1.10.0-excerpt.yaml"
FLINK = "2.3.0"
PLACED_BY_THE_OPERATOR = {"parallelism.default", "taskmanager.cpu.cores"}


def manifest(name: str) -> dict[str, Any]:
    """Return a manifest of one document."""
    document: dict[str, Any] = yaml.safe_load((K8S / name).read_text())
    return document


DEPLOYMENT = manifest("flinkdeployment.yaml")
CONFIGURATION = DEPLOYMENT["spec"]["flinkConfiguration"]


def strict(schema: Any) -> Any:
    """Return a CRD's schema as JSON Schema that refuses fields it does not know, as the API server does if asked."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    read = {key: strict(part) for key, part in schema.items()}
    if "properties" in read and not read.get("x-kubernetes-preserve-unknown-fields"):
        read.setdefault("additionalProperties", False)
    return read


def validator() -> Draft7Validator:
    """Return what judges the `spec` of a FlinkDeployment."""
    crd = yaml.safe_load(CRD.read_text())
    schema = deepcopy(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"])
    # Operator 1.10.0, the newest whose CRD is in an archive, ends at Flink 1.20; later ones only add to the list.
    schema["properties"]["flinkVersion"]["enum"].append("v2_3")
    return Draft7Validator(strict(schema))


def problems(spec: dict[str, Any]) -> list[str]:
    """Return what the CRD has against a spec."""
    return [f"{'.'.join(map(str, each.absolute_path))}: {each.message}" for each in validator().iter_errors(spec)]


def test_crd_accepts_the_deployment() -> None:
    crd = yaml.safe_load(CRD.read_text())
    version = crd["spec"]["versions"][0]["name"]
    assert DEPLOYMENT["apiVersion"] == f"{crd['spec']['group']}/{version}"
    assert DEPLOYMENT["kind"] == crd["spec"]["names"]["kind"]
    assert problems(DEPLOYMENT["spec"]) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("flinkVersion",), "v9_9"),
        (("job", "upgradeMode"), "sometimes"),
        (("job", "parallelism"), "two"),
        (("job", "jarUri"), "local:///x.jar"),
        (("taskManager", "resource", "memory"), 3584),
        (("flinkConfiguration", "python.execution-mode"), 1),
        (("podTemplate", "spec", "volume"), []),
    ],
)
def test_crd_refuses_what_is_wrong(path: tuple[str, ...], value: object) -> None:
    """So that its acceptance means something."""
    spec = deepcopy(DEPLOYMENT["spec"])
    part = spec
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    assert problems(spec)


def test_flink_is_configured_as_everywhere_else() -> None:
    everywhere = {key: value for key, value in read_settings().items() if key not in PLACED_BY_THE_OPERATOR}
    assert {key: CONFIGURATION.get(key) for key in everywhere} == everywhere
    modules = yaml.safe_load((flink_wheel() / "conf" / "config.yaml").read_text())["env"]["java"]["opts"]["all"]
    assert CONFIGURATION["env.java.opts.all"].split() == modules.split()


def test_pods_log_as_the_local_stack_does_and_can_be_scraped() -> None:
    assert DEPLOYMENT["spec"]["logConfiguration"] == {
        "log4j-console.properties": (PROJECT / "flink-conf" / "log4j-flink.properties").read_text()
    }
    [port] = DEPLOYMENT["spec"]["podTemplate"]["spec"]["containers"][0]["ports"]
    assert CONFIGURATION["metrics.reporter.prom.port"] == str(port["containerPort"])
    assert CONFIGURATION["metrics.reporter.prom.factory.class"].endswith(".PrometheusReporterFactory")


@pytest.mark.parametrize("process", ["jobManager", "taskManager"])
def test_memory_of_a_pod_is_the_sum_of_its_parts(process: str) -> None:
    """Flink refuses to start when a total and all of its parts are given and differ."""
    prefix = f"{process.lower()}.memory."
    parts = {key: value for key, value in CONFIGURATION.items() if key.startswith(prefix) and not key.endswith(".max")}
    total = DEPLOYMENT["spec"][process]["resource"]["memory"]
    assert sum(map(bytes_of, parts.values())) == bytes_of(total)


def test_configuration_is_one_the_job_takes_from_where_it_is_mounted() -> None:
    configmap = manifest("configmap.yaml")
    [(file, document)] = configmap["data"].items()
    assert isinstance(read(document.encode()), JobSettings)
    pod = DEPLOYMENT["spec"]["podTemplate"]["spec"]
    [volume] = pod["volumes"]
    [mount] = pod["containers"][0]["volumeMounts"]
    assert volume["configMap"]["name"] == configmap["metadata"]["name"]
    assert mount["name"] == volume["name"]
    arguments = DEPLOYMENT["spec"]["job"]["args"]
    assert arguments[arguments.index("--config") + 1] == f"{mount['mountPath']}/{file}"


def test_topics_are_created_by_a_command_that_exists_where_the_job_reads() -> None:
    [container] = manifest("topics-job.yaml")["spec"]["template"]["spec"]["containers"]
    program, command, *options = container["command"]
    assert program == "sentinel"
    assert command in {entry.name for entry in COMMANDS}
    servers = options[options.index("--bootstrap-servers") + 1]
    configuration = manifest("configmap.yaml")["data"]["detection.yaml"]
    assert read(configuration.encode()).kafka.bootstrap_servers == servers
    partitions = int(options[options.index("--telemetry-partitions") + 1])
    assert partitions % DEPLOYMENT["spec"]["job"]["parallelism"] == 0
    assert container["image"] == DEPLOYMENT["spec"]["image"]


def test_image_and_deployment_agree_on_versions_and_places() -> None:
    dockerfile = (K8S / "Dockerfile").read_text()
    assert f"ARG FLINK=flink:{FLINK}-java17" in dockerfile
    assert f"<flink.version>{FLINK}<" in (PROJECT / "flink-conf" / "pom.xml").read_text()
    assert DEPLOYMENT["spec"]["job"]["jarURI"].endswith(f"/opt/flink/opt/flink-python-{FLINK}.jar")
    assert f"flink-python-{FLINK}.jar" in dockerfile
    for key in ("python.executable", "python.client.executable"):
        assert CONFIGURATION[key].removesuffix("/bin/python") in dockerfile
    version = re.search(r'^version = "(.+)"', (PROJECT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert DEPLOYMENT["spec"]["image"].endswith(f":{version[1]}")


def test_image_is_built_from_what_is_there() -> None:
    dockerfile = (K8S / "Dockerfile").read_text()
    for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE):
        *sources, _ = line.split()
        for source in sources:
            assert (PROJECT / source).exists(), source
            # Nothing else is sent to the builder.
            assert f"!{source}" in (K8S / "Dockerfile.dockerignore").read_text().splitlines(), source
