/* The compiled core of the ledger: what its files share.
 *
 * Three layers. Segment: bytes shared between processes, and the locks around them. Book: one open ledger in this
 * process (a segment, a worker slot, the compiled tables). Python types: Ledger, Table, Row, Activity, Form, Draft,
 * Batch.
 *
 * Who waits for whom: the segment's mutex is only taken without the GIL, so a thread that holds it may wait for
 * the file lock while the program goes on; nobody who holds it asks for the GIL.
 */
#ifndef TALLYGATE_CORE_H
#define TALLYGATE_CORE_H

#include "python.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#define relaxed memory_order_relaxed
#define acquire memory_order_acquire
#define release memory_order_release

/* ---- what a segment looks like; every change here is another LAYOUT_VERSION -------------------------------- */

#define LAYOUT_VERSION   1
#define LAYOUT_ABI       0x01020304u /* reads differently where the byte order differs */
#define LINE             64u         /* everything in the arena starts on a cache line of its own */
#define VALUE_LIMIT      256u        /* bytes of UTF-8 that a dimension value keeps */
#define GAUGE_BLOCK_ROWS 64u         /* rows of one table that a gauge block covers */
#define EXEMPLAR_SLOTS   4096u       /* per table; a power of two */

typedef _Atomic int64_t Cell;
typedef _Atomic uint64_t Offset; /* bytes from the start of the segment; 0 is none */

typedef struct {
    char magic[8];
    uint32_t version, abi;
    _Atomic uint32_t ready; /* set last: a creator that died before leaves 0 */
    uint32_t tables, workers;
    uint32_t schema_size;
    uint64_t capacity, schema, table_headers, worker_slots, seed;
    Offset committed, used; /* committed: up to here the file system has promised the space */
    double created;
    _Atomic uint64_t owner; /* creation lock of a segment without a file: identity of the process, 0 is free */
    Cell overflowed, dropped, sequence;
} Header;

typedef struct {
    Offset first_row; /* the overflow row */
    Offset exemplars;
    char padding[48];
} TableHeader;

enum { SLOT_FREE = 0, SLOT_LIVE = 1 };

typedef struct {
    _Atomic uint32_t state;
    uint32_t pid;
    _Atomic uint64_t identity; /* pid and start time of the worker */
    double started;
    Offset blocks; /* chain of GaugeBlock */
    char padding[32];
} WorkerSlot;

typedef struct {
    Offset next; /* the one link that makes a row exist */
    uint64_t hash;
    double created;
    uint64_t cells;
    uint32_t index, size; /* size: of values, each as two bytes of length and its UTF-8 */
    unsigned char values[];
} RowRecord;

typedef struct {
    Cell value, stamp; /* stamp 0: never set by this worker */
} GaugeCell;

typedef struct {
    Offset next;
    uint32_t table, first_row;
    char padding[48];
    GaugeCell cells[]; /* GAUGE_BLOCK_ROWS x gauges of the table, row-major */
} GaugeBlock;

/* ---- a segment in this process ----------------------------------------------------------------------------- */

typedef struct {
    uint32_t dimensions, cells, budget;
} RowForm;

typedef struct { /* the rows of one table that this process has seen; guarded by the segment's mutex */
    RowRecord **rows;
    uint32_t count, room;
    uint32_t *map, mask; /* open addressing on the rows' hash; 0 is free, else index + 1 */
} Index;

typedef struct Segment {
    struct Segment *next;
    int references; /* guarded by the registry's mutex */
    char *path;     /* NULL: anonymous memory */
    dev_t device;
    ino_t inode;
    int fd;
    char *base;
    uint64_t capacity;
    Header *header;
    TableHeader *tables;
    WorkerSlot *workers;
    pthread_mutex_t mutex;
    double patience_after; /* no waiting for the lock before this time of the monotonic clock */
    Index *indexes;
    uint32_t table_count;
    uint8_t *mine; /* which worker slots belong to ledgers of this process */
    uint32_t mine_epoch;
} Segment;

typedef struct { /* why a segment was refused */
    int error;   /* errno, or 0 */
    const char *cause, *mend;
} Problem;

extern _Atomic uint32_t fork_epoch; /* 1, and one more in every forked child: what a process cached is its own */
extern _Atomic int has_forked;      /* this process, or one that it comes from, since the core was loaded */
extern int crash_step;              /* tests: die at this step of creation */
#define CRASH_STEPS 14
void crash_now(void);
#define CRASH_POINT(step)                                                                                              \
    do {                                                                                                               \
        if (unlikely(crash_step == (step))) crash_now();                                                               \
    } while (0)

Segment *segment_open(const char *path, uint64_t capacity, uint32_t workers, const char *schema, uint32_t schema_size,
                      const RowForm *forms, uint32_t tables, Problem *problem);
void segment_drop(Segment *segment);
int segment_lock(Segment *segment); /* 0, or an errno; waits for a bounded time; call without the GIL */
void segment_unlock(Segment *segment);
/* Locked. Zeroed space at the end, not yet published; 0 when there is none. */
uint64_t segment_allocate(Segment *segment, uint64_t size);
void segment_publish(Segment *segment, uint64_t offset, uint64_t size); /* locked; the space is taken */
int segment_descriptor(Segment *segment); /* mutex held; a descriptor that really is the segment's file, or -1 */
int segment_owns(const Segment *segment, int fd); /* whether this descriptor really is the segment's file */
int file_lock(int fd, int type, off_t byte, double seconds);
static inline void *at(const Segment *segment, uint64_t offset) { return segment->base + offset; }
static inline uint64_t round_up(uint64_t size, uint64_t unit) { return (size + unit - 1) / unit * unit; }
/* Whether a thing of this size at this offset lies in what has been published; files can be damaged. */
int segment_holds(const Segment *segment, uint64_t offset, uint64_t size);

