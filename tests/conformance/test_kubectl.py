"""The real kubectl against a whole cluster: one scripted session. Its transcript is test-output/kubectl-transcript.txt."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import pty
import re
import shutil
import socket
import struct
import tempfile
import termios
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.conformance.session import Kubectl, ended, eventually, line_of

pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.kubectl,
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs the real kubectl on PATH"),
]

WORLD = Path(__file__).with_name("world.yaml")
EDITOR = '#!/bin/sh\nsed -i "s/colour: blue/colour: red/" "$1"\n'


@pytest.fixture(scope="module")
def kubectl(kubeconfig: Path) -> Iterator[Kubectl]:
    """A session in namespace `shop`, in which everything of world.yaml runs."""
    with tempfile.TemporaryDirectory(prefix="kubectl-") as folder:
        own = Path(folder) / "kubeconfig"
        shutil.copy(kubeconfig, own)
        session = Kubectl(own, Path(folder))
        session.file("editor", EDITOR).chmod(0o755)
        session("config set-context --current --namespace shop")
        session(f"apply -f {WORLD}")
        session("wait --for condition=Established crd/models.shop.example.com")
        session("apply -f -", stdin=MODEL)
        session("rollout status deployment/web --timeout 60s")
        session("rollout status statefulset/db --timeout 60s")
        session("rollout status daemonset/agent --timeout 60s")
        session("wait --for condition=Complete job/sums --timeout 60s")
        yield session
        session("delete namespace shop --wait")
        session("delete crd models.shop.example.com")


MODEL = """\
apiVersion: shop.example.com/v1
kind: Model
metadata: {name: iris}
spec: {replicas: 1}
"""

READING = [
    ("get nodes", r"NAME +STATUS +ROLES +AGE +VERSION\n\S+ +Ready .*v1\.\d+"),
    ("get apiservices", r"NAME +SERVICE +AVAILABLE +AGE\n(.*\n)*v1\.apps +Local +True "),
    ("get nodes -o wide", r"INTERNAL-IP +EXTERNAL-IP +OS-IMAGE +KERNEL-VERSION +CONTAINER-RUNTIME"),
    ("get pods", r"NAME +READY +STATUS +RESTARTS +AGE\n(.*\n)*db-0 +1/1 +Running +0 "),
    ("get pods -o wide", r"IP +NODE +NOMINATED NODE +READINESS GATES"),
    ("get pods -A", r"NAMESPACE +NAME .*\n(.*\n)*shop +db-0 "),
    ("get pods -o name", r"(?m)^pod/db-0$"),
    ("get pods --show-labels", r"db-0 .* app=db,apps\.kubernetes\.io/pod-index=0,"),
    ("get pods -L app", r"AGE +APP\n(.*\n)*db-0 .* db\n"),
    ("get pods -l app=web --no-headers", r"\Aweb-\S+ +1/1 .*\nweb-\S+ +1/1 .*\n\Z"),
    ("get pods -l 'app in (db, agent),app!=agent' -o name", r"\Apod/db-0\n\Z"),
    ("get pods --field-selector status.phase=Succeeded -o name", r"\Apod/sums-\w+\n\Z"),
    ("get pods --field-selector metadata.name=db-0 --show-kind", r"pod/db-0 "),
    ("get pods --chunk-size 1 -o name", r"(pod/\S+\n){5}"),
    ("get pods --sort-by .metadata.creationTimestamp -o name", r"(pod/\S+\n){5}"),
    ("get pods --sort-by .metadata.name -o custom-columns=N:.metadata.name", r"\AN\nagent-\w+\ndb-0\nsums-.*\nweb-"),
    ("get deployment web -o jsonpath='{.spec.template.spec.containers[*].image}'", r"\Alab/busybox:1\Z"),
    ("get deployments -o jsonpath='{range .items[*]}{.metadata.name}={.spec.replicas}{end}'", r"\Aweb=2\Z"),
    ("get deployment web -o jsonpath-as-json='{.spec.replicas}'", r"\[\s*2\s*\]"),
    ("get deployment web -o go-template='{{.spec.replicas}}'", r"\A2\Z"),
    ("get deployment web -o json", r'"kind": "Deployment"'),
    ("get deployment web -o yaml --show-managed-fields", r"manager: kubectl-client-side-apply"),
    ("get deployment,svc,cm", r"deployment.apps/web .*\n\n(.*\n)*service/web .*\n\n(.*\n)*configmap/settings +2 "),
    (
        "get all",
        r"pod/db-0(.*\n)*service/web(.*\n)*daemonset.apps/agent(.*\n)*deployment.apps/web(.*\n)*job.batch/sums",
    ),
    ("get job", r"NAME +STATUS +COMPLETIONS +DURATION +AGE\nsums +Complete +1/1 "),
    ("get cronjob", r"NAME +SCHEDULE +TIMEZONE +SUSPEND +ACTIVE +LAST SCHEDULE +AGE\nnightly +0 3 \* \* \*"),
    ("get sts", r"NAME +READY +AGE\ndb +1/1 "),
    ("get ds", r"DESIRED +CURRENT +READY +UP-TO-DATE +AVAILABLE +NODE SELECTOR +AGE\nagent +(\d+) +\1 +\1 "),
    ("get rs -o wide", r"web-\w+ +2 +2 +2 .* main +lab/busybox:1 +app=web,pod-template-hash="),
    ("get pvc,pv", r"data-db-0 +Bound +pvc-\S+ +1Gi +RWO +\S+ (.*\n)*.*Delete +Bound +shop/data-db-0"),
    ("get sc", r"(?m)^\S+ \(default\)"),
    ("get ingress", r"CLASS +HOSTS +ADDRESS +PORTS +AGE\nweb +<none> +shop.local +80 "),
    ("get netpol", r"closed +app=db "),
    ("get pdb", r"MIN AVAILABLE +MAX UNAVAILABLE +ALLOWED DISRUPTIONS +AGE\nweb +1 +N/A +1 "),
    ("get quota,limits", r"count/configmaps: 2/40, pods: \d/40(.*\n)*.*sizes"),
    ("get endpoints,endpointslices", r"web +[\d.]+:8000,[\d.]+:8000(.*\n)*.*web-\w+ +IPv4 +8000 "),
    ("get secret keys -o jsonpath='{.data.password}'", base64.b64encode(b"s3cret").decode()),
    ("get sa,role,rolebinding", r"serviceaccount/robot(.*\n)*.*reader(.*\n)*.*robot-reads +Role/reader"),
    ("get priorityclasses", r"system-cluster-critical +2000000000 +false(.*\n)*system-node-critical +2000001000 "),
    ("get mdl", r"NAME +STAGE\niris +dev"),
    ("get models.v1.shop.example.com iris -o jsonpath='{.spec.stage}'", r"\Adev\Z"),
    ("get ns", r"NAME +STATUS +AGE\n(.*\n)*kube-system +Active"),
    ("get leases -n kube-node-lease", r"NAME +HOLDER +AGE\n"),
    ("get events --sort-by .lastTimestamp", r"LAST SEEN +TYPE +REASON +OBJECT +MESSAGE\n(.*\n)*.*Scheduled"),
    ("events --for pod/db-0", r"Normal +Scheduled +Pod/db-0 +Successfully assigned shop/db-0 to "),
    ("events --types=Normal", r"Normal +SuccessfulCreate +StatefulSet/db"),
    ("describe pod db-0", r"Controlled By: +StatefulSet/db\n(.*\n)*Events:\n(.*\n)*.*Scheduled"),
    (
        "describe deployment web",
        r"StrategyType: +RollingUpdate\n(.*\n)*NewReplicaSet: +web-\w+ \(2/2 replicas created\)",
    ),
    ("describe rs -l app=web", r"Controlled By: +Deployment/web\n(.*\n)*Replicas: +2 current / 2 desired"),
    ("describe svc web", r"Endpoints: +[\d.]+:8000,[\d.]+:8000\n"),
    ("describe cm settings", r"colour:\n----\nblue"),
    ("describe secret keys", r"password: +6 bytes"),
    (
        "describe job sums",
        r"Completion Mode: +NonIndexed\n(.*\n)*Pods Statuses: +0 Active \(0 Ready\) / 1 Succeeded / 0 Failed",
    ),
    ("describe cronjob nightly", r"Schedule: +0 3 \* \* \*\nConcurrency Policy: +Allow"),
    ("describe sts db", r"Volume Claims:\n +Name: +data\n(.*\n)*.*create Pod db-0 in StatefulSet db successful"),
    ("describe ds agent", r"Desired Number of Nodes Scheduled: (\d+)\nCurrent Number of Nodes Scheduled: \1\n"),
    ("describe ingress web", r"shop.local *\n +/ +web:http \([\d.]+:8000,[\d.]+:8000\)"),
    ("describe netpol closed", r"Allowing ingress traffic:\n +To Port: 5432/TCP"),
    ("describe pdb web", r"Allowed disruptions: +1\n"),
    ("describe quota most", r"count/configmaps +2 +40"),
    ("describe limits sizes", r"Container +cpu +- +- +5m "),
    ("describe sa robot", r"Name: +robot"),
    ("describe role reader", r"pods/log +\[\] +\[\] +\[get list watch\]"),
    ("describe rolebinding robot-reads", r"ServiceAccount +robot +shop"),
    ("describe clusterrole cluster-admin", r"\*\.\* +\[\] +\[\] +\[\*\]"),
    (
        "describe mdl iris",
        r"API Version: +shop.example.com/v1\nKind: +Model\n(.*\n)*Spec:\n +Replicas: +1\n +Stage: +dev",
    ),
    ("describe pvc data-db-0", r"Status: +Bound\n(.*\n)*Used By: +db-0"),
    ("describe pv", r"Claim: +shop/data-db-0\n"),
    ("describe sc", r"VolumeBindingMode: +WaitForFirstConsumer"),
    ("describe node", r"Conditions:\n(.*\n)*.*Ready +True(.*\n)*Non-terminated Pods: +\(\d+ in total\)"),
    ("describe ns shop", r"Resource Quotas\n +Name: +most\n"),
    ("describe crd models.shop.example.com", r"Kind: +CustomResourceDefinition"),
    ("top pods", r"NAME +CPU\(cores\) +MEMORY\(bytes\) *\n(.*\n)*web-\S+ +\d+m +\d+Mi"),
    ("top pods --containers -l app=web", r"POD +NAME +CPU.*\nweb-\S+ +main +\d+m +\d+Mi"),
    ("top pods -A --sum", r"NAMESPACE +NAME +"),
    ("top nodes", r"CPU\(%\) +MEMORY\(bytes\) +MEMORY\(%\) *\n\S+ +\d+m +\d+% +\d+Mi +\d+%"),
    ("auth whoami", r"Username +\S+\nGroups +\[\S+ system:authenticated\]"),
    ("auth whoami -o yaml", r"kind: SelfSubjectReview"),
    ("auth can-i create deployments", r"\Ayes\n\Z"),
    ("auth can-i list pods --as system:serviceaccount:shop:robot", r"\Ayes\n\Z"),
    ("auth can-i get pods --subresource log --as system:serviceaccount:shop:robot", r"\Ayes\n\Z"),
    ("auth can-i --list --as system:serviceaccount:shop:robot", r"pods/log +\[\] +\[\] +\[get list watch\]"),
    ("get pods --as system:serviceaccount:shop:robot -o name", r"pod/db-0"),
    ("api-resources", r"deployments +deploy +apps/v1 +true +Deployment\n"),
    ("api-resources --api-group shop.example.com -o wide", r"models +mdl +shop.example.com/v1 +true +Model +\S*create"),
    ("api-resources --namespaced=false --verbs list -o name", r"(?m)^nodes$"),
    ("api-versions", r"(?m)^apps/v1\n(.*\n)*^v1$"),
    (
        "explain deployment.spec.strategy",
        r"KIND: +Deployment\n(.*\n)*FIELD: strategy <DeploymentStrategy>\n(.*\n)*DESCRIPTION:",
    ),
    ("explain pod.spec --recursive", r"containers\t<\[\]Container> -required-\n"),
    ("explain mdl.spec.stage", r"ENUM:\n +dev\n +prod\n(.*\n)*DESCRIPTION:\n +Where it runs\."),
    ("cluster-info", r"Kubernetes control plane .*is running at .*https://"),
    ("version", r"Server Version: v1\.\d+"),
    ("config view --minify", r"namespace: shop\n"),
    ("config get-contexts", r"CURRENT +NAME +CLUSTER +AUTHINFO +NAMESPACE\n\*"),
    ("get --raw /healthz", r"\Aok\Z"),
    ("get --raw '/readyz?verbose'", r"readyz check passed"),
    ("get --raw /api/v1/namespaces/shop/configmaps/settings", r'"colour":"blue"'),
    ("get --raw /apis/metrics.k8s.io/v1beta1/namespaces/shop/pods", r'"kind":"PodMetricsList"'),
    ("top pods --sort-by memory --no-headers", r"(?m)^web-\S+ +\d+m +\d+Mi"),
    ("explain pod.spec.containers.resources --api-version v1", r"FIELD: resources <ResourceRequirements>"),
    ("explain mdl --recursive", r"stage\t<string>\n +enum: dev, prod|stage\t<string>"),
    ("config view -o jsonpath='{.contexts[*].context.namespace}'", r"shop"),
    ("config view --raw --minify -o jsonpath='{.users[0].user}'", r"client-certificate-data|token|exec"),
    ("get deployment web --subresource scale", r"NAME +DESIRED +AVAILABLE +AGE\nweb +2 +2 +\S+\n"),
    ("get deployment web --subresource status -o jsonpath='{.status.readyReplicas}'", r"\A2\Z"),
    ("get pods -o wide --sort-by .status.podIP --ignore-not-found", r"NOMINATED NODE"),
    (
        "get pods -l app=web -o 'custom-columns=N:.metadata.name,A:.spec.containers[0].ports[*].containerPort'",
        r"web-\S+ +8000\n",
    ),
    ("get cm settings -o 'go-template={{range $k, $v := .data}}{{$k}}={{$v}};{{end}}'", r"\Acolour=blue;size=large;\Z"),
    ("get cm -l '!nothing' --field-selector metadata.name!=settings -o name", r"configmap/kube-root-ca.crt"),
    ("annotate cm settings --list", r"kubectl.kubernetes.io/last-applied-configuration="),
    ("label pods --list db-0", r"(?m)^app=db$"),
    ("rollout history statefulset/db", r"REVISION +CHANGE-CAUSE\n1 +"),
    ("rollout history daemonset/agent --revision 1", r"Image:\s+lab/pause:1"),
    ("wait --for create deployment/web --timeout 5s", r"deployment.apps/web condition met"),
    (
        "cluster-info dump --namespaces shop -o yaml",
        r"kind: NodeList(.*\n)*.*START logs for container main of pod shop/db-0",
    ),
    ("describe events", r"Reason: +Scheduled|Events"),
    (
        "describe pods -l app=web",
        r"Readiness: +http-get http://:http/ delay=0s timeout=1s period=1s #success=1 #failure=3",
    ),
    ("describe limits -n shop", r"memory +- +- +512Mi +512Mi"),
    ("describe lease -n kube-node-lease", r"Holder Identity: +\S+"),
    ("describe hpa --all-namespaces", r""),
    ("describe priorityclass system-node-critical", r"Value: +2000001000\nGlobalDefault: +false"),
    (
        "describe endpointslices -l kubernetes.io/service-name=web",
        r"AddressType: +IPv4\n(.*\n)*.* +http +8000 +TCP",
    ),
    ("auth can-i list pods --as jane --as-group system:masters", r"\Ayes\n\Z"),
    ("auth can-i get /healthz --as system:anonymous --as-group system:authenticated", r"\Ayes\n"),
    ("logs job/sums --since-time 2020-01-01T00:00:00Z", r"\Aone\ntwo\nthree\n\Z"),
    ("logs job/sums", r"\Aone\ntwo\nthree\n\Z"),
    ("logs job/sums --tail 1", r"\Athree\n\Z"),
    ("logs -l job-name=sums --prefix", r"\[pod/sums-\w+/main\] one\n"),
    ("logs job/sums --since 1h --timestamps", r"\A\d{4}-\d\d-\d\dT\S+Z one\n"),
    ("logs deploy/web --tail 1", r"GET / HTTP/1\.1"),
    ("logs job/sums --limit-bytes 4", r"\Aone\n\Z"),
    ("logs job/sums --all-containers", r"\Aone\n"),
    ("exec db-0 -- echo in a container", r"\Ain a container\n\Z"),
    ("exec deploy/web -- cat /etc/config/colour", r"\Ablue"),
    ("exec deploy/web -c main -- printenv GREETING FROM_CONFIG", r"\Ahello\nblue\n\Z"),
    (f"diff -f {WORLD}", r"\A\Z"),
]


@pytest.mark.parametrize(("line", "expected"), READING, ids=[line.split(" -o ")[0][:60] for line, _ in READING])
def test_reading(kubectl: Kubectl, line: str, expected: str) -> None:
    shown = kubectl(line)
    assert re.search(expected, shown), shown


REFUSED = [
    ("get pods nosuch", 1, r'Error from server \(NotFound\): pods "nosuch" not found'),
    ("get nosuch", 1, r'the server doesn\'t have a resource type "nosuch"'),
    ("auth can-i delete pods --as system:serviceaccount:shop:robot", 1, r"\Ano\n"),
    (
        "get secrets --as system:serviceaccount:shop:robot",
        1,
        r'secrets is forbidden: User "system:serviceaccount:shop:robot" cannot list resource "secrets" in API group ""',
    ),
    ("create configmap settings", 1, r'configmaps "settings" already exists'),
    ("exec db-0 -- sh -c 'echo failing >&2; exit 7'", 7, r"failing\ncommand terminated with exit code 7"),
    ("logs db-0 --previous", 1, r'previous terminated container "main" in pod "db-0" not found'),
    ("logs db-0 -c nope", 1, r"container nope is not valid for pod db-0"),
    ("scale deployment web --replicas 3 --current-replicas 9", 1, r"Expected replicas to be 9, was 2"),
    ("wait --for condition=Failed job/sums --timeout 0s", 1, r"condition not met for jobs/sums|timed out waiting"),
    ("run pod-without-image --image ''", 1, r"image"),
    ("label pod db-0 'bad key=1'", 1, r"invalid|name part must consist"),
    ("apply -f nosuch.yaml", 1, r"does not exist"),
]


@pytest.mark.parametrize(("line", "code", "expected"), REFUSED, ids=[line[:60] for line, *_ in REFUSED])
def test_refused(kubectl: Kubectl, line: str, code: int, expected: str) -> None:
    shown = kubectl(line, code=code)
    assert re.search(expected, shown), shown


@pytest.mark.skipif("config.getoption('kubeconfig')", reason="a cluster with containers has ephemeral ones")
def test_debug_says_what_to_use(kubectl: Kubectl) -> None:
    shown = kubectl("debug db-0 --image lab/busybox:1", code=1)
    assert re.search(r"Error from server \(MethodNotAllowed\): .*use kubectl exec", shown), shown


# Writing


def test_create_every_way(kubectl: Kubectl) -> None:
    for line, kind in (
        ("namespace made-ns", "namespace"),
        ("configmap made --from-literal a=1", "configmap"),
        ("secret generic made --from-literal a=1", "secret"),
        (
            "secret docker-registry made-registry --docker-server r.local --docker-username u --docker-password p",
            "secret",
        ),
        ("serviceaccount made", "serviceaccount"),
        ("deployment made --image lab/pause:1 --replicas 1", "deployment.apps"),
        ("service clusterip made --tcp 80:8000", "service"),
        ("service nodeport made-port --tcp 80:8000", "service"),
        ("job made --image lab/busybox:1 -- echo made", "job.batch"),
        ("job made-nightly --from cronjob/nightly", "job.batch"),
        ("cronjob made --image lab/busybox:1 --schedule '1 1 * * *' -- echo made", "cronjob.batch"),
        ("role made --verb get --resource pods", "role.rbac.authorization.k8s.io"),
        ("rolebinding made --role made --serviceaccount shop:made", "rolebinding.rbac.authorization.k8s.io"),
        ("clusterrole made --verb get --resource nodes", "clusterrole.rbac.authorization.k8s.io"),
        ("clusterrolebinding made --clusterrole made --user u", "clusterrolebinding.rbac.authorization.k8s.io"),
        ("ingress made --rule made.local/=web:8080", "ingress.networking.k8s.io"),
        ("poddisruptionbudget made --selector app=made --min-available 1", "poddisruptionbudget.policy"),
        ("priorityclass made --value 10", "priorityclass.scheduling.k8s.io"),
        ("quota made --hard services=20", "resourcequota"),
    ):
        assert re.match(rf"{kind}/\S+ created\n", kubectl(f"create {line}")), line
    kubectl("wait --for condition=Complete job/made job/made-nightly --timeout 60s")
    assert kubectl("logs job/made-nightly") == "night\n"
    shown = kubectl("create configmap dry --from-literal a=1 --dry-run=client -o yaml")
    assert yaml.safe_load(shown)["data"] == {"a": "1"}
    assert "created (server dry run)" in kubectl("create configmap dry --dry-run=server")
    kubectl("get configmap dry", code=1)
    kubectl(
        "delete deploy,svc,job,cronjob,cm,secret,sa,role,rolebinding,ingress,pdb,quota --field-selector metadata.name=made"
    )
    kubectl("delete clusterrole/made clusterrolebinding/made priorityclass/made namespace/made-ns service/made-port")


def test_apply_client_side(kubectl: Kubectl) -> None:
    kubectl.file("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied}\ndata: {a: '1', b: '2'}\n")
    assert "created (dry run)" in kubectl("apply -f c.yaml --dry-run=client")
    assert "created (server dry run)" in kubectl("apply -f c.yaml --dry-run=server")
    assert kubectl("apply -f c.yaml") == "configmap/applied created\n"
    assert kubectl("apply -f c.yaml") == "configmap/applied unchanged\n"
    kubectl.file("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied}\ndata: {a: '9'}\n")
    shown = kubectl("diff -f c.yaml", code=1)
    assert re.search(r"(?m)^-  a: \"1\"\n-  b: \"2\"\n\+  a: \"9\"", shown), shown
    assert kubectl("apply -f c.yaml") == "configmap/applied configured\n"
    assert json.loads(kubectl("get cm applied -o json"))["data"] == {"a": "9"}
    kubectl("apply view-last-applied cm/applied")
    assert 'unknown field "dada"' in kubectl(
        "apply -f -", stdin="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied}\ndada: {a: '9'}\n", code=1
    )
    kubectl("delete -f c.yaml")


def test_apply_server_side(kubectl: Kubectl) -> None:
    body = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: owned}\ndata: {a: '1'}\n"
    assert kubectl("apply --server-side --field-manager one -f -", stdin=body) == "configmap/owned serverside-applied\n"
    theirs = body.replace("'1'", "'2'")
    shown = kubectl("apply --server-side --field-manager two -f -", stdin=theirs, code=1)
    assert 'conflict with "one": .data.a' in shown
    kubectl("apply --server-side --field-manager two --force-conflicts -f -", stdin=theirs)
    managers = json.loads(kubectl("get cm owned -o json --show-managed-fields"))["metadata"]["managedFields"]
    assert {entry["manager"]: "f:data" in entry["fieldsV1"] for entry in managers} == {"two": True}
    kubectl("delete cm owned")


def test_kustomize(kubectl: Kubectl) -> None:
    kubectl.file("k/kustomization.yaml", "namePrefix: k-\nresources: [c.yaml]\nlabels: [{pairs: {via: kustomize}}]\n")
    kubectl.file("k/c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: base}\ndata: {a: '1'}\n")
    assert "name: k-base" in kubectl("kustomize k")
    assert kubectl("apply -k k") == "configmap/k-base created\n"
    assert kubectl("diff -k k") == ""
    kubectl.file("k/c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: base}\ndata: {a: '2'}\n")
    assert re.search(r"(?m)^\+  a: \"2\"", kubectl("diff -k k", code=1))
    assert "name: k-base" in kubectl("get -k k -o yaml")
    assert kubectl("get cm -l via=kustomize -o name") == "configmap/k-base\n"
    assert kubectl("delete -k k") == 'configmap "k-base" deleted\n'


def test_changes(kubectl: Kubectl) -> None:
    kubectl("create configmap changing --from-literal colour=blue")

    def data() -> object:
        return json.loads(kubectl("get cm changing -o json"))["data"]

    assert kubectl("edit cm changing") == "configmap/changing edited\n"
    assert data() == {"colour": "red"}
    kubectl("""patch cm changing -p '{"data": {"more": "1"}}'""")
    kubectl("""patch cm changing --type merge -p '{"data": {"more": "2"}}'""")
    kubectl("""patch cm changing --type json -p '[{"op": "add", "path": "/data/last", "value": "3"}]'""")
    assert data() == {"colour": "red", "more": "2", "last": "3"}
    kubectl("replace -f -", stdin="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: changing}\ndata: {new: '1'}\n")
    assert data() == {"new": "1"}
    kubectl("replace --force -f -", stdin="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: changing}\n")
    kubectl("label cm changing tier=front")
    assert "--overwrite is false" in kubectl("label cm changing tier=back", code=1)
    kubectl("label cm changing tier=back --overwrite")
    assert kubectl("get cm -l tier=back -o name") == "configmap/changing\n"
    kubectl("label cm changing tier-")
    kubectl("annotate cm changing note='two words'")
    assert kubectl("get cm changing -o jsonpath={.metadata.annotations.note}") == "two words"
    kubectl("delete cm changing")


def test_applied_configurations(kubectl: Kubectl) -> None:
    """What `apply` remembers: set, edited, and pruned by."""
    body = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, labels: {set: mine}}\ndata: {colour: blue}\n"
    kubectl.file("one.yaml", body % "pruned-one")
    kubectl.file("two.yaml", body % "pruned-two")
    kubectl("create -f one.yaml")
    assert "created" not in kubectl("apply set-last-applied -f one.yaml --create-annotation")
    assert "colour: blue" in kubectl("apply view-last-applied -f one.yaml")
    assert "edited" in kubectl("apply edit-last-applied cm/pruned-one")
    assert "colour: red" in kubectl("apply view-last-applied cm/pruned-one")
    kubectl("apply -f two.yaml")
    pruned = kubectl("apply -f two.yaml --prune -l set=mine --prune-allowlist core/v1/ConfigMap")
    assert "configmap/pruned-one pruned" in pruned
    assert kubectl("get -f two.yaml -o name") == "configmap/pruned-two\n"
    assert kubectl("delete cm -l set=mine") == 'configmap "pruned-two" deleted\n'
    kubectl("wait --for=delete cm/pruned-two --timeout 10s")


def test_subresources(kubectl: Kubectl) -> None:
    kubectl("create deployment parts --image lab/pause:1 --replicas 0")
    kubectl("""patch deployment parts --subresource scale --type merge -p '{"spec": {"replicas": 1}}'""")
    assert kubectl("get deployment parts -o jsonpath={.spec.replicas}") == "1"
    kubectl("""patch mdl iris --subresource status --type merge -p '{"status": {"replicas": 4, "note": "seen"}}'""")
    assert kubectl("get mdl iris -o jsonpath={.status.note}") == "seen"
    assert kubectl("get mdl iris --subresource scale -o jsonpath={.status.replicas}") == "4"
    kubectl("""patch mdl iris --type merge -p '{"status": {"note": "not by this door"}}'""")
    assert kubectl("get mdl iris -o jsonpath={.status.note}") == "seen"
    kubectl("delete deployment parts")


def test_set(kubectl: Kubectl) -> None:
    kubectl("create deployment tuned --image lab/pause:1 --replicas 0")
    kubectl("set image deployment/tuned pause=lab/busybox:1")
    kubectl("set env deployment/tuned A=1 B=2")
    kubectl("set env deployment/tuned B- --from configmap/settings --prefix S_")
    kubectl("set resources deployment/tuned --requests cpu=20m,memory=8Mi --limits memory=64Mi")
    kubectl("set serviceaccount deployment/tuned robot")
    assert "A=1" in kubectl("set env deployment/tuned --list")
    spec = json.loads(kubectl("get deployment tuned -o json"))["spec"]["template"]["spec"]
    (main,) = spec["containers"]
    assert spec["serviceAccountName"] == "robot"
    assert main["image"] == "lab/busybox:1"
    assert main["resources"] == {"limits": {"memory": "64Mi"}, "requests": {"cpu": "20m", "memory": "8Mi"}}
    assert sorted(item["name"] for item in main["env"]) == ["A", "S_COLOUR", "S_SIZE"]
    kubectl("create service clusterip tuned --tcp 80")
    kubectl("set selector service tuned app=other")
    kubectl("delete deployment,service tuned")


def test_rollouts(kubectl: Kubectl) -> None:
    kubectl("create deployment rolling --image lab/pause:1")
    kubectl("rollout status deployment/rolling --timeout 60s")
    kubectl("annotate deployment rolling kubernetes.io/change-cause=first")
    kubectl("set env deployment/rolling STEP=2")
    assert "successfully rolled out" in kubectl("rollout status deployment/rolling --timeout 60s")
    kubectl("rollout restart deployment/rolling")
    kubectl("rollout status deployment/rolling --timeout 60s")
    history = kubectl("rollout history deployment/rolling")
    assert re.search(r"REVISION +CHANGE-CAUSE\n1 +.*\n2 +.*\n3 +", history), history
    assert "STEP:\t2" in kubectl("rollout history deployment/rolling --revision 2")
    assert "rolled back" in kubectl("rollout undo deployment/rolling --to-revision 1")
    kubectl("rollout status deployment/rolling --timeout 60s")
    assert (
        "env" not in json.loads(kubectl("get deployment rolling -o json"))["spec"]["template"]["spec"]["containers"][0]
    )
    kubectl("rollout undo deployment/rolling")
    kubectl("rollout pause deployment/rolling")
    kubectl("set env deployment/rolling STEP=paused")
    assert "already paused" in kubectl("rollout pause deployment/rolling", code=1)
    kubectl("rollout resume deployment/rolling")
    kubectl("rollout status deployment/rolling --timeout 60s")
    kubectl("delete deployment rolling --cascade=foreground --wait")


def test_rollouts_of_other_kinds(kubectl: Kubectl) -> None:
    kubectl("rollout restart daemonset/agent statefulset/db")
    for name in ("daemonset/agent", "statefulset/db"):
        kubectl(f"rollout status {name} --timeout 120s")
        assert re.search(r"(?m)^2 +", kubectl(f"rollout history {name}"))
        assert "rolled back" in kubectl(f"rollout undo {name} --to-revision 1")
        kubectl(f"rollout status {name} --timeout 120s")


def test_scale_and_autoscale(kubectl: Kubectl) -> None:
    kubectl("create deployment sized --image lab/pause:1")
    kubectl("scale deployment sized --replicas 2")
    kubectl("wait --for jsonpath='{.status.readyReplicas}'=2 deployment/sized --timeout 60s")
    kubectl("autoscale deployment sized --min 1 --max 3 --cpu-percent 80")
    assert "Deployment/sized" in kubectl("get hpa sized")
    assert "Min replicas:" in kubectl("describe hpa sized")
    kubectl("scale mdl iris --replicas 3")
    assert kubectl("get mdl iris -o jsonpath={.spec.replicas}") == "3"
    assert "Invalid value: 9" in kubectl("scale mdl iris --replicas 9", code=1)
    kubectl("delete hpa,deployment sized")
    kubectl("wait --for delete pod -l app=sized --timeout 60s")


def test_deletion(kubectl: Kubectl) -> None:
    kubectl("create deployment orphaning --image lab/pause:1")
    kubectl("rollout status deployment/orphaning --timeout 60s")
    kubectl("delete deployment orphaning --cascade=orphan")
    (replica_set,) = kubectl("get rs -l app=orphaning -o name").split()
    kubectl(f"wait --for jsonpath='{{.status.readyReplicas}}'=1 {replica_set} --timeout 30s")
    kubectl(f"delete {replica_set}")
    kubectl("wait --for delete pod -l app=orphaning --timeout 60s")
    kubectl("create cm held")
    kubectl("""patch cm held -p '{"metadata": {"finalizers": ["lab.example.com/held"]}}'""")
    assert "timed out waiting for the condition" in kubectl("delete cm held --timeout 1s", code=1)
    kubectl("get cm held -o jsonpath={.metadata.deletionTimestamp}")
    kubectl("""patch cm held --type json -p '[{"op": "remove", "path": "/metadata/finalizers"}]'""")
    kubectl("get cm held", code=1)
    assert kubectl("delete cm held --ignore-not-found") == ""
    kubectl("run forced --image lab/pause:1")
    kubectl("wait --for condition=Ready pod/forced --timeout 60s")
    assert "force deleted" in kubectl("delete pod forced --force --grace-period 0")


def test_watching(kubectl: Kubectl) -> None:
    with ended(kubectl.start("get cm --watch-only --output-watch-events -l seen=yes")) as watch:
        with ended(kubectl.start("get cm -w -l seen=yes -o name")) as names:
            kubectl("create cm early")
            kubectl("label cm early seen=yes")
            line_of(names, "configmap/early")
        # the second watch may begin after the first label: whichever it saw first, it must see the rest
        kubectl("annotate cm early a=1")
        line_of(watch, r"ADDED|MODIFIED")
        kubectl("delete cm early")
        line_of(watch, r"DELETED +early")


# Pods


def test_run_attach_and_stdin(kubectl: Kubectl) -> None:
    assert kubectl("run once --image lab/busybox:1 --restart Never -- echo hello") == "pod/once created\n"
    kubectl("wait --for jsonpath='{.status.phase}'=Succeeded pod/once --timeout 60s")
    assert kubectl("logs once") == "hello\n"
    shown = kubectl("run here --image lab/busybox:1 --restart Never --rm -i -- cat", stdin="typed\n")
    assert "typed" in shown
    assert 'pod "here" deleted' in shown
    kubectl("run talker --image lab/busybox:1 -- sh -c 'while sleep 0.2; do echo talking; done'")
    kubectl("wait --for condition=Ready pod/talker --timeout 60s")
    with ended(kubectl.start("attach talker")) as attached:
        line_of(attached, "^talking$")
    with ended(kubectl.start("logs -f talker --tail 1")) as followed:
        for _ in range(3):
            line_of(followed, "^talking$")
    kubectl("delete pod once talker --now")


def test_exec(kubectl: Kubectl) -> None:
    assert kubectl("exec -i db-0 -- sh -c 'read line; echo got $line'", stdin="this\n") == "got this\n"
    big = "x" * 300_000
    assert kubectl("exec -i db-0 -- cat", stdin=big) == big
    shown = (
        kubectl("exec db-0 -- nosuchprogram", code=127)
        if _code(kubectl) == 127
        else kubectl("exec db-0 -- false", code=1)
    )
    assert "terminated with exit code" in shown or "not found" in shown


def _code(kubectl: Kubectl) -> int:
    """What a program that is not there is: 127 with containerd 2, 126 before."""
    return kubectl.run("exec db-0 -- nosuchprogram").returncode


def test_exec_under_a_terminal(kubectl: Kubectl) -> None:
    """-t wants a terminal on both sides: `tty` in the container names one, and its size is this side's."""
    mine, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
    try:
        process = kubectl.start("exec -i -t db-0 -- sh -c 'tty; stty size; read line; echo got $line'", terminal=theirs)
        os.close(theirs)
        said = b""
        while b"got typed" not in said:
            said += os.read(mine, 4096)
            if b"33 101" in said and b"typed" not in said:
                os.write(mine, b"typed\n")
        assert process.wait(timeout=60) == 0
    finally:
        os.close(mine)
    assert b"not a tty" not in said
    assert b"/dev/" in said


