"""One tenant against another, everything that can be tried: Kubernetes, S3, ECR, IAM, STS, EKS, MLflow and PostgreSQL. All of it must be refused.

Runs on the lab that the modules before it left up, or alone on three tenants. The attempts are made from discovery (`attempts`); what a tenant may
do outside its namespace is listed here, in full.
"""

from __future__ import annotations

import shutil
import subprocess
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from threading import Event
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import pytest
from pg8000.exceptions import DatabaseError
from pg8000.native import Connection, identifier

from lab import clusters, settings
from lab.aws.clients import Clients
from lab.aws.standin import StandIn
from lab.kube import Cluster, Object
from lab.settings import Tenant
from lab.world import World
from tests.awssim.images import OCI, digest_of, image
from tests.e2e.attempts import Attempt, Figures, Resource, discover, on_aws, on_cluster, status
from tests.e2e.conftest import Lab

pytestmark = [pytest.mark.e2e, pytest.mark.exhaustive, pytest.mark.timeout(300)]

OWN_REVIEWS = {  # what everybody may ask about themselves; an incomplete review is 400 or 422, not 403
    "create /apis/authentication.k8s.io/v1/selfsubjectreviews": 200,
    "create /apis/authorization.k8s.io/v1/selfsubjectaccessreviews": 422,
    "create /apis/authorization.k8s.io/v1/selfsubjectrulesreviews": 400,
}
SHARED = {  # namespace -> what tenants may get and list there, to see that the shared parts run
    "kubeflow": frozenset({"pods", "services", "deployments"}),
    "mlflow-system": frozenset({"pods", "services"}),
    "kube-system": frozenset({"services"}),  # kubectl cluster-info
    **dict.fromkeys(("mlops-system", "mlops-training", "mlops-serving", "default"), frozenset[str]()),
}


@dataclass(frozen=True)
class Pair:
    """`me` tries what is `other`'s; both are students, or one is the instructor."""

    world: World
    me: Tenant
    other: Tenant

    @property
    def cluster(self) -> Cluster:
        return self.world.cluster_as(self.me)

    @property
    def aws(self) -> Clients:
        return self.world.aws_as(self.me)


@pytest.fixture(scope="module")
def opened(lab: Lab) -> World:
    lab.inv("up", "--tenants", "01,02,20")
    loaded = settings.load(environ=lab.environ)
    provider, why = clusters.detect(loaded)
    return World(loaded, provider, why, StandIn(loaded), "as the lab")


@pytest.fixture(scope="module", params=["01 against 02", "01 against 20", "20 against 01"])
def pair(opened: World, request: pytest.FixtureRequest) -> Pair:
    me, _, other = str(request.param).split()
    return Pair(opened, opened.settings.one(me), opened.settings.one(other))


@pytest.fixture(scope="module")
def students(opened: World) -> Pair:
    return Pair(opened, opened.settings.one("01"), opened.settings.one("02"))


