#!/usr/bin/env bash
# A real Slurm on this machine, for tests: a controller and three nodes, each a network and UTS namespace on one bridge.
#   scripts/slurm-cluster.sh start DIR     then: SLURM_CONF=DIR/slurm.conf ip netns exec ibc0 sbatch …
#   scripts/slurm-cluster.sh stop DIR
# Needs root and Debian's slurmctld, slurmd, slurm-client, munge and iproute2; with slurmdbd and mariadb-server there is
# accounting (sacct). Names of the namespaces: ibc0 (controller), ibn1 to ibn3. Cut a node off: ip -n ibn2 link set eth0 down
set -euo pipefail
[ $# = 2 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
verb=$1 dir=$2
stop() {
  for pid in "$dir"/run/{slurmd.*,slurmctld,slurmdbd,munged,mariadb}.pid; do
    [ -f "$pid" ] && kill "$(cat "$pid")" 2>/dev/null || true
  done
  sleep 1
  # what a node still runs ends with it
  for node in ibn1 ibn2 ibn3 ibc0; do
    for process in $(ip netns pids $node 2>/dev/null); do kill -9 "$process" 2>/dev/null || true; done
    ip netns del $node 2>/dev/null || true
  done
}
if [ "$verb" = stop ]; then stop; exit; fi
[ "$verb" = start ] || { echo "start or stop, not $verb" >&2; exit 2; }
mkdir -p "$dir"/run/state "$dir"/log
dir=$(realpath "$dir")
export SLURM_CONF=$dir/slurm.conf
accounting=none
if command -v slurmdbd >/dev/null && command -v mariadbd >/dev/null; then accounting=slurmdbd; fi
cat >"$dir/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=ibc0(10.77.1.1)
SlurmUser=root
SlurmctldPort=16827
SlurmdPort=16828
AuthType=auth/munge
# a job that is requeued waits for this long before it starts again
AuthInfo=socket=$dir/run/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=$dir/run/state
SlurmdSpoolDir=$dir/run/spool.%n
SlurmctldPidFile=$dir/run/slurmctld.pid
SlurmdPidFile=$dir/run/slurmd.%n.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
# without cgroups it is the accounting that sees and ends what takes too much memory
JobAcctGatherParams=OverMemoryKill
SwitchType=switch/none
MpiDefault=none
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=3
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
DefMemPerCPU=500
SlurmdParameters=config_overrides
MinJobAge=600
SlurmdTimeout=10
KillWait=5
ReturnToService=2
JobRequeue=1
AccountingStorageType=accounting_storage/$accounting
NodeName=ibn[1-3] NodeAddr=10.77.1.[11-13] CPUs=2 Boards=1 SocketsPerBoard=1 CoresPerSocket=2 ThreadsPerCore=1 RealMemory=4000 State=UNKNOWN
PartitionName=main Nodes=ibn[1-3] Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=10
PartitionName=urgent Nodes=ibn[1-3] MaxTime=INFINITE State=UP PriorityTier=9 PreemptMode=OFF
CONF
[ $accounting = none ] || cat >>"$dir/slurm.conf" <<CONF
AccountingStorageHost=10.77.1.1
AccountingStoragePort=16829
AccountingStoragePass=$dir/run/munge.socket
CONF
# without this line slurmd looks for /sys/fs/cgroup
echo "CgroupPlugin=cgroup/v1" >"$dir/cgroup.conf"
[ -f "$dir/run/munge.key" ] || (umask 077; head -c 128 /dev/urandom >"$dir/run/munge.key")
ip netns add ibc0
ip -n ibc0 link add br0 type bridge
ip -n ibc0 link set br0 up
ip -n ibc0 addr add 10.77.1.1/24 dev br0
ip -n ibc0 link set lo up
for i in 1 2 3; do
  ip netns add ibn$i
  ip -n ibn$i link set lo up
  ip link add vib$i netns ibc0 type veth peer name eth0 netns ibn$i
  ip -n ibc0 link set vib$i master br0 up
  ip -n ibn$i addr add 10.77.1.1$i/24 dev eth0
  ip -n ibn$i link set eth0 up
done
munged --force --key-file="$dir/run/munge.key" --socket="$dir/run/munge.socket" --pid-file="$dir/run/munged.pid" \
  --log-file="$dir/log/munged.log" --seed-file="$dir/run/munge.seed"
# the namespace's host name is the node's
on() { local host=$1; shift; ip netns exec "$host" unshare --uts bash -c 'hostname $0; exec "$@"' "$host" "$@"; }
if [ $accounting = slurmdbd ]; then
  data=$dir/run/mariadb
  if [ ! -d "$data/mysql" ]; then
    mariadb-install-db --no-defaults --user=root --datadir="$data" --skip-test-db >"$dir/log/mariadb-install.log" 2>&1
  fi
  setsid mariadbd --no-defaults --user=root --datadir="$data" --socket="$dir/run/mariadb.socket" --skip-networking \
    --pid-file="$dir/run/mariadb.pid" --innodb-buffer-pool-size=32M >"$dir/log/mariadb.log" 2>&1 </dev/null &
  for _ in $(seq 100); do [ -S "$dir/run/mariadb.socket" ] && break; sleep 0.2; done
  (umask 077; cat >"$dir/slurmdbd.conf") <<CONF
AuthType=auth/munge
AuthInfo=socket=$dir/run/munge.socket
DbdHost=ibc0
DbdAddr=10.77.1.1
DbdPort=16829
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm_acct
LogFile=$dir/log/slurmdbd.log
PidFile=$dir/run/slurmdbd.pid
CONF
  # slurmdbd asks the database where it listens through this file
  printf '[client]\nsocket=%s\n' "$dir/run/mariadb.socket" >"$dir/run/my.cnf"
  mariadb --no-defaults --socket="$dir/run/mariadb.socket" -u root -e 'create database if not exists slurm_acct' 2>"$dir/log/mariadb-create.log"
  MYSQL_UNIX_PORT=$dir/run/mariadb.socket on ibc0 slurmdbd
  for _ in $(seq 100); do
    ip netns exec ibc0 sacctmgr -n list cluster >/dev/null 2>&1 && break; sleep 0.3
  done
  ip netns exec ibc0 sacctmgr -i add cluster test >/dev/null 2>&1 || true
fi
on ibc0 slurmctld
for i in 1 2 3; do on ibn$i slurmd; done
for _ in $(seq 150); do
  [ "$(ip netns exec ibc0 sinfo -h -p main -t idle -o %D 2>/dev/null)" = 3 ] && break; sleep 0.2
done
ip netns exec ibc0 sinfo -N -l