def test_copy(kubectl: Kubectl) -> None:
    kubectl.file("up/a.txt", "A" * 100_000)
    kubectl.file("up/deep/b.txt", "b\n")
    kubectl("cp up db-0:/tmp/up")
    assert kubectl("exec db-0 -- cat /tmp/up/deep/b.txt") == "b\n"
    kubectl("cp db-0:/tmp/up down")
    assert (kubectl.folder / "down/a.txt").read_text() == "A" * 100_000
    kubectl("cp shop/db-0:/tmp/up/deep/b.txt b.txt -c main")
    assert (kubectl.folder / "b.txt").read_text() == "b\n"


def test_previous_logs(kubectl: Kubectl) -> None:
    kubectl("run crashing --image lab/busybox:1 -- sh -c 'echo last words; exit 3'")
    kubectl(
        "wait --for jsonpath='{.status.containerStatuses[0].lastState.terminated.exitCode}'=3 pod/crashing --timeout 60s"
    )
    assert kubectl("logs crashing --previous") == "last words\n"
    kubectl.until("get pod crashing", r"crashing +0/1 +(CrashLoopBackOff|Error) +\d")
    kubectl.until(
        "events --for pod/crashing",
        r"Warning +BackOff .*Pod/crashing +Back-off restarting failed container crashing in pod crashing_shop",
    )
    kubectl("delete pod crashing --now")