def tell(what: str, figures: Figures, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n  {what}: {figures.tried} attempts, {figures.refused} refused", end="")


def run(attempts: Iterable[Attempt]) -> Figures:
    figures = Figures()
    for attempt in attempts:
        figures.take(attempt)
    return figures


def names(admin: Cluster, resource: Resource, other: Tenant) -> list[str]:
    """Two real objects of the other tenant where there are, so that a 403 is not a 404 in disguise; any name where there is none."""
    plain = Resource(resource.root, resource.name.partition("/")[0], "", resource.namespaced, ())
    path = plain.path(other.namespace)
    found = admin.request("GET", path)["items"] if status(admin, "GET", path) == 200 else []
    seen = [str(item["metadata"]["name"]) for item in found]
    own = seen if resource.namespaced else [name for name in seen if other.user in name] or seen[:1]
    return own[:2] or [f"of-{other.user}"]


def tries(pair: Pair) -> Iterator[Attempt]:
    """Every verb on every resource, in the other's namespace and (namespaced kinds too) cluster-wide."""
    for resource in discover(pair.cluster):
        for name in names(pair.world.cluster, resource, pair.other):
            yield from on_cluster(pair.cluster, resource, pair.other.namespace, name)
        if resource.namespaced and "/" not in resource.name:
            verbs = tuple(verb for verb in resource.verbs if verb in ("list", "watch"))
            everywhere = Resource(resource.root, resource.name, resource.kind, False, verbs)
            yield from on_cluster(pair.cluster, everywhere, "", "")


def instructors_may(tenant: Tenant, other: Tenant) -> set[str]:
    """Instructors mend Profiles and PodDefaults and see namespaces (ClusterRole mlops-instructors), and nothing else of a student."""
    if tenant.role != "instructor":
        return set()
    profiles = [f"/apis/kubeflow.org/{version}" for version in ("v1", "v1beta1")]
    defaults = f"/apis/kubeflow.org/v1alpha1/namespaces/{other.namespace}/poddefaults"
    allowed = {
        f"{verb} {root}{watch}/profiles{name}"
        for root in profiles
        for watch in ("", "/watch")
        for verb, name in (
            ("list", ""),
            ("watch", ""),
            ("get", f"/{other.profile}"),
            ("patch", f"/{other.profile}"),
        )
    }
    allowed |= {f"{verb} /api/v1/namespaces" for verb in ("list", "watch")} | {
        f"get /api/v1/namespaces/{other.namespace}"
    }
    allowed |= {f"{verb} {defaults}" for verb in ("list", "watch", "create")}
    allowed |= {
        f"{verb} {defaults}/{name}"
        for verb in ("get", "patch", "update", "delete")
        for name in ("access-mlflow", "access-ml-pipeline")
    }
    everywhere = "/apis/kubeflow.org/v1alpha1"
    return allowed | {
        f"list {everywhere}/poddefaults",
        *(f"watch {root}" for root in (f"{everywhere}/poddefaults", f"{everywhere}/watch/poddefaults")),
        "watch /api/v1/watch/namespaces",
        f"watch {defaults.replace('v1alpha1', 'v1alpha1/watch')}",
    }


def test_every_verb_on_every_resource(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    figures = run(tries(pair))
    allowed = instructors_may(pair.me, pair.other)
    unexpected = {what: code for what, code in figures.others.items() if what not in allowed}
    assert unexpected == OWN_REVIEWS
    assert figures.tried > 850
    tell(f"Kubernetes, {pair.me.user} on {pair.other.user}", figures, capsys)


def test_the_matrix_sees_an_open_door(students: Pair) -> None:
    """With the fault of the rehearsal, exactly the reads of ClusterRole kubeflow-view are found open."""
    from lab.faults import find

    fault = find("cross-tenant-access")
    neighbour = Pair(students.world, students.me, opened_for(students))
    fault.break_it(students.world, students.me)
    try:
        figures = run(tries(neighbour))
    finally:
        fault.mend_it(students.world, students.me)
    found = set(figures.others) - set(OWN_REVIEWS)
    assert f"list /api/v1/namespaces/{neighbour.other.namespace}/pods" in found
    assert {what.split()[0] for what in found} <= {"get", "list", "watch"}
    assert not [what for what in found if "/secrets" in what]


def opened_for(pair: Pair) -> Tenant:
    from lab.verify import other

    return other(pair.world, pair.me)


def test_the_labs_own_namespaces(students: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    figures = run(
        attempt
        for namespace in SHARED
        for resource in discover(students.cluster)
        if resource.namespaced
        for attempt in on_cluster(students.cluster, resource, namespace, "any")
    )
    for what in figures.others:
        verb, path = what.split()
        namespace, plural = path.split("/namespaces/")[1].split("/")[:2]
        assert verb in ("get", "list"), what
        assert plural in SHARED[namespace], what
        assert path.count("/") <= 7, f"{what}: a subresource"
    tell("the lab's namespaces", figures, capsys)


BYPASSES: Mapping[str, tuple[str, Object]] = {
    "the node's folders": ("v1 pods", {"volumes": [{"name": "host", "hostPath": {"path": "/"}}]}),
    "the node's network": ("v1 pods", {"hostNetwork": True}),
    "the node's processes": ("v1 pods", {"hostPID": True}),
    "a privileged container": ("v1 pods", {"containers": [{"securityContext": {"privileged": True}}]}),
}


@pytest.mark.parametrize("what", BYPASSES)
def test_a_pod_of_ones_own_does_not_reach_around(students: Pair, what: str) -> None:
    _, spec = BYPASSES[what]
    small = {"cpu": "10m", "memory": "16Mi"}
    container = {"name": "c", "image": "mlops-lab/mlflow:1", "resources": {"requests": small, "limits": small}}
    more = spec.get("containers", [{}])[0]
    pod: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "around"}}
    path = f"/api/v1/namespaces/{students.me.namespace}/pods"
    plain, around = (
        pod | {"spec": {"containers": [container]}},
        pod | {"spec": spec | {"containers": [container | more]}},
    )
    assert status(students.cluster, "POST", path, plain, query={"dryRun": "All"}) == 200
    assert status(students.cluster, "POST", path, around, query={"dryRun": "All"}) == 403


def test_nobody_else_can_be_impersonated_or_bound(students: Pair) -> None:
    cluster, other = students.cluster, students.other
    pods = f"{cluster.connection.server}/api/v1/namespaces/{other.namespace}/pods"
    for headers in (
        {"Impersonate-User": other.email},
        {"Impersonate-User": students.me.email, "Impersonate-Group": "system:masters"},
        {"Impersonate-User": f"system:serviceaccount:{other.namespace}:default-editor"},
    ):
        assert cluster.connection.pool.request("GET", pods, headers=headers).status == 403
    rbac = "rbac.authorization.k8s.io"
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "up"},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"apiGroup": rbac, "kind": "User", "name": students.me.email}],
    }
    path = f"/apis/{rbac}/v1/namespaces/{students.me.namespace}/rolebindings"
    assert status(cluster, "POST", path, binding, query={"dryRun": "All"}) == 403


