/* The hot path: a Python number becomes units of a cell, and the cell grows. Never an exception. */
#ifndef TALLYGATE_RECORD_H
#define TALLYGATE_RECORD_H

#include "core.h"
#include <math.h>

/* One observation may be this big; a cell stops growing at CELL_LIMIT. So even 63 threads that pass the check at
 * the same moment cannot make a cell wrap. */
#define OBSERVATION_LIMIT ((int64_t)1 << 56)
#define CELL_LIMIT        ((int64_t)1 << 62)

enum { VALUE_BAD = -1, VALUE_UNSET = 0, VALUE_GOOD = 1 };

int value_of_other(const Measure *measure, PyObject *value, int64_t *units);
int whole_units(const Measure *measure, int64_t value, int64_t *units);
int64_t nano_units(const Measure *measure, int64_t nanoseconds);

/* In units of the cell: VALUE_GOOD, or why not. Signs and limits of sums are looked at later. */
static inline int value_of_float(const Measure *measure, double number, int64_t *units) {
    double scaled = number * measure->scale;
    if (unlikely(!(scaled > -9.2e18 && scaled < 9.2e18))) return VALUE_BAD;
    *units = llrint(scaled); /* half to even, as Python's round() */
    if (unlikely(number < 0 && *units == 0 && measure->kind != KIND_GAUGE)) *units = -1; /* still negative */
    return VALUE_GOOD;
}

static inline int value_of(const Measure *measure, PyObject *value, int64_t *units) {
    if (PyFloat_CheckExact(value)) return value_of_float(measure, PyFloat_AsDouble(value), units);
    if (value == Py_None) return VALUE_UNSET;
    if (likely(PyLong_CheckExact(value))) {
        long long whole = PyLong_AsLongLong(value);
        if (unlikely(whole == -1 && PyErr_Occurred())) {
            PyErr_Clear();
            return VALUE_BAD;
        }
        if (likely(measure->divisor == 1 && whole <= measure->whole_limit && whole >= -measure->whole_limit)) {
            *units = whole * measure->multiplier;
            return VALUE_GOOD;
        }
        return whole_units(measure, whole, units);
    }
    return value_of_other(measure, value, units);
}

/* Which bucket: the first whose upper bound is not below the value. */
static inline uint32_t bucket_of(const Measure *measure, int64_t units) {
    const int64_t *bounds = measure->bounds;
    uint32_t count = measure->bound_count, low = 0;
    while (count > 0) { /* compiles to conditional moves: no mispredicted branch but the loop's */
        uint32_t half = count >> 1;
        int above = bounds[low + half] < units;
        low = above ? low + half + 1 : low;
        count = above ? count - half - 1 : half;
    }
    return low;
}

/* What an observation does to a row: found out first and done afterwards, so that the memory of many of them comes from
 * far away at the same time; an atomic addition lets nothing else begin before it has its own. */
typedef struct {
    Cell *cell, *bucket; /* bucket: NULL for a sum */
    int64_t units;
} Growth;

/* An observation of a sum or a distribution; 0 when it cannot be taken. */
static inline int growth_of(const Measure *measure, Cell *row, int64_t units, Growth *growth) {
    if (unlikely(units < 0 || units > OBSERVATION_LIMIT)) return 0;
    growth->cell = row + measure->offset;
    growth->bucket = measure->kind == KIND_DISTRIBUTION ? growth->cell + 1 + bucket_of(measure, units) : NULL;
    growth->units = units;
    return 1;
}

/* Where a measure of one row grows, and the bucket it grew last with the values that belong there: most observations
 * are like the one before, which spares looking at the measure and its bounds, memory that may be far away. */
typedef struct {
    Cell *cell, *bucket; /* bucket: NULL for a sum */
    int64_t above, up_to;
} Spot;

static inline void spot_find(Spot *spot, const Measure *measure, int64_t units) {
    uint32_t bucket = bucket_of(measure, units);
    spot->bucket = spot->cell + 1 + bucket;
    spot->above = bucket ? measure->bounds[bucket - 1] : -1;
    spot->up_to = bucket < measure->bound_count ? measure->bounds[bucket] : INT64_MAX;
}

static inline Spot spot_of(const Measure *measure, Cell *row) {
    Spot spot = {row + measure->offset, NULL, 0, 0};
    if (measure->kind == KIND_DISTRIBUTION) spot_find(&spot, measure, 0);
    return spot;
}

static inline void spot_near(const Spot *spot) {
    __builtin_prefetch((const void *)spot->cell, 1);
    __builtin_prefetch((const void *)spot->bucket, 1);
}

/* As growth_of. */
static inline int growth_at(Spot *spot, const Measure *measure, int64_t units, Growth *growth) {
    if (unlikely(units < 0 || units > OBSERVATION_LIMIT)) return 0;
    *growth = (Growth){spot->cell, spot->bucket, units};
#ifdef Py_GIL_DISABLED /* another thread may be moving it */
    if (spot->bucket) growth->bucket = spot->cell + 1 + bucket_of(measure, units);
#else
    if (spot->bucket && unlikely(units <= spot->above || units > spot->up_to)) {
        spot_find(spot, measure, units);
        growth->bucket = spot->bucket;
    }
#endif
    return 1;
}

static inline void growth_near(const Growth *growth) {
    __builtin_prefetch((const void *)growth->cell, 1);
    if (growth->bucket) __builtin_prefetch((const void *)growth->bucket, 1);
}

/* Whether nobody else can add meanwhile: the thread has the GIL, and no other process has the memory. */
static inline int adds_alone(const Book *book) {
#ifdef Py_GIL_DISABLED
    (void)book;
    return 0;
#else
    return book->unshared && !atomic_load_explicit(&has_forked, relaxed);
#endif
}