# Ports


def fetch(port: int, address: str = "127.0.0.1") -> str:
    with urllib.request.urlopen(f"http://{address}:{port}/", timeout=10) as answer:
        return str(answer.read().decode())


def forwarded(kubectl: Kubectl, target: str) -> tuple[ended, int]:
    process = kubectl.start(f"port-forward {target}")
    line = line_of(process, r"Forwarding from 127\.0\.0\.1:(\d+)")
    found = re.search(r":(\d+) ->", line)
    assert found is not None
    return ended(process), int(found[1])


@pytest.mark.parametrize("target", ["pod", "deployment/web :8000", "service/web :8080", "svc/web :http"])
def test_port_forward(kubectl: Kubectl, target: str) -> None:
    if target == "pod":
        target = kubectl("get pods -l app=web -o name").split()[0] + " :8000"
    process, port = forwarded(kubectl, target)
    with process:
        assert "Directory listing" in fetch(port)
        with ThreadPoolExecutor(8) as pool:
            assert all("Directory listing" in page for page in pool.map(fetch, [port] * 40))


def test_port_forward_survives_a_restarted_backend(kubectl: Kubectl) -> None:
    """The container is another one afterwards, the pod and the tunnel are the same: as on a cluster.

    While nothing listens no connection is tried: kubectl itself ends then ("lost connection to pod"), on every cluster.
    """
    ending = "python -u -m http.server 8000 & while [ ! -e /tmp/end ]; do sleep 0.1; done; kill $!"
    kubectl(f"run restarting --image lab/busybox:1 --port 8000 -- sh -c '{ending}'")
    kubectl.until("logs restarting", "Serving HTTP")
    process, port = forwarded(kubectl, "pod/restarting :8000")
    with process as running:
        assert "Directory listing" in fetch(port)
        kubectl("exec restarting -- touch /tmp/end")
        kubectl("wait --for jsonpath='{.status.containerStatuses[0].restartCount}'=1 pod/restarting --timeout 30s")
        kubectl.until("logs restarting", "Serving HTTP")
        assert "Directory listing" in fetch(port)
        assert running.poll() is None
    kubectl("delete pod restarting --now")