def test_a_service_of_ones_own_is_no_road_to_anothers_mlflow(students: Pair) -> None:
    """Neither by an ExternalName nor by endpoints of the tenant's making does the API server's proxy lead there."""
    cluster, namespace = students.cluster, students.me.namespace
    target = f"mlflow-server.{students.other.namespace}.svc.cluster.local"
    spec = {"type": "ExternalName", "externalName": target, "ports": [{"name": "http", "port": 5000}]}
    cluster.create(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "road"}, "spec": spec}, namespace=namespace
    )
    try:
        services = f"/api/v1/namespaces/{namespace}/services"
        assert status(cluster, "GET", f"{services}/road:5000/proxy/health") == 503
        assert status(cluster, "GET", f"{services}/mlflow-server:5000/proxy/health") == 200
    finally:
        cluster.delete("v1", "Service", "road", namespace)
    made = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "road"}, "subsets": []}
    assert status(cluster, "POST", f"/api/v1/namespaces/{namespace}/endpoints", made, query={"dryRun": "All"}) == 403


def from_the_pod(lab: Lab, tenant: Tenant, *command: str) -> subprocess.CompletedProcess[str]:
    """A command in the tenant's MLflow pod."""
    whole = ["kubectl", "exec", "deployment/mlflow-server", "--", *command]
    return subprocess.run(whole, env=lab.student(tenant.num), capture_output=True, text=True, timeout=120, check=False)


def programs(address: str) -> list[tuple[str, ...]]:
    """Python with the lab's start-up files, Python without them, and a program in C."""
    script = f"import urllib.request; print(urllib.request.urlopen({address!r}, timeout=20).status)"
    curl = [("curl", "-sS", "--max-time", "20", address)] if shutil.which("curl") else []
    return [("python", "-c", script), ("python", "-S", "-c", script), *curl]


