/* The first step of a page: the cells of a family's sources, added up per series. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

#define EMPTY ((Total)1 << 126) /* no sum of 64-bit cells: a series without a source so far, where a maximum is sought */

static inline int64_t read_cell(const int64_t *cell) { return __atomic_load_n(cell, __ATOMIC_RELAXED); }

static inline uint64_t cell_of(const Source *source) {
    return (uint64_t)source->cell_high << 32 | source->cell_low;
}

static void *room_for(void *memory, size_t *room, size_t needed, size_t size) {
    if (needed <= *room) return memory;
    void *grown = realloc(memory, needed * size);
    if (grown != NULL) *room = needed;
    return grown;
}

static Outcome outside(Page *page, const Family *family, const Source *source) {
    page->failed = family;
    page->failed_cell = cell_of(source);
    page->failed_buffer = source->buffer;
    return OUTSIDE;
}

/* Let the exemplar be the one shown at place, if it is later than the one there. */
static bool keep(Page *page, size_t places, size_t place, size_t exemplar, bool *traced) {
    if (!*traced) { /* most pages have none: only now is the memory needed */
        int32_t *latest = room_for(page->latest, &page->latest_room, places, sizeof *latest);
        if (latest == NULL) return false;
        page->latest = latest;
        memset(latest, 0xff, places * sizeof *latest);
        *traced = true;
    }
    int32_t before = page->latest[place];
    const Traced *items = page->exemplars.items;
    if (before < 0 || items[exemplar].timestamp > items[before].timestamp) page->latest[place] = (int32_t)exemplar;
    return true;
}

/* The bucket that a value lies in by the family's own bounds is the one it was counted in. */
static bool within(const Family *family, unsigned bucket, double value) {
    double scaled = exemplar_value(family, value);
    return (bucket == 0 || scaled > family->bounds[bucket - 1]) &&
           (bucket == family->bounds_count || scaled <= family->bounds[bucket]);
}

static Outcome read_scalars(Page *page, const Shown *shown, bool *traced) {
    const Family *family = shown->family;
    const bool seek = family->exemplars && page->exemplars.count > 0;
    const int combine = family->combine;
    Total *totals = page->totals;
    size_t near = 0;
    if (combine != SUM)
        for (uint32_t series = 0; series < shown->series; series++) totals[series] = EMPTY;
    for (uint32_t start = 0; start < shown->sources;) {
        unsigned segment = segment_of(start);
        uint32_t end = start + segment_length(segment);
        const Source *source = family->sources.chunk[segment];
        if (end > shown->sources) end = shown->sources;
        for (; start < end; start++, source++) {
            uint64_t cell = cell_of(source);
            if (unlikely(source->buffer >= page->buffers_count || cell >= page->buffers[source->buffer].length))
                return outside(page, family, source);
            Total value = read_cell(page->buffers[source->buffer].cells + cell), *total = &totals[source->series];
            if (combine == SUM)
                *total += value;
            else if (*total == EMPTY || (combine == MAX ? value > *total : value < *total))
                *total = value;
            if (unlikely(seek) && source->buffer == 0) {
                near = exemplars_from(&page->exemplars, (int64_t)cell, near);
                if (near < page->exemplars.count && page->exemplars.items[near].cell == (int64_t)cell &&
                    !keep(page, shown->series, source->series, near, traced))
                    return NO_MEMORY;
            }
        }
    }
    if (combine != SUM)
        for (uint32_t series = 0; series < shown->series; series++)
            if (totals[series] == EMPTY) totals[series] = 0;
    return DONE;
}

static Outcome read_spreads(Page *page, const Shown *shown, size_t width, bool *traced) {
    const Family *family = shown->family;
    const bool seek = family->exemplars && page->exemplars.count > 0;
    const uint32_t length = family->map_length;
    const uint16_t *map = family->bucket_map;
    size_t near = 0;
    for (uint32_t start = 0; start < shown->sources;) {
        unsigned segment = segment_of(start);
        uint32_t end = start + segment_length(segment);
        const Source *source = family->sources.chunk[segment];
        if (end > shown->sources) end = shown->sources;
        for (; start < end; start++, source++) {
            uint64_t cell = cell_of(source);
            if (unlikely(source->buffer >= page->buffers_count ||
                         cell + 1 + length > page->buffers[source->buffer].length))
                return outside(page, family, source);
            const int64_t *cells = page->buffers[source->buffer].cells + cell;
            Total *totals = page->totals + (size_t)source->series * width;
            totals[0] += read_cell(cells);
            for (uint32_t bucket = 0; bucket < length; bucket++) {
                int64_t count = read_cell(cells + 1 + bucket);
                if (count != 0) totals[1 + map[bucket]] += count;
            }
            if (likely(!seek) || source->buffer != 0) continue;
            near = exemplars_from(&page->exemplars, (int64_t)cell + 1, near);
            for (size_t found = near; found < page->exemplars.count; found++) {
                const Traced *exemplar = &page->exemplars.items[found];
                uint64_t at = (uint64_t)exemplar->cell - cell - 1;
                if (at >= length) break;
                if (within(family, map[at], exemplar->value) &&
                    !keep(page, shown->series * width, source->series * width + 1 + map[at], found, traced))
                    return NO_MEMORY;
            }
        }
    }
    return DONE;
}

Outcome read_totals(Page *page, const Shown *shown, size_t width, bool *traced) {
    size_t needed = shown->series * width;
    Total *totals = room_for(page->totals, &page->totals_room, needed, sizeof *totals);
    *traced = false;
    if (totals == NULL && needed > 0) return NO_MEMORY;
    if (needed == 0) return DONE;
    page->totals = totals;
    memset(totals, 0, needed * sizeof *totals);
    return shown->family->shape == SCALAR ? read_scalars(page, shown, traced)
                                          : read_spreads(page, shown, width, traced);
}
