"""A real Slurm on this machine, for one test: its own munged, slurmctld and slurmd on loopback, all below one folder.

Nothing of a Slurm that belongs to the machine is read or touched: configuration, keys, sockets and ports are ours, and
only the processes started here are stopped. Root is needed, and Debian's packages (installed where they are missing).
"""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

POLICY = Path("/usr/sbin/policy-rc.d")  # Debian asks it whether a package may start its services
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "sinfo")
CONFIG = """\
ClusterName=dfdmtest
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/slurmctld
SlurmdSpoolDir={folder}/slurmd
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=1,batch_sched_delay=0
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MinJobAge=300
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> list[str]:
    """The programs of Slurm and munge that are not installed."""
    return [program for program in PROGRAMS if shutil.which(program) is None]


def running() -> list[str]:
    """Slurm's daemons that run on this machine already."""
    found = []
    for comm in Path("/proc").glob("[0-9]*/comm"):
        try:
            name = comm.read_text().strip()
        except OSError:
            continue  # ended meanwhile
        if name in ("slurmctld", "slurmd"):
            found.append(f"{name} ({comm.parent.name})")
    return found


def install() -> None:
    """Install Slurm and munge from Debian; their services are kept from starting."""
    policy = None if POLICY.exists() else "#!/bin/sh\nexit 101\n"
    if policy:
        POLICY.write_text(policy)
        POLICY.chmod(0o755)
    try:
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "-y", "--no-install-recommends", "slurm-wlm", "munge"]):
            subprocess.run(["apt-get", "-qq", *command], check=True, env=environment, capture_output=True)
    finally:
        if policy:
            POLICY.unlink()


@contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Run a cluster of one node, this machine; gives the environment in which Slurm's commands talk to it."""
    folder.chmod(0o755)
    # The plugin's job step drops SLURM_CONF, so a script that is found before the real srun sets it again.
    (folder / "bin").mkdir()
    (folder / "bin/srun").write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun")} "$@"\n')
    (folder / "bin/srun").chmod(0o755)
    path = f"{folder}/bin:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "SLURM_CONF": str(folder / "slurm.conf")}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    for name in ("slurmctld", "slurmd"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o400)
    controller, node = _free_ports(2)
    (folder / "slurm.conf").write_text(
        CONFIG.format(
            host=socket.gethostname(),
            controller=controller,
            node=node,
            folder=folder,
            cores=min(2, os.cpu_count() or 1),
            memory=min(8000, memory - 500),
        )
    )

    def output(*command: str) -> str:
        return subprocess.run(command, env=environment, capture_output=True, text=True).stdout

    munged = ["munged", "--foreground", "--force", f"--key-file={folder}/munge.key"]
    munged += [f"--socket={folder}/munge.socket", f"--pid-file={folder}/munged.pid", f"--seed-file={folder}/munge.seed"]
    with ExitStack() as stack:
        stack.enter_context(_daemon(munged, folder / "munged.log", environment))
        _wait_for(lambda: (folder / "munge.socket").exists(), "munged's socket", folder)
        stack.enter_context(_daemon(["slurmctld", "-D"], folder / "slurmctld.log", environment))
        stack.enter_context(_daemon(["slurmd", "-D"], folder / "slurmd.log", environment))
        try:
            _wait_for(lambda: output("sinfo", "-h", "-o", "%T").strip() == "idle", "an idle node", folder)
            yield environment
        finally:  # so that no job outlives its node
            output("scancel", "--user=root")
            _wait_for(lambda: not output("squeue", "-h", "-t", "PD,R,CG").strip(), "the last job's end", folder)


def _die_with_parent() -> None:
    """Ask Linux to end this process when the test's does, even when that is killed (prctl PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


@contextmanager
def _daemon(command: list[str], log: Path, environment: dict[str, str]) -> Iterator[None]:
    with open(log, "wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment, preexec_fn=_die_with_parent)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(ready: Callable[[], bool], what: str, folder: Path) -> None:
    until = time.monotonic() + 60
    while not ready():
        if time.monotonic() > until:
            logs = "\n".join(f"{path.name}: {path.read_text()[-800:]}" for path in sorted(folder.glob("*.log")))
            raise TimeoutError(f"waited a minute for {what}\n{logs}")
        time.sleep(0.2)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