@pytest.mark.kubectl
@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl on PATH")
def test_a_pod_of_ones_own_does_not_reach_anothers_mlflow(students: Pair, lab: Lab) -> None:
    """Neither by its Service nor by its pod's address; the own one and the shared one it does."""
    own, theirs = students.me.namespace, students.other.namespace
    (pod,) = students.world.cluster.list("v1", "Pod", theirs, labels="app=mlflow-server")
    service = students.world.cluster.get("v1", "Service", "mlflow-server", theirs)
    for host in (f"mlflow-server.{theirs}.svc.cluster.local", service["spec"]["clusterIP"], pod["status"]["podIP"]):
        if not host[0].isdigit():
            command = programs(f"http://{host}:5000/health")[0]
            assert from_the_pod(lab, students.me, *command).returncode != 0
            continue
        for command in programs(f"http://{host}:5000/health"):
            done = from_the_pod(lab, students.me, *command)
            assert done.returncode != 0, (command, done.stdout)
    for host in (f"mlflow-server.{own}", "mlflow-service.mlops-training"):
        done = from_the_pod(lab, students.me, *programs(f"http://{host}.svc.cluster.local:5000/health")[0])
        assert done.stdout.strip() == "200", done.stderr


@pytest.mark.kubectl
@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl on PATH")
def test_only_mlflow_servers_reach_the_database(students: Pair, lab: Lab) -> None:
    (pod,) = students.world.cluster.list("v1", "Pod", "mlflow-system", labels="app=postgres")
    script = f"import socket; socket.create_connection(({pod['status']['podIP']!r}, 5432), 20).close(); print('open')"
    assert from_the_pod(lab, students.me, "python", "-c", script).stdout.strip() == "open"
    small = {"cpu": "10m", "memory": "64Mi"}
    container = {
        "name": "c",
        "image": "mlops-lab/mlflow:1",
        "command": ["python", "-c", script],
        "resources": {"requests": small, "limits": small},
    }
    name, namespace = "curious", students.me.namespace
    spec = {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [container]}
    body: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    students.cluster.create(body, namespace=namespace)

    def running() -> str | None:
        phase = students.cluster.get("v1", "Pod", name, namespace)["status"]["phase"]
        return None if phase in ("Succeeded", "Failed") else phase

    try:
        students.cluster.wait(running, seconds=90, cancelled=Event())
        assert students.cluster.get("v1", "Pod", name, namespace)["status"]["phase"] == "Failed"
    finally:
        students.cluster.delete("v1", "Pod", name, namespace)


GRANTED = {  # what a student's own policy allows, and STS to everybody
    "ecr:GetAuthorizationToken": 200,
    "sts:GetCallerIdentity": 200,
    "sts:GetSessionToken": 200,
    "eks:DescribeCluster": 200,
}
WITHOUT = {
    "WriteGetObjectResponse": "goes to a host of its own",
    "CreateSession": "goes to a host of its own (directory buckets)",
    "AssumeRoleWithSAML": "not signed: it is not the tenant's right that is asked",
    "AssumeRoleWithWebIdentity": "not signed: it is not the tenant's right that is asked",
}


@pytest.mark.parametrize("service", ["s3", "ecr", "iam", "sts", "eks"])
def test_every_operation_of_aws(pair: Pair, service: str, capsys: pytest.CaptureFixture[str]) -> None:
    other, chosen = pair.other, pair.world.settings
    known = {
        "Bucket": other.bucket,
        "Key": "mlflow-artifacts/",
        "CopySource": f"{other.bucket}/mlflow-artifacts/",
        "repositoryName": other.repositories[0],
        "repositoryNames": [other.repositories[0]],
        "UserName": other.user,
        "clusterName": chosen.eks_cluster,
        "name": chosen.eks_cluster,
        "principalArn": f"arn:aws:iam::{chosen.account}:user/{other.user}",
    }
    figures = run(on_aws(pair.aws(service), known, WITHOUT))
    assert figures.others == {what: code for what, code in GRANTED.items() if what.startswith(f"{service}:")}
    tell(f"{service}, {pair.me.user} on {other.user}", figures, capsys)


