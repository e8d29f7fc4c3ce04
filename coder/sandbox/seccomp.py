"""The system calls that commands in a container may make; what is not named here fails.

A list of our own, because the default of an engine is as old as the engine: that of 20.10 still lets io_uring through.
Only the engine's native 64-bit calls are open. Sources: `man 2 syscalls`, the kernel's `unistd.h` up to 6.1.
"""

import json

from coder.types import JsonObject

ALLOWED = {
    "files": """
        access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64
        fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock
        fremovexattr fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr inotify_add_watch
        inotify_init inotify_init1 inotify_rm_watch ioctl lchown lgetxattr link linkat listxattr llistxattr lremovexattr
        lseek lsetxattr lstat mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat openat2 pipe pipe2
        pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr rename
        renameat renameat2 rmdir sendfile setxattr splice stat statfs statx symlink symlinkat sync sync_file_range syncfs
        tee truncate umask unlink unlinkat utime utimensat utimes vmsplice write writev""",
    "waiting": """
        epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 io_cancel io_destroy
        io_getevents io_pgetevents io_setup io_submit poll ppoll pselect6 select signalfd signalfd4""",
    "memory": """
        brk cachestat madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap
        mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_mrelease
        remap_file_pages""",
    "processes": """
        arch_prctl capget capset execve execveat exit exit_group fork get_robust_list get_thread_area getcpu getegid geteuid
        getgid getgroups getpgid getpgrp getpid getppid getpriority getrandom getresgid getresuid getrlimit getrusage getsid
        gettid getuid ioprio_get ioprio_set landlock_add_rule landlock_create_ruleset landlock_restrict_self
        pidfd_open pidfd_send_signal prctl ptrace rseq sched_get_priority_max sched_get_priority_min
        sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity
        sched_setparam sched_yield seccomp set_robust_list set_thread_area set_tid_address
        setfsgid setfsuid setgid setgroups setpgid setregid setresgid setresuid setreuid setrlimit setsid
        setuid sysinfo times uname vfork wait4 waitid""",
    "signals and time": """
        adjtimex alarm clock_adjtime clock_getres clock_gettime clock_nanosleep futex futex_requeue futex_wait futex_waitv
        futex_wake getitimer gettimeofday kill nanosleep pause restart_syscall rt_sigaction rt_sigpending rt_sigprocmask
        rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo setitimer sigaltstack tgkill time
        timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime
        timerfd_settime tkill""",
    "talking": """
        accept accept4 bind connect getpeername getsockname getsockopt listen mq_getsetattr mq_notify mq_open
        mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd recvfrom recvmmsg recvmsg semctl semget semop
        semtimedop sendmmsg sendmsg sendto setsockopt shmat shmctl shmdt shmget shutdown socketpair""",
}
DENIED = {
    "other views of the machine": """
        chroot clone3 fsconfig fsmount fsopen fspick listmount mount mount_setattr move_mount open_tree pivot_root setns
        statmount umount2 unshare""",
    "large and young parts of the kernel": """
        bpf fanotify_init fanotify_mark io_uring_enter io_uring_register io_uring_setup modify_ldt perf_event_open
        userfaultfd""",
    "keys that namespaces do not separate": "add_key keyctl request_key",
    "other processes' memory and descriptors": """
        kcmp migrate_pages move_pages pidfd_getfd process_madvise process_vm_readv process_vm_writev""",
    "other processes' share of the processor": "sched_setattr",
    "where memory lies": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "the machine itself": """
        _sysctl acct afs_syscall clock_settime create_module delete_module epoll_ctl_old epoll_wait_old finit_module
        get_kernel_syms getpmsg init_module ioperm iopl kexec_file_load kexec_load lookup_dcookie lsm_get_self_attr
        lsm_list_modules lsm_set_self_attr nfsservctl open_by_handle_at putpmsg query_module quotactl quotactl_fd reboot
        security sethostname setdomainname settimeofday swapoff swapon sysfs syslog tuxcall uselib ustat vhangup vserver""",
}
"""Decided on, too, and failing: by not being among the allowed ones."""
CONDITIONAL = ("clone", "personality", "prlimit64", "sched_setscheduler", "setpriority", "socket")

NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET; clone3 hides its flags from the filter."""
FAMILIES = (1, 2, 10, 16)
"""AF_UNIX, AF_INET, AF_INET6, AF_NETLINK. AF_VSOCK knows no network namespace: it would reach a virtual machine's host."""
PERSONALITIES = (0x0, 0x0008, 0x20000, 0x20008, 0xFFFFFFFF)
"""PER_LINUX, PER_LINUX32, each with UNAME26, and the question which one it is."""
ENOSYS = 38
INT = 0xFFFFFFFF
"""As much of an argument as the kernel looks at where it takes an `int`."""


def names(groups: dict[str, str]) -> list[str]:
    """The calls of all groups, sorted."""
    return sorted({name for group in groups.values() for name in group.split()})


def profile() -> str:
    """The profile as the engine's API takes it: https://docs.docker.com/engine/security/seccomp/."""
    rules = [
        _rule(names(ALLOWED)),
        _rule(["clone"], _argument(0, "SCMP_CMP_MASKED_EQ", NEW_NAMESPACES)),
        *(_rule(["socket"], _argument(0, "SCMP_CMP_EQ", family)) for family in FAMILIES),
        *(_rule(["personality"], _argument(0, "SCMP_CMP_EQ", value)) for value in PERSONALITIES),
        # Of the calling process only (0), or of the ordinary policy: the runner has the same user, and may be neither kept
        # from opening files nor put behind everybody else.
        _rule(["prlimit64"], _argument(0, "SCMP_CMP_MASKED_EQ", INT)),
        _rule(["setpriority"], _argument(0, "SCMP_CMP_MASKED_EQ", INT), _argument(1, "SCMP_CMP_MASKED_EQ", INT)),
        _rule(["sched_setscheduler"], _argument(1, "SCMP_CMP_MASKED_EQ", INT)),
        # The C library then falls back to clone; any other error would end the program.
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS},
    ]
    machines = ("SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64")
    whole = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "archMap": [{"architecture": machine, "subArchitectures": []} for machine in machines],
        "syscalls": rules,
    }
    return json.dumps(whole, separators=(",", ":"))


def _rule(calls: list[str], *arguments: JsonObject) -> JsonObject:
    return {"names": calls, "action": "SCMP_ACT_ALLOW", "args": list(arguments)}


def _argument(index: int, op: str, value: int) -> JsonObject:
    return {"index": index, "op": op, "value": value, "valueTwo": 0}
