/* A page: values to short texts, then texts, names and labels to lines. */
#include "core.h"

#include <stdlib.h>
#include <string.h>

#define LINE_LIMIT 512 /* bytes that the text of one line may take: a number and an exemplar */
#define END_MARK "# EOF\n"
#define BILLION 1000000000

static const char BUCKET[] = "_bucket{", SUM_[] = "_sum", COUNT[] = "_count";

/* ---- first step: texts ----------------------------------------------------------------------------------- */

static bool room_for_lines(Page *page, size_t lines) {
    if (page->lines + lines > page->lines_room) {
        size_t room = page->lines_room * 2 + lines + 1024;
        uint16_t *lengths = realloc(page->lengths, room * sizeof *lengths);
        if (lengths == NULL) return false;
        page->lengths = lengths, page->lines_room = room;
    }
    if (page->texts_length + lines * LINE_LIMIT > page->texts_room) {
        size_t room = page->texts_room * 2 + lines * LINE_LIMIT + 65536;
        char *texts = realloc(page->texts, room);
        if (texts == NULL) return false;
        page->texts = texts, page->texts_room = room;
    }
    return true;
}

static inline void end_text(Page *page, size_t length) {
    page->lengths[page->lines++] = (uint16_t)length;
    page->texts_length += length;
    page->size += length;
}

static inline size_t write_total(char *out, Total total) {
    return total >= 0 && total <= (Total)UINT64_MAX ? write_count(out, (uint64_t)total) : write_shifted(out, total, 0);
}

static size_t write_value(char *out, const Family *family, Total total) {
    if (family->has_factor) {
        double base = family->exponent < 0 ? (double)total / family->step : (double)total * family->step;
        return write_number(out, base * family->factor);
    }
    return family->exponent == 0 ? write_total(out, total) : write_shifted(out, total, family->exponent);
}

static inline size_t write_latest(Page *page, const Family *family, size_t place, bool traced, char *out) {
    if (likely(!traced) || page->latest[place] < 0) return 0;
    return write_exemplar(out, family, &page->exemplars.items[page->latest[place]]);
}

static size_t write_constant(const Family *family, uint32_t series, char *out) {
    if (segment_of(series) >= SEGMENTS || family->constants.chunk[segment_of(series)] == NULL) return 0;
    _Atomic(Constant *) *slot = segments_at(&family->constants, series, sizeof *slot);
    Constant *constant = atomic_load(slot);
    if (constant == NULL) return 0;
    memcpy(out, constant->text, constant->length);
    return constant->length;
}

static bool scalar_texts(Page *page, const Shown *shown, bool traced) {
    const Family *family = shown->family;
    const bool has_constants = atomic_load(&family->has_constants);
    const size_t name = family->layouts[page->format].name.length;
    for (uint32_t series = 0; series < shown->series; series++) {
        if (unlikely(!room_for_lines(page, 1))) return false;
        char *out = page->texts + page->texts_length;
        size_t length = unlikely(has_constants) ? write_constant(family, series, out) : 0;
        if (length == 0) length = write_value(out, family, page->totals[series]);
        end_text(page, length + write_latest(page, family, series, traced, out + length));
        const Series *labels = segments_at(&family->series, series, sizeof *labels);
        page->size += name + (labels->length ? labels->length + 2 : 0) + 2; /* braces; space and newline */
    }
    return true;
}

/* Which of so many values the quantile is, from 1. */
static inline Total rank_of(Total total, uint32_t parts) {
    if (likely(total <= (Total)(UINT64_MAX / BILLION - 1))) {
        uint64_t rank = ((uint64_t)total * parts + (BILLION - 1)) / BILLION;
        return rank > 0 ? (Total)rank : 1;
    }
    Total rank = (total * parts + (BILLION - 1)) / BILLION;
    return rank > 0 ? rank : 1;
}

/* The middle of the bucket in which the value of this rank lies; NaN when there is none. reached: counts up to each. */
static size_t write_quantile(char *out, const Family *family, const Total *reached, Total total, uint32_t parts) {
    if (total <= 0) return memcpy(out, "NaN", 3), 3;
    const Total rank = rank_of(total, parts);
    uint32_t low = 0, high = family->bounds_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (reached[middle] < rank)
            low = middle + 1;
        else
            high = middle;
    }
    memcpy(out, family->middles[low].text, family->middles[low].length);
    return family->middles[low].length;
}

static bool spread_texts(Page *page, const Shown *shown, size_t width, bool traced) {
    const Family *family = shown->family;
    const Layout *layout = &family->layouts[page->format];
    const size_t buckets = family->bounds_count + 1;
    size_t fixed = 2 * (layout->name.length + 2) + sizeof SUM_ - 1 + sizeof COUNT - 1;
    if (family->shape == HISTOGRAM)
        for (size_t bucket = 0; bucket < buckets; bucket++)
            fixed += layout->name.length + sizeof BUCKET - 1 + layout->buckets[bucket].length + 1;
    for (uint32_t i = 0; i < family->quantiles_count; i++)
        fixed += layout->name.length + 1 + family->quantiles[i].label.length + 1;
    const size_t lines = (family->shape == HISTOGRAM ? buckets : family->quantiles_count) + 2;
    for (uint32_t series = 0; series < shown->series; series++) {
        if (unlikely(!room_for_lines(page, lines))) return false;
        const size_t place = (size_t)series * width;
        Total *totals = page->totals + place;
        Total running = 0;
        for (size_t bucket = 0; bucket < buckets; bucket++) {
            running += totals[1 + bucket];
            if (family->shape != HISTOGRAM) {
                totals[1 + bucket] = running;
                continue;
            }
            char *out = page->texts + page->texts_length;
            size_t length = write_total(out, running);
            end_text(page, length + write_latest(page, family, place + 1 + bucket, traced, out + length));
        }
        for (uint32_t i = 0; i < family->quantiles_count; i++) {
            char *out = page->texts + page->texts_length;
            end_text(page, write_quantile(out, family, totals + 1, running, family->quantiles[i].parts));
        }
        end_text(page, write_value(page->texts + page->texts_length, family, totals[0]));
        end_text(page, write_total(page->texts + page->texts_length, running));
        const Series *labels = segments_at(&family->series, series, sizeof *labels);
        page->size += fixed;
        if (labels->length > 0) page->size += 2 * (labels->length + 2) + (lines - 2) * (labels->length + 1);
    }
    return true;
}

