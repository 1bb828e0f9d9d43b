"""Where the stand-in keeps its state, where it listens, and which cluster EKS names."""

from dataclasses import dataclass
from pathlib import Path

ACCOUNT = "123456789012"
REGION = "ap-northeast-2"


@dataclass(frozen=True, kw_only=True)
class Settings:
    state: Path
    address: str = "127.0.0.1"
    """Or several, with commas between: loopback for this host, and one where a cluster's nodes find it."""
    port: int = 4566
    account: str = ACCOUNT
    region: str = REGION
    eks_endpoint: str = "https://127.0.0.1:16443"
    eks_ca: Path | None = None
    eks_cluster: str = "mlops-training-cluster"
    tls_certificate: Path | None = None
    tls_key: Path | None = None

    @property
    def addresses(self) -> list[str]:
        return self.address.split(",")

    @property
    def objects(self) -> Path:
        return self.state / "s3"

    @property
    def services(self) -> Path:
        return self.state / "services"

    @property
    def registry(self) -> Path:
        return self.state / "registry"
