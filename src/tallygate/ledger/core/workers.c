/* Workers: a slot each, alive as long as a lock that the kernel takes away, and the gauges in it. */
#include "core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* ---- liveness ---- */

/* Byte 0 is the creation lock. */
static off_t slot_byte(uint32_t slot) { return 1 + (off_t)slot; }

/* Whether the worker of a slot marked as live is there. Mutex held. */
static int slot_alive(Segment *segment, uint32_t slot) {
    if (segment->mine_epoch == atomic_load(&fork_epoch) && segment->mine[slot]) return 1;
    uint64_t identity = atomic_load_explicit(&segment->workers[slot].identity, relaxed);
    int fd = segment->path ? segment_descriptor(segment) : -1;
    if (fd < 0) return identity_alive(identity);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = slot_byte(slot), .l_len = 1};
    return fcntl(fd, F_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

static int slot_live(Segment *segment, uint32_t slot) {
    return atomic_load_explicit(&segment->workers[slot].state, acquire) == SLOT_LIVE && slot_alive(segment, slot);
}

/* Another open file of the same segment, with locks of its own. */
static int open_again(Segment *segment) {
    char name[40];
    int fd = segment_descriptor(segment), own = -1;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd); /* works when the file has been removed, too */
    if (fd >= 0) own = open(name, O_RDWR | O_CLOEXEC);
    if (own < 0) own = open(segment->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (own >= 0 && !segment_owns(segment, own)) {
        close(own);
        own = -1;
    }
    return own;
}

/* Takes the slot's lock for as long as this process lives, and not a fork of it. 0, or an errno.
 *
 * The lock belongs to an open file of its own, and that is kept open by a mapping that no child inherits. So there
 * is no descriptor that the program could close by mistake. *own is to be closed once no POSIX lock is held.
 */
static int hold_slot(Segment *segment, uint32_t slot, void **life, int *own) {
    *life = NULL;
    if (!segment->path) return 0; /* its identity tells */
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = slot_byte(slot), .l_len = 1};
#if defined(F_OFD_SETLK) && defined(MADV_DONTFORK)
    if (*own < 0) *own = open_again(segment);
    if (*own >= 0) {
        if (fcntl(*own, F_OFD_SETLK, &lock) == 0) {
            void *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, *own, 0);
            int error = page == MAP_FAILED ? errno : 0;
            if (page != MAP_FAILED && madvise(page, 4096, MADV_DONTFORK) == 0) *life = page;
            return *life ? 0 : error ? error : EINVAL;
        }
        if (errno == EAGAIN || errno == EACCES) return EAGAIN;
        *own = -1; /* stays open for good: closing it would give up the POSIX lock that is taken instead */
    }
#endif
    int kept = segment_descriptor(segment);
    if (kept >= 0 && fcntl(kept, F_SETLK, &lock) == 0) return 0;
    return errno ? errno : EIO;
}

uint32_t workers_alive(Segment *segment) {
    uint32_t alive = 0;
    pthread_mutex_lock(&segment->mutex);
    for (uint32_t slot = 0; slot < segment->header->workers; slot++) {
        if (!slot_live(segment, slot)) continue;
        uint32_t other = 0; /* two ledgers of one process are one worker */
        while (other < slot &&
               !(segment->workers[other].pid == segment->workers[slot].pid && slot_live(segment, other)))
            other++;
        alive += other == slot;
    }
    pthread_mutex_unlock(&segment->mutex);
    return alive;
}

/* ---- slots ---- */

static GaugeBlock *block_at(const Segment *segment, uint64_t offset) {
    return offset && segment_holds(segment, offset, sizeof(GaugeBlock)) ? at(segment, offset) : NULL;
}

static void clear_gauges(const Book *book, WorkerSlot *worker) {
    GaugeBlock *block = block_at(book->segment, atomic_load_explicit(&worker->blocks, acquire));
    for (; block; block = block_at(book->segment, atomic_load_explicit(&block->next, acquire))) {
        if (block->table >= book->table_count) continue;
        uint32_t cells = GAUGE_BLOCK_ROWS * book->tables[block->table].gauge_count;
        for (uint32_t i = 0; i < cells; i++) {
            atomic_store_explicit(&block->cells[i].stamp, 0, relaxed);
            atomic_store_explicit(&block->cells[i].value, 0, relaxed);
        }
    }
}