Outcome page_read(Page *page) {
    void *before = numbers_enter();
    Outcome outcome = DONE;
    page->size = page->format == OPENMETRICS ? sizeof END_MARK - 1 : 0;
    for (size_t i = 0; i < page->shown_count && outcome == DONE; i++) {
        const Shown *shown = &page->shown[i];
        const Family *family = shown->family;
        const size_t width = family->shape == SCALAR ? 1 : (size_t)family->bounds_count + 2;
        bool traced;
        page->size += family->layouts[page->format].head.length;
        outcome = read_totals(page, shown, width, &traced);
        if (outcome != DONE) break;
        if (!(family->shape == SCALAR ? scalar_texts(page, shown, traced) : spread_texts(page, shown, width, traced)))
            outcome = NO_MEMORY;
    }
    numbers_leave(before);
    return outcome;
}

/* ---- second step: lines ---------------------------------------------------------------------------------- */

typedef struct {
    char *out;
    const char *text;
    const uint16_t *length;
} Pen;

static inline void put(Pen *pen, const char *text, size_t length) {
    memcpy(pen->out, text, length);
    pen->out += length;
}

static inline void put_value(Pen *pen) {
    put(pen, pen->text, *pen->length);
    pen->text += *pen->length++;
    *pen->out++ = '\n';
}

static inline void put_labels(Pen *pen, const Series *series) {
    if (series->length > 0) {
        *pen->out++ = '{';
        put(pen, series->text, series->length);
        *pen->out++ = '}';
    }
    *pen->out++ = ' ';
}

static void scalar_lines(const Layout *layout, const Series *series, Pen *pen) {
    put(pen, layout->name.text, layout->name.length);
    put_labels(pen, series);
    put_value(pen);
}

static void spread_lines(const Family *family, const Layout *layout, const Series *series, Pen *pen) {
    if (family->shape == HISTOGRAM) {
        /* Every bucket's line begins alike: made once, then copied from the line before. */
        const char *first = pen->out;
        put(pen, layout->name.text, layout->name.length);
        put(pen, BUCKET, sizeof BUCKET - 1);
        put(pen, series->text, series->length);
        if (series->length > 0) *pen->out++ = ',';
        const size_t common = (size_t)(pen->out - first);
        for (uint32_t bucket = 0; bucket <= family->bounds_count; bucket++) {
            if (bucket > 0) put(pen, first, common);
            put(pen, layout->buckets[bucket].text, layout->buckets[bucket].length);
            put_value(pen);
        }
    }
    for (uint32_t i = 0; i < family->quantiles_count; i++) {
        put(pen, layout->name.text, layout->name.length);
        *pen->out++ = '{';
        put(pen, series->text, series->length);
        if (series->length > 0) *pen->out++ = ',';
        put(pen, family->quantiles[i].label.text, family->quantiles[i].label.length);
        put_value(pen);
    }
    put(pen, layout->name.text, layout->name.length);
    put(pen, SUM_, sizeof SUM_ - 1);
    put_labels(pen, series);
    put_value(pen);
    put(pen, layout->name.text, layout->name.length);
    put(pen, COUNT, sizeof COUNT - 1);
    put_labels(pen, series);
    put_value(pen);
}

char *page_write(Page *page, char *out) {
    Pen pen = {out, page->texts, page->lengths};
    for (size_t i = 0; i < page->shown_count; i++) {
        const Shown *shown = &page->shown[i];
        const Family *family = shown->family;
        const Layout *layout = &family->layouts[page->format];
        put(&pen, layout->head.text, layout->head.length);
        for (uint32_t start = 0; start < shown->series;) {
            unsigned segment = segment_of(start);
            uint32_t end = start + segment_length(segment);
            const Series *series = family->series.chunk[segment];
            if (end > shown->series) end = shown->series;
            for (; start < end; start++, series++)
                if (family->shape == SCALAR)
                    scalar_lines(layout, series, &pen);
                else
                    spread_lines(family, layout, series, &pen);
        }
    }
    if (page->format == OPENMETRICS) put(&pen, END_MARK, sizeof END_MARK - 1);
    return pen.out;
}

void page_free(Page *page) {
    free(page->exemplars.items);
    free(page->texts);
    free(page->lengths);
    free(page->totals);
    free(page->latest);
    page->exemplars.items = NULL;
    page->texts = NULL;
    page->lengths = NULL;
    page->totals = NULL;
    page->latest = NULL;
}
