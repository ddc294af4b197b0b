/* A segment: one file (or anonymous memory) that is reserved whole, mapped once, and committed in steps. */
#include "core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif
#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif

#define MAGIC         "TALLYLGR"
#define COMMIT_STEP   ((uint64_t)256 * 1024)
#define PAGE          ((uint64_t)4096)
#define OPEN_PATIENCE 10.0 /* seconds to wait for another process that is making the file */

#define OTHER_TABLES      "the file holds other tables (dimensions, measures, boundaries, exponents or budgets differ)"
#define OTHER_TABLES_MEND "stop the processes that use it and remove the file, or choose another path"

static int refuse(Problem *problem, int error, const char *cause, const char *mend) {
    problem->error = error;
    problem->cause = cause;
    problem->mend = mend;
    return -1;
}

/* Make the file system promise the space, so that a full one is an error here and not a SIGBUS later. */
static int file_allocate(int fd, uint64_t from, uint64_t to) {
#ifdef __linux__
    int error;
    do error = posix_fallocate(fd, (off_t)from, (off_t)(to - from));
    while (error == EINTR);
    if (error != EOPNOTSUPP && error != EINVAL && error != ENOSYS) return error;
#endif
    static const char zeros[4096];
    while (from < to) {
        size_t size = to - from < sizeof zeros ? (size_t)(to - from) : sizeof zeros;
        ssize_t written = pwrite(fd, zeros, size, (off_t)from);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return written < 0 ? errno : ENOSPC;
        from += (uint64_t)written;
    }
    return 0;
}

/* Commits space from `committed` to at least `needed`; *reached says how far it came. */
static int commit(Segment *segment, uint64_t committed, uint64_t needed, uint64_t *reached) {
    *reached = committed;
    if (needed <= committed) return 0;
    if (needed > segment->capacity) return ENOSPC;
    uint64_t target = round_up(needed, COMMIT_STEP);
    if (target > segment->capacity) target = segment->capacity;
    int error = 0;
    if (segment->path) {
        int fd = segment_descriptor(segment);
        if (fd < 0) return EBADF;
        error = file_allocate(fd, committed, target);
        if (error) { /* nearly full: take no more than is needed */
            target = round_up(needed, PAGE);
            error = file_allocate(fd, committed, target);
        }
    }
#ifdef MADV_POPULATE_WRITE
    else if (madvise(segment->base + committed, target - committed, MADV_POPULATE_WRITE) != 0)
        error = errno == ENOMEM ? ENOMEM : 0; /* a kernel that does not know it: touching will do */
#endif
    if (!error) *reached = target;
    return error;
}

int segment_holds(const Segment *segment, uint64_t offset, uint64_t size) {
    uint64_t used = atomic_load_explicit(&segment->header->used, acquire);
    return offset % LINE == 0 && offset < used && size <= used - offset && used <= segment->capacity;
}

uint64_t segment_allocate(Segment *segment, uint64_t size) {
    uint64_t offset = atomic_load_explicit(&segment->header->used, relaxed);
    if (offset % LINE || offset > segment->capacity || size > segment->capacity - offset) return 0;
    uint64_t committed = atomic_load_explicit(&segment->header->committed, relaxed), reached;
    if (commit(segment, committed, offset + size, &reached) != 0) return 0;
    atomic_store_explicit(&segment->header->committed, reached, release);
    CRASH_POINT(2);
    memset(at(segment, offset), 0, size); /* somebody may have died here half-way */
    return offset;
}

void segment_publish(Segment *segment, uint64_t offset, uint64_t size) {
    atomic_store_explicit(&segment->header->used, offset + round_up(size, LINE), release);
}

static int format(Segment *segment, uint32_t workers, const char *schema, uint32_t schema_size, const RowForm *forms,
                  uint32_t tables, Problem *problem) {
    uint64_t slots = round_up(sizeof(Header), LINE), headers = slots + workers * sizeof(WorkerSlot);
    uint64_t text = headers + tables * sizeof(TableHeader), used = round_up(text + schema_size, LINE);
    uint64_t reached;
    int error = commit(segment, 0, used, &reached);
    if (error)
        return refuse(problem, error, NULL,
                      "free some space there, or choose another directory or a larger capacity_bytes");
    char *base = segment->base;
    memset(base + sizeof(((Header *)0)->magic) + 8, 0, used - sizeof(((Header *)0)->magic) - 8);
    Header *header = (Header *)base;
    memcpy(header->magic, MAGIC, sizeof header->magic);
    header->version = LAYOUT_VERSION, header->abi = LAYOUT_ABI;
    header->tables = tables, header->workers = workers, header->schema_size = schema_size;
    header->capacity = segment->capacity;
    header->schema = text, header->table_headers = headers, header->worker_slots = slots;
    header->created = clock_seconds(CLOCK_REALTIME);
    header->seed = (uint64_t)clock_nanoseconds() * 0x9E3779B97F4A7C15u ^ (uint64_t)getpid() ^ (uint64_t)(uintptr_t)base;
    memcpy(base + text, schema, schema_size);
    atomic_store_explicit(&header->used, used, relaxed);
    segment->header = header;
    segment->tables = at(segment, headers);
    atomic_store_explicit(&header->committed, reached, relaxed);
    for (uint32_t table = 0; table < tables && !error; table++)
        if (row_make_overflow(segment, table, &forms[table]) == NULL) error = ENOSPC;
    if (error)
        return refuse(problem, error, NULL,
                      "free some space there, or choose another directory or a larger capacity_bytes");
    CRASH_POINT(14);
    atomic_store_explicit(&header->ready, 1, release);
    return 0;
}