def _serves(port: int, address: str) -> bool:
    try:
        return "Directory listing" in fetch(port, address)
    except OSError:
        return False


def _nodes(kubectl: Kubectl) -> list[str]:
    """Where a cluster with nodes of its own serves node ports."""
    return kubectl("""get nodes -o jsonpath='{.items[*].status.addresses[?(@.type=="InternalIP")].address}'""").split()


def test_expose(kubectl: Kubectl) -> None:
    kubectl("expose deployment web --name exposed --port 80 --target-port 8000")
    kubectl.until("get endpoints exposed", r"[\d.]+:8000,[\d.]+:8000")
    assert "Directory listing" in kubectl("get --raw /api/v1/namespaces/shop/services/exposed:80/proxy/")
    kubectl("expose deployment web --name outside --type NodePort --port 80 --target-port 8000")
    port = int(kubectl("get svc outside -o jsonpath={.spec.ports[0].nodePort}"))
    assert 30000 <= port < 32768
    eventually(lambda: any(_serves(port, address) for address in ("127.0.0.1", *_nodes(kubectl))))
    kubectl("delete svc exposed outside")


# Who


def test_tokens(kubectl: Kubectl) -> None:
    token = kubectl("create token robot --duration 10m").strip()
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["exp"] - claims["iat"] == 600
    config = yaml.safe_load(kubectl.kubeconfig.read_text())
    (user,) = config["users"]
    config["users"] = [{"name": user["name"], "user": {"token": token}}]
    kubectl.file("robot.kubeconfig", yaml.safe_dump(config)).chmod(0o600)
    assert "system:serviceaccount:shop:robot" in kubectl("--kubeconfig robot.kubeconfig auth whoami")
    assert "pod/db-0" in kubectl("--kubeconfig robot.kubeconfig get pods -o name")
    assert "forbidden" in kubectl("--kubeconfig robot.kubeconfig delete pod db-0", code=1)


