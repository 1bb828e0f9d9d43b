"""A network namespace with nothing but a loopback, and a count of what tried to leave it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

import pytest

# OutNoRoutes counts every packet and connection that had nowhere to go, of any program in the namespace, IPv4 and IPv6.
COLUMN = """
$1 == "Ip:" && !column { for (i = 2; i <= NF; i++) if ($i == "OutNoRoutes") column = i; next }
$1 == "Ip:" { print $column }
"""
SCRIPT = """
awk=$1 names=$2
shift 2
ip link set lo up || exit 97
[ -z "$names" ] || mount --bind /dev/null /etc/resolv.conf || exit 98
"$@"
code=$?
four=$(awk "$awk" /proc/net/snmp)
six=$(awk '$1 == "Ip6OutNoRoutes" { print $2 }' /proc/net/snmp6)
echo "attempts to leave: $((four + six))" >&2
exit $code
"""


def alone(command: Sequence[str], *, names: bool = True) -> list[str]:
    """The command in such a namespace; the last line of stderr tells how often something tried to leave.

    Without `names` there is no name server but this machine, as where there never was a network: then questions for names are not counted, and
    what is counted are connections.
    """
    here = "" if names else "none"
    return ["unshare", "--net", "--mount", "sh", "-c", SCRIPT, "alone", COLUMN, here, *command]


def _possible() -> bool:
    done = subprocess.run(alone(["true"]), capture_output=True, check=False)
    return done.returncode == 0


needs_namespaces = pytest.mark.skipif(not _possible(), reason="no network namespaces for this user (unshare --net)")