int worker_claim(Book *book) {
    Segment *segment = book->segment;
    uint32_t epoch = atomic_load(&fork_epoch);
    int own = -1, error = segment_lock(segment);
    if (error) return error;
    if (segment->mine_epoch != epoch) {
        memset(segment->mine, 0, segment->header->workers);
        segment->mine_epoch = epoch;
    }
    error = book->slot_epoch == epoch ? 0 : EUSERS; /* another thread may have been quicker */
    for (uint32_t slot = 0; error && slot < segment->header->workers; slot++) {
        WorkerSlot *worker = &segment->workers[slot];
        if (slot_live(segment, slot)) continue;
        /* Free it before its lock is taken: a reader must not see old gauges under a new lock. */
        atomic_store_explicit(&worker->state, SLOT_FREE, release);
        CRASH_POINT(8);
        clear_gauges(book, worker);
        CRASH_POINT(9);
        int held = hold_slot(segment, slot, &book->life, &own);
        if (held == EAGAIN || held == EACCES) continue; /* its owner is just closing it */
        if (held != 0) {
            error = held;
            break;
        }
        CRASH_POINT(10);
        worker->pid = (uint32_t)getpid();
        worker->started = clock_seconds(CLOCK_REALTIME);
        atomic_store_explicit(&worker->identity, own_identity(), relaxed);
        atomic_store_explicit(&worker->state, SLOT_LIVE, release);
        segment->mine[slot] = 1;
        book->slot = slot, book->slot_epoch = epoch;
        error = 0;
    }
    /* Closing it would give up this process's POSIX locks on the file: so give back the creation lock first. */
    if (own >= 0) {
        file_lock(segment->fd, F_UNLCK, 0, 0);
        close(own);
    }
    segment_unlock(segment);
    return error;
}

void book_close(Book *book) {
    if (atomic_exchange(&book->closed, 1)) return;
    Segment *segment = book->segment;
    pthread_mutex_lock(&segment->mutex);
    if (book->slot_epoch == atomic_load(&fork_epoch)) {
        atomic_store_explicit(&segment->workers[book->slot].state, SLOT_FREE, release);
        segment->mine[book->slot] = 0;
        if (book->life) munmap(book->life, 4096);
        else if (segment->path && segment->fd >= 0 && segment_owns(segment, segment->fd))
            file_lock(segment->fd, F_UNLCK, slot_byte(book->slot), 0);
    }
    pthread_mutex_unlock(&segment->mutex);
}

Book *book_take(Book *book) {
    atomic_fetch_add_explicit(&book->references, 1, relaxed);
    return book;
}

void book_drop(Book *book) {
    if (atomic_fetch_sub(&book->references, 1) != 1) return;
    if (book->segment) {
        book_close(book);
        segment_drop(book->segment);
    }
    for (uint32_t number = 0; book->tables && number < book->table_count; number++) {
        Shape *shape = &book->tables[number];
        for (uint32_t i = 0; shape->measures && i < shape->measure_count; i++) free(shape->measures[i].bounds);
        free(shape->measures);
        free(shape->recorded);
        free(shape->gauge_combine);
        free(shape->blocks);
    }
    free(book->tables);
    free(book);
}

/* ---- gauges ---- */

static GaugeBlock *find_block(Segment *segment, const WorkerSlot *worker, const Shape *shape, uint32_t first_row) {
    GaugeBlock *block = block_at(segment, atomic_load_explicit(&worker->blocks, acquire));
    while (block && !(block->table == shape->number && block->first_row == first_row))
        block = block_at(segment, atomic_load_explicit(&block->next, acquire));
    return block;
}

/* Locked. Published by the link from the worker's slot, as the last thing. */
static GaugeBlock *make_block(Segment *segment, WorkerSlot *worker, const Shape *shape, uint32_t first_row) {
    uint64_t size = sizeof(GaugeBlock) + (uint64_t)GAUGE_BLOCK_ROWS * shape->gauge_count * sizeof(GaugeCell);
    uint64_t offset = segment_allocate(segment, size);
    if (offset == 0) return NULL;
    GaugeBlock *block = at(segment, offset);
    block->table = shape->number, block->first_row = first_row;
    atomic_store_explicit(&block->next, atomic_load_explicit(&worker->blocks, relaxed), relaxed);
    segment_publish(segment, offset, size);
    CRASH_POINT(11);
    atomic_store_explicit(&worker->blocks, offset, release);
    CRASH_POINT(12);
    return block;
}