def test_a_secret_s_token(kubectl: Kubectl) -> None:
    kubectl("create sa lasting")
    annotations = {"kubernetes.io/service-account.name": "lasting"}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "lasting", "annotations": annotations}}
    kubectl("apply -f -", stdin=json.dumps(body | {"type": "kubernetes.io/service-account-token"}))
    kubectl("wait --for jsonpath={.data.token} secret/lasting --timeout 30s")
    token = base64.b64decode(kubectl("get secret lasting -o jsonpath={.data.token}")).decode()
    server = kubectl("config view --minify -o jsonpath={.clusters[0].cluster.server}")
    alone = f"--kubeconfig /dev/null --server {server} --insecure-skip-tls-verify --token {token}"
    assert "system:serviceaccount:shop:lasting" in kubectl(f"{alone} auth whoami")
    kubectl("delete secret lasting")
    assert "Unauthorized" in kubectl(f"{alone} auth whoami", code=1)
    kubectl("delete sa lasting")


def test_certificates(kubectl: Kubectl) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, "jane"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "dev")]
    )
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    encoded = base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()
    spec = {"signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"], "request": encoded}
    for csr in ("jane", "joe"):
        body = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "spec": spec}
        kubectl("apply -f -", stdin=yaml.safe_dump(body | {"metadata": {"name": csr}}))
    assert "Pending" in kubectl("get csr jane")
    assert kubectl("certificate approve jane").endswith("jane approved\n")
    kubectl("certificate deny joe")
    kubectl.until("get csr", r"jane .*Approved,Issued\n(.*\n)*joe .*Denied")
    issued = base64.b64decode(kubectl("get csr jane -o jsonpath={.status.certificate}"))
    assert x509.load_pem_x509_certificate(issued).subject == name
    kubectl("delete csr jane joe")


