#!/usr/bin/env bash
# Install and start a Slurm of one node with two GPUs on this Debian machine: munged, slurmctld, slurmd.
# May be called again: what runs is left alone, what was stopped is started. The GPUs are two null devices,
# for Slurm to count. MTPD_PROCTRACK=cgroup tracks processes as most clusters do, where the machine has
# control groups of version 1 that may be written. Where Slurm cannot be had, it says so in one line and ends
# with status 3.
set -euo pipefail

skip() {
    echo "SLURM TESTS SKIPPED: $1" >&2
    exit 3
}

[ "$(id -u)" = 0 ] || skip "starting Slurm's daemons needs root"

if ! { command -v slurmctld && command -v slurmd && command -v munged; } > /dev/null; then
    command -v apt-get > /dev/null || skip "Slurm is not installed, and there is no apt-get"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update && apt-get install --yes --no-install-recommends slurm-wlm munge; } \
        > /tmp/slurm-install.log 2>&1 || skip "apt-get install slurm-wlm munge failed: /tmp/slurm-install.log"
fi

host=$(hostname -s)
spool=/var/spool/mtpd-slurm
configuration=$(
    cat << END
ClusterName=mtpd
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
# A requeued job may start when its old credential has expired: not after two minutes.
AuthInfo=cred_expire=10
CredType=cred/munge
StateSaveLocation=$spool/controller
SlurmdSpoolDir=$spool/node
SlurmctldPidFile=$spool/slurmctld.pid
SlurmdPidFile=$spool/slurmd.pid
SlurmctldLogFile=$spool/slurmctld.log
SlurmdLogFile=$spool/slurmd.log
ProctrackType=proctrack/${MTPD_PROCTRACK:-linuxproc}
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
MinJobAge=300
KillWait=15
OverTimeLimit=0
# The scheduler looks every few seconds, as the jobs last no longer.
SchedulerParameters=sched_interval=1,bf_interval=2
GresTypes=gpu
# Two jobs run side by side on any machine.
SlurmdParameters=config_overrides
TaskProlog=$spool/task_begins
TaskEpilog=$spool/task_ends
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 RealMemory=16000 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
PartitionName=other Nodes=$host MaxTime=INFINITE State=UP
END
)

mkdir -p /etc/slurm $spool/controller $spool/node
for number in 0 1; do
    [ -e $spool/nvidia$number ] || mknod $spool/nvidia$number c 1 3
done
# What each task sees, and when, is written to the file that its environment names.
for event in begins ends; do
    cat > $spool/task_$event << 'END'
#!/bin/sh
[ -z "${MTPD_TASKS-}" ] || [ "${SLURM_STEP_ID-}" != 0 ] || echo \
    "${0##*_} $SLURM_JOB_ID ${CUDA_VISIBLE_DEVICES:-none} $(date +%s.%N)" >> "$MTPD_TASKS"
END
    chmod +x $spool/task_$event
done
if [ "$(cat /etc/slurm/slurm.conf 2> /dev/null)" != "$configuration" ]; then
    if [ -e /etc/slurm/slurm.conf ] && ! grep -q '^ClusterName=mtpd$' /etc/slurm/slurm.conf; then
        skip "/etc/slurm/slurm.conf is of another cluster"
    fi
    if pgrep -x slurmctld > /dev/null; then
        scontrol shutdown
        while pgrep -x slurmctld || pgrep -x slurmd; do sleep 0.5; done > /dev/null
    fi
    echo "$configuration" > /etc/slurm/slurm.conf
    echo "Name=gpu File=$spool/nvidia[0-1]" > /etc/slurm/gres.conf
    printf '%s\n' CgroupPlugin=cgroup/v1 CgroupAutomount=no CgroupMountpoint=/sys/fs/cgroup > /etc/slurm/cgroup.conf
fi

if ! munge -n > /dev/null 2>&1; then
    install -d -o munge -g munge -m 0755 /run/munge
    runuser -u munge -- munged || skip "munged does not start"
fi
pgrep -x slurmctld > /dev/null || slurmctld
pgrep -x slurmd > /dev/null || slurmd

for _ in $(seq 60); do
    case "$(sinfo --noheader --nodes "$host" --format %T 2> /dev/null | head -n 1)" in
        idle | mixed | allocated) exit 0 ;;
        down* | unknown*) scontrol update NodeName="$host" State=RESUME 2> /dev/null || true ;;
    esac
    sleep 0.5
done
echo "Slurm was started, but its node does not come up: $spool/slurmctld.log $spool/slurmd.log" >&2
exit 1
