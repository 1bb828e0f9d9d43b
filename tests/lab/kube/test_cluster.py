"""What the lab's own client says where nothing answers."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lab.errors import ClusterError
from lab.kube import Cluster
from tests.images.stack import free_port


def test_a_watch_of_a_cluster_that_is_down_is_an_error_a_person_can_act_on(tmp_path: Path) -> None:
    server = f"https://127.0.0.1:{free_port()}"
    kubeconfig = {
        "clusters": [{"name": "c", "cluster": {"server": server, "insecure-skip-tls-verify": True}}],
        "users": [{"name": "u", "user": {"token": "none"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(kubeconfig))
    with pytest.raises(ClusterError, match="does not answer") as caught:
        list(Cluster(path).lines("/api/v1/pods", {"watch": "true"}, silence=5))
    assert "./inv up" in caught.value.hint