def test_lists(kubectl: Kubectl) -> None:
    """What `get -o yaml` of several objects prints is an object of kind List, and goes back in."""
    for name in ("one", "two"):
        kubectl(f"create cm listed-{name} --from-literal a=b")
    printed = kubectl("get cm listed-one listed-two -o yaml")
    assert "kind: List" in printed
    kubectl("delete cm listed-one listed-two")
    cleaned = re.sub(r"(?m)^ *(resourceVersion|uid|creationTimestamp): .*\n", "", printed)
    assert kubectl("create -f -", stdin=cleaned).count(" created") == 2
    assert kubectl("apply -f -", stdin=cleaned.replace("a: b", "a: c")).count(" configured") == 2
    assert kubectl("get cm listed-two -o jsonpath={.data.a}") == "c"
    refused = kubectl("apply -f -", stdin=cleaned.replace("data:", "dataa:"), code=1)
    assert 'unknown field "dataa"' in refused
    assert "<map[string]string>" in kubectl("explain configmap.data --output plaintext-openapiv2")
    kubectl("delete cm listed-one listed-two")


def test_replication_controllers(kubectl: Kubectl) -> None:
    template = {"metadata": {"labels": {"app": "old"}}, "spec": {"containers": [{"name": "p", "image": "lab/pause:1"}]}}
    spec = {"replicas": 2, "selector": {"app": "old"}, "template": template}
    body = {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "old"}, "spec": spec}
    kubectl("apply -f -", stdin=json.dumps(body))
    kubectl("wait --for jsonpath={.status.readyReplicas}=2 rc/old --timeout 60s")
    assert re.search(r"old +2 +2 +2 ", kubectl("get rc old"))
    assert "Controlled By:  ReplicationController/old" in kubectl("describe pods -l app=old")
    kubectl("scale rc old --replicas 1")
    kubectl("wait --for jsonpath={.status.replicas}=1 rc/old --timeout 60s")
    kubectl("delete rc old")
    kubectl("wait --for delete pod -l app=old --timeout 60s")