def test_nobody_raises_the_own_rights(students: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    """IAM refuses every operation on the own user too: the policy is the instructor's."""
    figures = run(on_aws(students.aws("iam"), {"UserName": students.me.user}, {}))
    assert figures.others == {}
    tell("iam, user01 on itself", figures, capsys)


def test_the_own_bucket_is_no_road_to_anothers(students: Pair) -> None:
    """Copies from and to another's bucket, in one piece and in parts; and nobody at all without keys."""
    from botocore.exceptions import ClientError

    s3, mine, theirs = students.aws("s3"), students.me.bucket, students.other.bucket
    upload = s3.create_multipart_upload(Bucket=mine, Key="road")["UploadId"]
    source = {"Bucket": theirs, "Key": "mlflow-artifacts/"}
    copies: tuple[Callable[[], Any], ...] = (
        lambda: s3.copy_object(Bucket=mine, Key="road", CopySource=source),
        lambda: s3.copy_object(Bucket=theirs, Key="road", CopySource={"Bucket": mine, "Key": "mlflow-artifacts/"}),
        lambda: s3.upload_part_copy(Bucket=mine, Key="road", UploadId=upload, PartNumber=1, CopySource=source),
    )
    for copy in copies:
        with pytest.raises(ClientError, match="AccessDenied"):
            copy()
    s3.abort_multipart_upload(Bucket=mine, Key="road", UploadId=upload)
    address = students.world.aws.endpoint()
    assert httpx.get(f"{address}/{theirs}?list-type=2").status_code == 403
    signed = s3.generate_presigned_url("get_object", Params={"Bucket": theirs, "Key": "mlflow-artifacts/"})
    assert httpx.get(signed).status_code == 403


def docker(pair: Pair, clients: Clients) -> httpx.Client:
    """/v2 with the token of `aws ecr get-login-password`."""
    token = clients("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    return httpx.Client(base_url=pair.world.aws.endpoint(), headers={"Authorization": f"Basic {token}"}, timeout=20)


def test_the_registry(students: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    """An image that the other tenant pushed can be neither pulled, changed, deleted nor mounted, nor a blob of it uploaded."""
    made, mine, theirs = image({"a": b"theirs"}), students.me.repositories[1], students.other.repositories[1]
    blob, manifest = digest_of(made.layers[0]), digest_of(made.manifest())
    with docker(students, students.world.aws_as(students.other)) as owner:
        for content in (made.config, *made.layers):
            begun = owner.post(f"/v2/{theirs}/blobs/uploads/")
            sent = owner.put(begun.headers["location"], params={"digest": digest_of(content)}, content=content)
            assert sent.status_code == 201
        put = owner.put(f"/v2/{theirs}/manifests/v1", content=made.manifest(), headers={"Content-Type": OCI})
        assert put.status_code == 201
    figures = Figures()
    with docker(students, students.aws) as client:
        for method, path in (
            *((method, f"/v2/{theirs}/manifests/v1") for method in ("GET", "HEAD", "PUT", "DELETE")),
            *((method, f"/v2/{theirs}/manifests/{manifest}") for method in ("GET", "HEAD", "PUT", "DELETE")),
            *((method, f"/v2/{theirs}/blobs/{blob}") for method in ("GET", "HEAD", "DELETE")),
            ("GET", f"/v2/{theirs}/tags/list"),
            ("POST", f"/v2/{theirs}/blobs/uploads/"),
            ("POST", f"/v2/{theirs}/blobs/uploads/?mount={blob}&from={mine}"),
        ):
            content = made.manifest() if method == "PUT" else b""
            figures.take(_http(client, method, path, content))
        mounted = client.post(f"/v2/{mine}/blobs/uploads/?mount={blob}&from={theirs}")
        assert mounted.status_code in (202, 403), "a blob of another's repository was mounted"
        assert client.head(f"/v2/{mine}/blobs/{blob}").status_code == 404
    assert figures.others == {}
    tell("registry", figures, capsys)
    students.world.root("ecr").batch_delete_image(repositoryName=theirs, imageIds=[{"imageTag": "v1"}])


def _http(client: httpx.Client, method: str, path: str, content: bytes) -> Attempt:
    headers = {"Content-Type": OCI} if content else {}
    return Attempt(
        f"{method} {path}", lambda: client.request(method, path, content=content, headers=headers).status_code
    )


@dataclass(frozen=True)
class Database:
    """PostgreSQL as a tenant reaches it, with the address and password of the tenant's own Secret."""

    host: str
    user: str
    password: str

    def connect(self, database: str, user: str = "") -> Connection:
        return Connection(
            user or self.user, host=self.host, database=database, password=self.password, ssl_context=False, timeout=20
        )


@pytest.fixture
def database(students: Pair) -> Database:
    secret = students.cluster.get("v1", "Secret", "mlflow-database", students.me.namespace)
    uri = urlsplit(b64decode(secret["data"]["uri"]).decode())
    pod = students.cluster.list("v1", "Pod", "mlflow-system", labels="app=postgres")[0]
    return Database(pod["status"]["podIP"], uri.username or "", unquote(uri.password or ""))


def sql_state(error: DatabaseError) -> str:
    return str(error.args[0]["C"])


def test_no_other_database_opens(students: Pair, database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    database.connect(database.user).close()
    theirs = [f"mlflow_{tenant}" for tenant in (students.other.user, "user20", "shared", "template")]
    logins = [*((name, database.user) for name in (*theirs, "postgres", "template0", "template1"))]
    logins += [(name, name) for name in theirs[:3]] + [("postgres", "postgres"), (database.user, "postgres")]
    for name, user in logins:
        with pytest.raises(DatabaseError) as refusal:
            database.connect(name, user).close()
        assert sql_state(refusal.value) in ("42501", "55000", "28P01"), f"{name} as {user}"
    tell("PostgreSQL logins", Figures(len(logins)), capsys)


STATEMENTS = (
    *("SELECT passwd FROM pg_shadow", "SELECT rolpassword FROM pg_authid", "CREATE ROLE x", "CREATE DATABASE x"),
    *(
        "CREATE DATABASE x TEMPLATE {other}",
        "SET ROLE {other}",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION {other}",
    ),
    *("ALTER ROLE {other} PASSWORD 'x'", "DROP ROLE {other}", "ALTER DATABASE {other} OWNER TO {own}"),
    *("DROP DATABASE {other} WITH (FORCE)", "GRANT {other} TO {own}", "GRANT CONNECT ON DATABASE {other} TO {own}"),
    *("COMMENT ON DATABASE {other} IS 'x'", "SELECT pg_database_size('mlflow_user02')", "ALTER ROLE {own} SUPERUSER"),
    *("COPY (SELECT 1) TO PROGRAM 'id'", "COPY (SELECT 1) TO '/tmp/x'", "SELECT pg_read_file('PG_VERSION')"),
    *(
        "SELECT pg_ls_dir('base')",
        "SELECT lo_import('/etc/passwd')",
        "CREATE EXTENSION dblink",
        "ALTER SYSTEM SET jit=on",
    ),
    *(
        "CREATE EXTENSION postgres_fdw",
        "SELECT pg_reload_conf()",
        "CREATE TABLESPACE x LOCATION '/tmp'",
        "LOAD 'auto_explain'",
    ),
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mlflow_user02'",
)


def test_no_statement_reaches_another_database(
    students: Pair, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    other = f"mlflow_{students.other.user}"
    inside = database.connect(database.user)
    try:
        for statement in STATEMENTS:
            with pytest.raises(DatabaseError) as refusal:
                inside.run(statement.format(own=identifier(database.user), other=identifier(other)))
            assert sql_state(refusal.value) == "42501", statement
        queries = inside.run("SELECT query FROM pg_stat_activity WHERE usename = :name", name=other)
    finally:
        inside.close()
    assert {row[0] for row in queries} <= {"<insufficient privilege>"}
    tell("PostgreSQL statements", Figures(len(STATEMENTS)), capsys)