static int map(Segment *segment, Problem *problem) {
    int flags = segment->path ? MAP_SHARED : MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE;
    void *base = mmap(NULL, segment->capacity, PROT_READ | PROT_WRITE, flags, segment->path ? segment->fd : -1, 0);
    if (base == MAP_FAILED) return refuse(problem, errno, NULL, "choose a smaller capacity_bytes");
    segment->base = base;
    return 0;
}

/* Reads the head of an existing file; 1 when it has to be formatted (empty, or its creator died). */
static int examine(Segment *segment, uint64_t size, Problem *problem) {
    static const char *foreign = "the file is not a ledger",
                      *move = "choose another path, or remove the file if nobody needs it";
    Header head;
    if (size == 0) return 1;
    memset(&head, 0, sizeof head);
    ssize_t got = pread(segment->fd, &head, sizeof head, 0);
    if (got < 0) return refuse(problem, errno, NULL, move);
    if (got < 16 || memcmp(head.magic, MAGIC, sizeof head.magic) != 0) return refuse(problem, 0, foreign, move);
    if (head.version != LAYOUT_VERSION || head.abi != LAYOUT_ABI)
        return refuse(problem, 0, "the file was made by another version of the ledger",
                      "stop the processes that use it and remove the file, or choose another path");
    if (!atomic_load_explicit(&head.ready, relaxed)) return 1;
    if (head.capacity != size || head.capacity % PAGE || atomic_load(&head.used) > size || head.workers == 0 ||
        head.worker_slots > size || head.workers > (size - head.worker_slots) / sizeof(WorkerSlot) ||
        head.table_headers > size || head.tables > (size - head.table_headers) / sizeof(TableHeader) ||
        head.schema > size || head.schema_size > size - head.schema)
        return refuse(problem, 0, "the file is damaged", move);
    segment->capacity = head.capacity;
    return 0;
}

static int attach(Segment *segment, uint64_t size, uint32_t workers, const char *schema, uint32_t schema_size,
                  const RowForm *forms, uint32_t tables, Problem *problem) {
    int fresh = segment->path ? examine(segment, size, problem) : 1;
    if (fresh < 0) return -1;
    if (fresh && segment->path) {
        Header head = {.magic = MAGIC, .version = LAYOUT_VERSION, .abi = LAYOUT_ABI};
        ssize_t written = pwrite(segment->fd, &head, 16, 0);
        if (written != 16)
            return refuse(problem, written < 0 ? errno : ENOSPC, NULL,
                          "free some space there, or choose another directory");
        CRASH_POINT(13);
        if (ftruncate(segment->fd, (off_t)segment->capacity) != 0)
            return refuse(problem, errno, NULL,
                          "choose a smaller capacity_bytes, or raise the limit on file sizes (ulimit -f)");
    }
    if (map(segment, problem) != 0) return -1;
    if (fresh) return format(segment, workers, schema, schema_size, forms, tables, problem);
    segment->header = (Header *)segment->base;
    segment->tables = at(segment, segment->header->table_headers);
    if (segment->header->schema_size != schema_size || segment->header->tables != tables ||
        memcmp(at(segment, segment->header->schema), schema, schema_size) != 0)
        return refuse(problem, 0, OTHER_TABLES, OTHER_TABLES_MEND);
    return 0;
}

/* ---- opening and dropping ---- */

static void segment_free(Segment *segment) {
    if (segment->indexes) indexes_free(segment);
    if (segment->base) munmap(segment->base, segment->capacity);
    if (segment->fd >= 0 && segment_owns(segment, segment->fd)) close(segment->fd);
    free(segment->mine);
    free(segment->path);
    pthread_mutex_destroy(&segment->mutex);
    free(segment);
}

static Segment *segment_new(const char *path, uint64_t capacity, uint32_t tables) {
    Segment *segment = calloc(1, sizeof *segment);
    if (segment == NULL) return NULL;
    segment->references = 1;
    segment->fd = -1;
    segment->capacity = round_up(capacity, PAGE);
    segment->table_count = tables;
    segment->indexes = calloc(tables ? tables : 1, sizeof *segment->indexes);
    pthread_mutex_init(&segment->mutex, NULL);
    if (segment->indexes == NULL || (path && (segment->path = strdup(path)) == NULL)) {
        segment_free(segment);
        return NULL;
    }
    return segment;
}