def test_reconcile(kubectl: Kubectl) -> None:
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "kept", "namespace": "shop"},
    }
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
    assert "reconciled" in kubectl("auth reconcile -f -", stdin=json.dumps(role | {"rules": [rule]}))
    more = rule | {"resources": ["services"]}
    kubectl("auth reconcile -f -", stdin=json.dumps(role | {"rules": [more]}))
    kept = json.loads(kubectl("get role kept -o json"))["rules"]
    assert [one["resources"] for one in kept] == [["pods"], ["services"]]
    kubectl("delete role kept")


def test_config(kubectl: Kubectl) -> None:
    assert kubectl("config current-context").strip()
    kubectl("config set-context other --cluster none --user none")
    kubectl("config delete-context other")
    assert "REDACTED" in kubectl("config view") or "DATA+OMITTED" in kubectl("config view")


def test_nodes(kubectl: Kubectl) -> None:
    node = kubectl("get nodes -o jsonpath={.items[0].metadata.name}")
    kubectl(f"cordon {node}")
    assert "SchedulingDisabled" in kubectl("get nodes")
    kubectl("run late --image lab/pause:1")
    kubectl.until(
        "events --for pod/late", r"FailedScheduling .*0/1 nodes are available: 1 node\(s\) were unschedulable"
    )
    kubectl(f"uncordon {node}")
    kubectl("wait --for condition=Ready pod/late --timeout 60s")
    kubectl(f"taint node {node} lab=full:NoSchedule")
    kubectl(f"taint node {node} lab-")
    assert "db-0" in kubectl(f"drain {node} --dry-run=server --ignore-daemonsets --force --delete-emptydir-data")
    kubectl("delete pod late --now")


def test_proxy(kubectl: Kubectl) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with ended(kubectl.start(f"proxy --port {port}")) as proxy:
        line_of(proxy, "Starting to serve")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/namespaces/shop", timeout=10) as answer:
            assert json.load(answer)["metadata"]["name"] == "shop"