static inline void cell_grow(Cell *cell, int64_t units, int alone) {
    if (alone)
        atomic_store_explicit(cell, atomic_load_explicit(cell, relaxed) + units, relaxed); /* a third of the time */
    else
        atomic_fetch_add_explicit(cell, units, relaxed);
}

/* 0 when the cell is as big as it gets. */
static inline int grow(const Growth *growth, int alone) {
    if (unlikely(atomic_load_explicit(growth->cell, relaxed) > CELL_LIMIT - growth->units)) return 0;
    if (growth->units) cell_grow(growth->cell, growth->units, alone);
    if (growth->bucket) cell_grow(growth->bucket, 1, alone);
    return 1;
}

static inline int cell_add(const Measure *measure, Cell *row, int64_t units, int alone) {
    Growth growth;
    return growth_of(measure, row, units, &growth) && grow(&growth, alone);
}

/* All of them; how many were not taken. */
static inline int64_t grow_all(const Growth *growths, uint32_t count, int alone) {
    int64_t dropped = 0;
    for (uint32_t i = 0; i < count; i++) growth_near(&growths[i]);
    for (uint32_t i = 0; i < count; i++) dropped += !grow(&growths[i], alone);
    return dropped;
}

static inline void count_dropped(Book *book, int64_t values) {
    atomic_fetch_add_explicit(&book->segment->header->dropped, values, relaxed);
}

static inline int row_closed(const Row *row) { return atomic_load_explicit(&row->shape->book->closed, relaxed); }

/* The gauges of this row in this worker's slot; NULL when there is no slot or no space left. */
static inline GaugeCell *row_gauges(Row *row) {
    if (likely(atomic_load_explicit(&row->gauge_epoch, acquire) == atomic_load_explicit(&fork_epoch, relaxed)))
        return row->gauges;
    return row_bind_gauges(row);
}

static inline int gauge_add(GaugeCell *gauge, int64_t units) {
    int64_t sum;
    if (unlikely(__builtin_add_overflow(atomic_load_explicit(&gauge->value, relaxed), units, &sum))) return 0;
    atomic_fetch_add_explicit(&gauge->value, units, relaxed);
    return 1;
}

/* Says that the gauge is set, and for COMBINE_LATEST when, in an order that all workers share. */
static inline void gauge_stamp(const Row *row, const Measure *measure, GaugeCell *gauge) {
    int64_t stamp = 1;
    if (measure->combine == COMBINE_LATEST)
        stamp = 1 + atomic_fetch_add_explicit(&row->shape->book->segment->header->sequence, 1, relaxed);
    atomic_store_explicit(&gauge->stamp, stamp, relaxed);
}

/* A gauge of this row grows or shrinks; 0 when it cannot. */
static inline int row_gauge_add(Row *row, const Measure *measure, int64_t units) {
    GaugeCell *gauge = row_gauges(row);
    if (unlikely(gauge == NULL || !gauge_add(gauge + measure->offset, units))) return 0;
    if (measure->combine != COMBINE_SUM) gauge_stamp(row, measure, gauge + measure->offset);
    return 1;
}

/* One more in a gauge, until gauge_return; NULL when the measure is no gauge or there is no slot. */
static inline GaugeCell *gauge_take(Row *row, const Measure *measure) {
    if (!measure || measure->kind != KIND_GAUGE || row_closed(row)) return NULL;
    GaugeCell *gauge = row_gauges(row);
    if (unlikely(gauge == NULL)) {
        count_dropped(row->shape->book, 1);
        return NULL;
    }
    gauge += measure->offset;
    atomic_fetch_add_explicit(&gauge->value, 1, relaxed);
    if (measure->combine != COMBINE_SUM) gauge_stamp(row, measure, gauge);
    return gauge;
}

/* `epoch`: the fork_epoch when it was taken. A forked child must not give back what its parent took. */
static inline void gauge_return(const Row *row, GaugeCell *gauge, uint32_t epoch) {
    if (gauge && epoch == atomic_load_explicit(&fork_epoch, relaxed) && !row_closed(row))
        atomic_fetch_sub_explicit(&gauge->value, 1, relaxed);
}

/* One record: count it and add its measures. `elapsed` < 0: there are no clocks here. */
static inline void record_into(Row *row, PyObject *const *values, Py_ssize_t count, int64_t elapsed, int64_t marked) {
    const Shape *shape = row->shape;
    Py_ssize_t dropped = 0;
    if (unlikely(row_closed(row))) return;
    int alone = adds_alone(shape->book);
    cell_grow(row->cells, 1, alone);
    if (unlikely(count > (Py_ssize_t)shape->recorded_count)) {
        dropped = count - (Py_ssize_t)shape->recorded_count;
        count = (Py_ssize_t)shape->recorded_count;
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        const Measure *measure = &shape->recorded[i];
        int64_t units;
        int outcome;
        if (elapsed >= 0 && (values[i] == elapsed_mark || values[i] == marked_mark)) {
            int64_t nanoseconds = values[i] == elapsed_mark ? elapsed : marked;
            outcome = nanoseconds < 0 ? VALUE_UNSET : VALUE_GOOD;
            units = nano_units(measure, nanoseconds);
        } else {
            outcome = value_of(measure, values[i], &units);
        }
        if (likely(outcome == VALUE_GOOD)) outcome = cell_add(measure, row->cells, units, alone) ? VALUE_GOOD : VALUE_BAD;
        dropped += outcome == VALUE_BAD;
    }
    if (unlikely(dropped)) count_dropped(shape->book, dropped);
}

#endif