/* Opens the path and takes the creation lock; 1 when the file was replaced meanwhile and it must be tried again. */
static int open_file(Segment *segment, uint64_t *size, int *made, Problem *problem) {
    static const char *mend =
        "make the directory, and make it and the file writable for this user, or choose another path";
    struct stat before, now;
    int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, fd = open(segment->path, flags);
    *made = 0;
    if (fd < 0 && errno == ENOENT) {
        fd = open(segment->path, flags | O_CREAT | O_EXCL, 0600);
        if (fd < 0 && errno == EEXIST) return 1;
        *made = fd >= 0;
    }
    if (fd < 0 && (errno == ENOSPC || errno == EDQUOT))
        return refuse(problem, errno, NULL, "free some space there, or choose another directory");
    if (fd < 0) return refuse(problem, errno, NULL, mend);
    segment->fd = fd;
    if (fstat(fd, &before) != 0) return refuse(problem, errno, NULL, mend);
    if (!S_ISREG(before.st_mode)) return refuse(problem, 0, "it is no regular file", "choose another path");
    segment->device = before.st_dev, segment->inode = before.st_ino;
    int error = file_lock(fd, F_WRLCK, 0, OPEN_PATIENCE);
    if (error == EAGAIN || error == EACCES)
        return refuse(problem, 0, "another process has held its lock for 10 seconds",
                      "look whether a process that uses it is stopped");
    if (error) return refuse(problem, error, NULL, "choose a file system that supports locks");
    if (stat(segment->path, &now) != 0 || now.st_dev != before.st_dev || now.st_ino != before.st_ino) {
        close(fd);
        segment->fd = -1;
        return 1;
    }
    if (fstat(fd, &now) != 0) return refuse(problem, errno, NULL, mend);
    *size = (uint64_t)now.st_size;
    return 0;
}

static Segment *registry_find(dev_t device, ino_t inode) {
    for (Segment *segment = registry; segment; segment = segment->next)
        if (segment->path && segment->device == device && segment->inode == inode) return segment;
    return NULL;
}

static Segment *share(Segment *segment, const char *schema, uint32_t schema_size, Problem *problem) {
    if (segment->header->schema_size != schema_size ||
        memcmp(at(segment, segment->header->schema), schema, schema_size) != 0) {
        refuse(problem, 0, OTHER_TABLES, OTHER_TABLES_MEND);
        return NULL;
    }
    segment->references++;
    return segment;
}

/* Opens, formats or checks, and maps. Who fails leaves nothing half-made behind. */
static int make_usable(Segment *segment, uint32_t workers, const char *schema, uint32_t schema_size,
                       const RowForm *forms, uint32_t tables, Problem *problem) {
    int made = 0, outcome = 0;
    uint64_t size = 0;
    if (segment->path) {
        do outcome = open_file(segment, &size, &made, problem);
        while (outcome == 1);
    }
    if (outcome == 0) outcome = attach(segment, size, workers, schema, schema_size, forms, tables, problem);
    if (outcome == 0) {
        segment->workers = at(segment, segment->header->worker_slots);
        segment->mine = calloc(segment->header->workers, 1);
        if (segment->mine == NULL) outcome = refuse(problem, ENOMEM, NULL, "free some memory");
    }
    if (outcome != 0 && made && size == 0 && segment->fd >= 0) { /* its lock is still ours */
        (void)!ftruncate(segment->fd, 0);
        unlink(segment->path);
    }
    if (outcome == 0 && segment->path) file_lock(segment->fd, F_UNLCK, 0, 0);
    return outcome;
}

Segment *segment_open(const char *path, uint64_t capacity, uint32_t workers, const char *schema, uint32_t schema_size,
                      const RowForm *forms, uint32_t tables, Problem *problem) {
    struct stat status;
    registry_lock();
    /* Looked for before opening: closing a second descriptor of a file would give up the locks of the first. */
    Segment *segment = path && stat(path, &status) == 0 ? registry_find(status.st_dev, status.st_ino) : NULL;
    if (segment) {
        segment = share(segment, schema, schema_size, problem);
    } else if ((segment = segment_new(path, capacity, tables)) == NULL) {
        refuse(problem, ENOMEM, NULL, "free some memory");
    } else if (make_usable(segment, workers, schema, schema_size, forms, tables, problem) != 0) {
        segment_free(segment);
        segment = NULL;
    } else {
        segment->next = registry;
        registry = segment;
    }
    registry_unlock();
    return segment;
}

void segment_drop(Segment *segment) {
    registry_lock();
    if (--segment->references == 0) {
        for (Segment **link = &registry; *link; link = &(*link)->next)
            if (*link == segment) {
                *link = segment->next;
                break;
            }
        segment_free(segment);
    }
    registry_unlock();
}
