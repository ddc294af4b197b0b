/* The compiled renderer: what its files share.
 *
 * A Family only grows while it lives: its series and sources lie in segments that never move, and a count that is
 * published last. So a page takes the counts once and works without the GIL and without a lock, while other threads
 * add. A page is made in two steps: every value is read and written out as a short text; then, the size being
 * known, the bytes object is made and filled.
 */
#ifndef TALLYGATE_RENDER_H
#define TALLYGATE_RENDER_H

#include "../../ledger/core/python.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

typedef __int128 Total; /* sums of 64-bit cells, however many: never overflows */

enum { SCALAR = 0, HISTOGRAM = 1, SUMMARY = 2 };
enum { SUM = 0, MAX = 1, MIN = 2 };
enum { TEXT = 0, OPENMETRICS = 1 };

/* ---- segments: an array that grows and never moves ---------------------------------------------------------- */

#define FIRST_SEGMENT 8u /* items; every further segment has twice as many */
#define SEGMENTS 29

typedef struct {
    void *chunk[SEGMENTS];
} Segments;

static inline unsigned segment_of(uint32_t index) { return 31u - (unsigned)__builtin_clz(index / FIRST_SEGMENT + 1u); }
static inline uint32_t segment_start(unsigned segment) { return FIRST_SEGMENT * ((1u << segment) - 1u); }
static inline uint32_t segment_length(unsigned segment) { return FIRST_SEGMENT << segment; }

static inline void *segments_at(const Segments *segments, uint32_t index, size_t size) {
    unsigned segment = segment_of(index);
    return (char *)segments->chunk[segment] + (size_t)(index - segment_start(segment)) * size;
}

/* ---- family.c ----------------------------------------------------------------------------------------------- */

typedef struct {
    const char *text;
    size_t length;
} Span;

typedef struct {
    Span head, name;
    Span *buckets; /* le="0.1"} for each bucket, +Inf last */
} Layout;

typedef struct {
    Span label;     /* quantile="0.5"} */
    uint32_t parts; /* of a billion */
} Quantile;

typedef struct {
    PyObject *labels; /* keeps text alive; shared with other families of the same labels */
    const char *text;
    uint32_t length, hash;
} Series;

typedef struct __attribute__((packed, aligned(4))) {
    uint32_t series, cell_low;
    uint16_t cell_high, buffer;
} Source;

typedef struct Constant {
    struct Constant *next;
    size_t length;
    char text[];
} Constant;

typedef struct {
    PyObject_HEAD
    PyObject *prepared; /* owns what the layouts point to */
    Layout layouts[2];
    int shape, exponent, scale, combine;
    bool has_factor, exemplars;
    double factor, step, scale_step;
    uint32_t bounds_count, map_length;
    double *bounds;
    uint16_t *bucket_map;
    uint32_t quantiles_count; /* 0 but for a summary that shows some */
    Quantile *quantiles;
    Span *middles; /* what a quantile in a bucket is said to be */

    pthread_mutex_t adding;
    Segments series, sources, constants; /* of Series, Source and _Atomic(Constant *) */
    _Atomic uint32_t series_count, sources_count;
    atomic_bool has_constants;
    uint32_t *slots, slots_mask; /* open addressing: index of a series plus one */
    atomic_int pages;            /* being rendered now: until 0, no retired constant is freed */
    Constant *retired;
} Family;

extern PyType_Spec family_spec;

/* ---- numbers.c ---------------------------------------------------------------------------------------------- */

#define NUMBER_LIMIT 128 /* bytes that any number takes */

bool numbers_start(void);
size_t write_count(char *out, uint64_t value);
size_t write_shifted(char *out, Total total, int exponent);
/* Shortest text that reads back as the same double. Call between numbers_enter and numbers_leave. */
size_t write_number(char *out, double value);
double cleaned(double value);
void *numbers_enter(void);
void numbers_leave(void *before);

/* ---- exemplars.c -------------------------------------------------------------------------------------------- */

#define EXEMPLAR_LABELS 152

typedef struct {
    int64_t cell;
    double value, timestamp;
    uint32_t length;
    char labels[EXEMPLAR_LABELS];
} Traced;

typedef struct {
    Traced *items; /* by cell, ascending */
    size_t count;
} Exemplars;

/* Takes the exemplars that can be shown; false with an exception set. */
bool exemplars_take(Exemplars *exemplars, PyObject *mapping);
/* Index of the first exemplar at or after a cell; near is where the last search ended. */
size_t exemplars_from(const Exemplars *exemplars, int64_t cell, size_t near);
double exemplar_value(const Family *family, double value);
size_t write_exemplar(char *out, const Family *family, const Traced *traced);

/* ---- page.c ------------------------------------------------------------------------------------------------- */

typedef struct {
    Family *family;
    uint32_t series, sources;
} Shown;

typedef struct {
    const int64_t *cells;
    uint64_t length;
} Cells;

typedef enum { DONE, NO_MEMORY, OUTSIDE } Outcome;

typedef struct {
    int format;
    Shown *shown;
    size_t shown_count;
    Cells *buffers;
    size_t buffers_count;
    Exemplars exemplars;

    char *texts; /* what follows the labels on every line, one after the other */
    size_t texts_length, texts_room;
    uint16_t *lengths;
    size_t lines, lines_room;
    Total *totals;
    size_t totals_room;
    int32_t *latest;
    size_t latest_room;
    size_t size; /* of the whole page */
    const Family *failed;
    uint64_t failed_cell;
    unsigned failed_buffer;
} Page;

Outcome page_read(Page *page);           /* without the GIL */
char *page_write(Page *page, char *out); /* without the GIL; where the text ends */
void page_free(Page *page);               /* what page_read took; may be called again */

/* ---- values.c ----------------------------------------------------------------------------------------------- */

/* Reads the cells of one family into page->totals and page->latest. */
Outcome read_totals(Page *page, const Shown *shown, size_t width, bool *traced);

#endif
