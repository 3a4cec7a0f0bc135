import type { Capability } from './capabilities.ts';

/** What the value of an argument must be, for the call to be allowed. */
export type ArgumentRule =
  | { readonly argument: number; readonly below: number; readonly orOneOf: readonly number[] }
  | { readonly argument: number; readonly noneOfBits: number };

/** Allows system calls: always, for certain arguments, or to the holders of one of some capabilities. */
export interface SeccompRule {
  readonly names: readonly string[];
  readonly when?: ArgumentRule;
  readonly capabilities?: readonly Capability[];
  readonly architectures?: readonly ('x64' | 'arm64')[];
}

export interface SeccompProfile {
  readonly allowed: readonly SeccompRule[];
  /** Refused by ENOSYS, so that C libraries fall back to an older call; what no rule names is refused by EPERM. */
  readonly unimplemented: readonly string[];
}

/** All flags of clone(2) that make a namespace, but CLONE_NEWTIME, which only clone3(2) and unshare(2) know. */
const namespaceFlags = 0x7e02_0000;

/** linux/personality.h: PER_LINUX, PER_LINUX32, each with UNAME26, and the question for the current one. */
const personalities = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/** Address families from 12 on. Left out are AF_ALG (38) and AF_VSOCK (40), a way to the host of a virtual machine. */
const socketFamilies = [
  13, 14, 15, 16, 17, 18, 21, 22, 24, 26, 27, 28, 29, 30, 31, 32, 33, 35, 36, 39, 41, 42, 43, 44, 45,
];

/** Docker's default profile (moby/profiles, seccomp/default.json), as far as it concerns 64-bit x86 and ARM. */
export const defaultSeccompProfile: SeccompProfile = {
  allowed: [
    {
      names: words(`
    accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown clock_adjtime
    clock_getres clock_gettime clock_nanosleep close close_range connect copy_file_range creat dup dup2 dup3
    epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd
    eventfd2 execve execveat exit exit_group faccessat faccessat2 fadvise64 fallocate fanotify_mark fchdir fchmod
    fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat
    fstatfs fsync ftruncate futex futex_requeue futex_wait futex_waitv futex_wake futimesat get_robust_list
    get_thread_area getcpu getcwd getdents getdents64 getegid geteuid getgid getgroups getitimer getpeername getpgid
    getpgrp getpid getppid getpriority getrandom getresgid getresuid getrlimit getrusage getsid getsockname
    getsockopt gettid gettimeofday getuid getxattr getxattrat inotify_add_watch inotify_init inotify_init1
    inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit ioctl ioprio_get ioprio_set
    kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lgetxattr link linkat listen
    listmount listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat madvise map_shadow_stack
    membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mprotect
    mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink mremap mseal msgctl msgget msgrcv msgsnd
    msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat open openat openat2 pause pidfd_open
    pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll prctl pread64 preadv preadv2
    prlimit64 process_mrelease process_vm_readv process_vm_writev pselect6 ptrace pwrite64 pwritev pwritev2 read
    readahead readlink readlinkat readv recvfrom recvmmsg recvmsg remap_file_pages removexattr removexattrat rename
    renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo
    rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min
    sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity
    sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop
    sendfile sendmmsg sendmsg sendto set_robust_list set_thread_area set_tid_address setfsgid setfsuid setgid
    setgroups setitimer setpgid setpriority setregid setresgid setresuid setreuid setrlimit setsid setsockopt setuid
    setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 socketpair splice stat
    statfs statmount statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create
    timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime times
    tkill truncate umask uname unlink unlinkat uretprobe utime utimensat utimes vfork vmsplice wait4 waitid write
    writev
      `),
    },
    { names: ['arch_prctl', 'modify_ldt'], architectures: ['x64'] },
    { names: ['socket'], when: { argument: 0, below: 12, orOneOf: socketFamilies } },
    { names: ['personality'], when: { argument: 0, below: 0, orOneOf: personalities } },
    { names: ['clone'], when: { argument: 0, noneOfBits: namespaceFlags } },
    { names: ['open_by_handle_at'], capabilities: ['DAC_READ_SEARCH'] },
    {
      names: words(`
        bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules
        lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname
        sethostname setns syslog umount2 unshare
      `),
      capabilities: ['SYS_ADMIN'],
    },
    { names: ['reboot'], capabilities: ['SYS_BOOT'] },
    { names: ['chroot'], capabilities: ['SYS_CHROOT'] },
    { names: ['delete_module', 'init_module', 'finit_module'], capabilities: ['SYS_MODULE'] },
    { names: ['acct'], capabilities: ['SYS_PACCT'] },
    { names: ['kcmp', 'pidfd_getfd', 'process_madvise'], capabilities: ['SYS_PTRACE'] },
    { names: ['iopl', 'ioperm'], capabilities: ['SYS_RAWIO'] },
    { names: ['settimeofday', 'clock_settime'], capabilities: ['SYS_TIME'] },
    { names: ['vhangup'], capabilities: ['SYS_TTY_CONFIG'] },
    { names: ['get_mempolicy', 'mbind', 'set_mempolicy', 'set_mempolicy_home_node'], capabilities: ['SYS_NICE'] },
    { names: ['syslog'], capabilities: ['SYSLOG'] },
    { names: ['bpf'], capabilities: ['BPF'] },
    { names: ['perf_event_open'], capabilities: ['PERFMON'] },
  ],
  unimplemented: ['clone3'],
};

function words(text: string): readonly string[] {
  return text.trim().split(/\s+/);
}