/* Mutex held. Where this worker's block for a row is remembered; NULL when memory is short. */
static GaugeBlock **remembered(Shape *shape, uint32_t number, uint32_t epoch) {
    if (shape->block_epoch != epoch) {
        if (shape->blocks) memset(shape->blocks, 0, shape->block_room * sizeof *shape->blocks);
        shape->block_epoch = epoch;
    }
    if (number >= shape->block_room) {
        uint32_t room = (number + 1) * 2;
        GaugeBlock **blocks = realloc(shape->blocks, room * sizeof *blocks);
        if (blocks == NULL) return NULL;
        memset(blocks + shape->block_room, 0, (room - shape->block_room) * sizeof *blocks);
        shape->blocks = blocks, shape->block_room = room;
    }
    return &shape->blocks[number];
}

GaugeCell *worker_gauges(Shape *shape, uint32_t row) {
    Book *book = shape->book;
    Segment *segment = book->segment;
    uint32_t epoch = atomic_load(&fork_epoch), number = row / GAUGE_BLOCK_ROWS;
    if (atomic_load(&book->closed) || shape->gauge_count == 0) return NULL;
    pthread_mutex_lock(&segment->mutex);
    int claimed = book->slot_epoch == epoch;
    pthread_mutex_unlock(&segment->mutex);
    if (!claimed && worker_claim(book) != 0) return NULL;

    pthread_mutex_lock(&segment->mutex);
    WorkerSlot *worker = &segment->workers[book->slot];
    GaugeBlock **place = remembered(shape, number, epoch), *block = place ? *place : NULL;
    if (place && !block) *place = block = find_block(segment, worker, shape, number * GAUGE_BLOCK_ROWS);
    pthread_mutex_unlock(&segment->mutex);
    if (place && !block) {
        if (segment_lock(segment) != 0) return NULL;
        place = remembered(shape, number, epoch);
        block =
            find_block(segment, worker, shape, number * GAUGE_BLOCK_ROWS); /* another thread may have been quicker */
        if (!block) block = make_block(segment, worker, shape, number * GAUGE_BLOCK_ROWS);
        if (place) *place = block;
        segment_unlock(segment);
    }
    return block ? &block->cells[(row % GAUGE_BLOCK_ROWS) * shape->gauge_count] : NULL;
}

typedef struct {
    int64_t value, stamp;
} Best;

static void combine(uint8_t how, Best *best, GaugeCell *cell) {
    int64_t stamp = atomic_load_explicit(&cell->stamp, relaxed), value = atomic_load_explicit(&cell->value, relaxed);
    if (how == COMBINE_SUM) {
        best->value = (int64_t)((uint64_t)best->value + (uint64_t)value);
    } else if (stamp != 0) {
        int better = best->stamp == 0 || (how == COMBINE_MAX && value > best->value) ||
                     (how == COMBINE_MIN && value < best->value) || (how == COMBINE_LATEST && stamp > best->stamp);
        if (better) best->value = value, best->stamp = stamp;
    }
}

void gauges_combine(Shape *shape, int64_t *out, uint32_t rows) {
    Segment *segment = shape->book->segment;
    uint32_t columns = shape->gauge_count;
    Best *best = calloc((size_t)rows * columns + 1, sizeof *best);
    memset(out, 0, (size_t)rows * columns * sizeof *out);
    if (best == NULL) return;
    pthread_mutex_lock(&segment->mutex);
    for (uint32_t slot = 0; slot < segment->header->workers; slot++) {
        if (!slot_live(segment, slot)) continue;
        GaugeBlock *block = block_at(segment, atomic_load_explicit(&segment->workers[slot].blocks, acquire));
        for (; block; block = block_at(segment, atomic_load_explicit(&block->next, acquire))) {
            if (block->table != shape->number) continue;
            for (uint32_t i = 0; i < GAUGE_BLOCK_ROWS && block->first_row + i < rows; i++)
                for (uint32_t column = 0; column < columns; column++)
                    combine(shape->gauge_combine[column], &best[(size_t)(block->first_row + i) * columns + column],
                            &block->cells[i * columns + column]);
        }
    }
    pthread_mutex_unlock(&segment->mutex);
    for (size_t i = 0; i < (size_t)rows * columns; i++) out[i] = best[i].value;
    free(best);
}
