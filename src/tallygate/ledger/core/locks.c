/* Who may create, who is alive, and what a fork leaves behind. */
#include "core.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE       2.0  /* seconds to wait for the creation lock: it is held for microseconds */
#define PATIENCE_PAUSE 10.0 /* after waiting in vain, seconds in which nobody waits again */

_Atomic uint32_t fork_epoch = 1;
_Atomic int has_forked = 0;
int crash_step = 0;
Segment *registry = NULL;
pthread_mutex_t names_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_mutex_t registry_mutex = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint64_t identity_cache;

double clock_seconds(int clock) {
    struct timespec now;
    clock_gettime((clockid_t)clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int64_t clock_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void crash_now(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

void registry_lock(void) { pthread_mutex_lock(&registry_mutex); }
void registry_unlock(void) { pthread_mutex_unlock(&registry_mutex); }

/* ---- processes ---- */

/* The start time of a live process in clock ticks; 0 when it is gone or a zombie; 1 when that cannot be known. */
static uint64_t start_of(pid_t pid) {
    char path[40], text[512];
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return kill(pid, 0) == 0 || errno == EPERM ? 1 : 0;
    ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    if (size <= 0) return errno == ESRCH ? 0 : 1;
    text[size] = 0;
    char *field = strrchr(text, ')'); /* the name may hold anything; what follows it is numbers */
    if (field == NULL || field[1] == 0) return 1;
    field += 2;
    if (*field == 'Z' || *field == 'X') return 0;
    for (int skip = 0; skip < 19 && field; skip++) field = strchr(field + 1, ' ');
    uint64_t start = field ? strtoull(field + 1, NULL, 10) : 1;
    return start ? start : 1;
}

/* Pid and start time in one number, so that a reused pid fools nobody. */
static uint64_t identity_of(pid_t pid) {
    uint64_t start = start_of(pid);
    return start == 0 ? 0 : (uint64_t)(uint32_t)pid | start << 32;
}

uint64_t own_identity(void) {
    uint64_t identity = atomic_load_explicit(&identity_cache, relaxed);
    if (identity == 0) {
        identity = identity_of(getpid());
        atomic_store_explicit(&identity_cache, identity, relaxed);
    }
    return identity;
}

int identity_alive(uint64_t identity) {
    return identity != 0 && (identity == own_identity() || identity_of((pid_t)(uint32_t)identity) == identity);
}

/* ---- locks ---- */

int segment_owns(const Segment *segment, int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 && status.st_dev == segment->device && status.st_ino == segment->inode;
}

/* Somebody may have closed our descriptor, or even given its number to another file. */
int segment_descriptor(Segment *segment) {
    if (segment->fd >= 0 && segment_owns(segment, segment->fd)) return segment->fd;
    segment->fd = segment->path ? open(segment->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (segment->fd >= 0 && !segment_owns(segment, segment->fd)) {
        close(segment->fd);
        segment->fd = -1;
    }
    return segment->fd;
}

static void nap(int attempt) {
    struct timespec pause = {0, attempt < 20 ? 20000 : 500000};
    nanosleep(&pause, NULL);
}

/* A POSIX lock of one byte: it vanishes with its process, and no child inherits it. */
int file_lock(int fd, int type, off_t byte, double seconds) {
    double deadline = 0;
    for (int attempt = 0;; attempt++) {
        struct flock lock = {.l_type = (short)type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
        if (fcntl(fd, F_SETLK, &lock) == 0) return 0;
        int error = errno;
        if (error != EAGAIN && error != EACCES && error != EINTR) return error;
        double now = clock_seconds(CLOCK_MONOTONIC);
        if (deadline == 0) deadline = now + seconds;
        if (now >= deadline) return error;
        nap(attempt);
    }
}

/* Without a file: a word in the header that holds the identity of its owner; a dead owner loses it. */
static int word_lock(Header *header, double seconds) {
    uint64_t own = own_identity();
    double deadline = 0;
    for (int attempt = 0;; attempt++) {
        uint64_t owner = 0;
        if (atomic_compare_exchange_strong(&header->owner, &owner, own)) return 0;
        if (attempt % 16 == 15 && !identity_alive(owner) && atomic_compare_exchange_strong(&header->owner, &owner, own))
            return 0;
        double now = clock_seconds(CLOCK_MONOTONIC);
        if (deadline == 0) deadline = now + seconds;
        if (now >= deadline) return EAGAIN;
        nap(attempt);
    }
}

int segment_lock(Segment *segment) {
    pthread_mutex_lock(&segment->mutex);
    double now = clock_seconds(CLOCK_MONOTONIC);
    double patience = now < segment->patience_after ? 0 : PATIENCE;
    int error;
    if (segment->path) {
        int fd = segment_descriptor(segment);
        error = fd < 0 ? EBADF : file_lock(fd, F_WRLCK, 0, patience);
    } else {
        error = word_lock(segment->header, patience);
    }
    if (error) {
        if (patience > 0) segment->patience_after = clock_seconds(CLOCK_MONOTONIC) + PATIENCE_PAUSE;
        pthread_mutex_unlock(&segment->mutex);
    }
    return error;
}

void segment_unlock(Segment *segment) {
    if (!segment->path) {
        atomic_store_explicit(&segment->header->owner, 0, release);
    } else if (segment->fd >= 0 && segment_owns(segment, segment->fd)) {
        file_lock(segment->fd, F_UNLCK, 0, 0);
    }
    pthread_mutex_unlock(&segment->mutex);
}

/* ---- fork ---- */

/* No fork while a thread creates: the child would inherit a mutex that nobody gives back. */
static void before_fork(void) {
    atomic_store(&has_forked, 1);
    registry_lock();
    for (Segment *segment = registry; segment; segment = segment->next) pthread_mutex_lock(&segment->mutex);
    pthread_mutex_lock(&names_mutex);
}

static void after_fork(void) {
    pthread_mutex_unlock(&names_mutex);
    for (Segment *segment = registry; segment; segment = segment->next) pthread_mutex_unlock(&segment->mutex);
    registry_unlock();
}

static void after_fork_in_child(void) {
    atomic_fetch_add(&fork_epoch, 1);
    atomic_store(&identity_cache, 0);
    after_fork();
}

int register_fork_handlers(void) { return pthread_atfork(before_fork, after_fork, after_fork_in_child); }