double clock_seconds(int clock);
int64_t clock_nanoseconds(void);
uint64_t own_identity(void);
int identity_alive(uint64_t identity);
int register_fork_handlers(void);
void registry_lock(void);
void registry_unlock(void);
extern Segment *registry;
extern pthread_mutex_t names_mutex; /* inserts into the tables' maps of names; held for moments only */

/* ---- rows ------------------------------------------------------------------------------------------------- */

typedef struct { /* the dimension values of a row as they are stored */
    unsigned char *bytes;
    uint32_t size;
    int exact; /* nothing was cut or replaced */
} Values;

int values_pack(Values *values, PyObject *const *strings, Py_ssize_t count); /* 0, or -1 when one is no string */
void values_free(Values *values);
RowRecord *row_make_overflow(Segment *segment, uint32_t table, const RowForm *form); /* locked */
/* Call without the GIL; the overflow row where a row cannot be made. */
RowRecord *row_find_or_make(Segment *segment, uint32_t table, const RowForm *form, const Values *values);
uint32_t rows_known(Segment *segment, uint32_t table); /* call without the GIL: looks for new ones first */
void index_sync(Segment *segment, uint32_t table);     /* mutex held */
void indexes_free(Segment *segment);

/* ---- an open ledger --------------------------------------------------------------------------------------- */

enum { KIND_SUM, KIND_DISTRIBUTION, KIND_GAUGE };
enum { COMBINE_SUM, COMBINE_MAX, COMBINE_MIN, COMBINE_LATEST };

typedef struct {
    int64_t *bounds;
    uint32_t bound_count, offset; /* offset: cell in the row, or column of a gauge */
    uint8_t kind, combine;
    double scale;                /* cell units per base unit */
    int64_t multiplier, divisor; /* the same for whole numbers; one of them is 1 */
    int64_t whole_limit;         /* the biggest whole number of base units that is taken */
    int64_t nano_multiplier, nano_divisor;
} Measure;

struct Book;

typedef struct {
    struct Book *book;
    uint32_t number;
    RowForm form;
    uint32_t measure_count, recorded_count, gauge_count;
    Measure *measures, *recorded; /* recorded: without the gauges */
    uint8_t *gauge_combine;
    GaugeBlock **blocks; /* of this worker; guarded by the segment's mutex */
    uint32_t block_room, block_epoch;
} Shape;

typedef struct Book {
    _Atomic int references;
    _Atomic int closed;
    int unshared; /* no file: the memory of this process, and of its forks once there are any */
    Segment *segment;
    uint32_t table_count;
    Shape *tables;
    uint32_t slot, slot_epoch; /* guarded by the segment's mutex; slot_epoch 0: none */
    void *life;                /* a mapping whose end tells that this worker is gone */
} Book;

Book *book_take(Book *book);
void book_drop(Book *book);
void book_close(Book *book);
int worker_claim(Book *book);                         /* mutex not held, without the GIL; 0 or an errno */
GaugeCell *worker_gauges(Shape *shape, uint32_t row); /* without the GIL; NULL: no slot or no space */
void gauges_combine(Shape *shape, int64_t *out, uint32_t rows);
uint32_t workers_alive(Segment *segment);
void exemplar_keep(Shape *shape, Cell *cell, const uint64_t trace[2], uint64_t span, double value);
int exemplar_ids(PyObject *trace_id, PyObject *span_id, uint64_t trace[2], uint64_t *span);
PyObject *exemplars_list(Book *book);

/* ---- Python types ------------------------------------------------------------------------------------------ */

typedef struct {
    PyObject_HEAD
    Shape *shape;
    Cell *cells;
    uint32_t index;
    _Atomic uint32_t gauge_epoch; /* when it is not fork_epoch, gauges is not ours */
    GaugeCell *gauges;
} Row;

extern PyTypeObject *LedgerType, *TableType, *RowType, *ActivityType, *DraftType;
extern PyObject *ledger_error, *row_view_type, *exemplar_type, *statistics_type, *elapsed_mark, *marked_mark;

PyTypeObject *make_row_type(PyObject *module);
PyTypeObject *make_table_type(PyObject *module);
PyTypeObject *make_ledger_type(PyObject *module);
PyTypeObject *make_activity_type(PyObject *module);
PyTypeObject *make_draft_type(PyObject *module);
PyTypeObject *make_form_type(PyObject *module);
PyTypeObject *make_batch_type(PyObject *module);
int add_door(PyObject *module);
PyObject *row_new(Shape *shape, RowRecord *record);
GaugeCell *row_bind_gauges(Row *row);
PyObject *table_new(Shape *shape, PyObject *schema);
PyObject *activity_new(Row *row, GaugeCell *gauge);
PyObject *form_new(Row *row, PyObject *const *args, Py_ssize_t count);

#endif
