/* Numbers as text: exact decimals from integers, shortest doubles; what numbers.py does. */
#include "core.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static locale_t plain_locale; /* a decimal point is a point, whatever the program has set */

bool numbers_start(void) {
    if (plain_locale == (locale_t)0) plain_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return plain_locale != (locale_t)0;
}

void *numbers_enter(void) { return (void *)uselocale(plain_locale); }

void numbers_leave(void *before) { uselocale((locale_t)before); }

/* Digits of value, ending just before end; where they start. */
static char *digits_before(char *end, uint64_t value) {
    while (value >= 100) {
        unsigned pair = (unsigned)(value % 100);
        value /= 100;
        end -= 2;
        end[0] = (char)('0' + pair / 10);
        end[1] = (char)('0' + pair % 10);
    }
    if (value >= 10) *--end = (char)('0' + value % 10), value /= 10;
    *--end = (char)('0' + value);
    return end;
}

size_t write_count(char *out, uint64_t value) {
    if (value < 10) return out[0] = (char)('0' + value), 1;
    char scratch[24], *end = scratch + sizeof scratch, *start = digits_before(end, value);
    memcpy(out, start, (size_t)(end - start));
    return (size_t)(end - start);
}

static char *wide_digits_before(char *end, unsigned __int128 value) {
    const uint64_t step = 1000000000000000000u; /* 10^18 */
    while (value > UINT64_MAX) {
        char *low = digits_before(end, (uint64_t)(value % step));
        value /= step;
        while (end - low < 18) *--low = '0';
        end = low;
    }
    return digits_before(end, (uint64_t)value);
}

size_t write_shifted(char *out, Total total, int exponent) {
    char scratch[48], *end = scratch + sizeof scratch, *at = out;
    unsigned __int128 magnitude = total < 0 ? -(unsigned __int128)total : (unsigned __int128)total;
    if (total < 0) *at++ = '-';
    char *start = wide_digits_before(end, magnitude);
    size_t length = (size_t)(end - start);
    if (exponent >= 0) {
        memcpy(at, start, length);
        at += length;
        if (total != 0) memset(at, '0', (size_t)exponent), at += exponent;
        return (size_t)(at - out);
    }
    size_t fraction = (size_t)-exponent;
    if (length > fraction) {
        memcpy(at, start, length - fraction);
        at += length - fraction;
        start += length - fraction;
        length = fraction;
    } else {
        *at++ = '0';
    }
    size_t zeros = fraction - length; /* between the point and the first digit */
    while (length > 0 && start[length - 1] == '0') length--;
    if (length == 0) return (size_t)(at - out);
    *at++ = '.';
    memset(at, '0', zeros);
    memcpy(at + zeros, start, length);
    return (size_t)(at + zeros + length - out);
}

/* Fewest digits (at most 17) that read back as value, as d.ddde+XX in text. */
static void shortest(char *text, size_t room, double value) {
    for (int precision = value < DBL_MIN ? 0 : 14; precision < 17; precision++) { /* 15 digits always survive a double */
        snprintf(text, room, "%.*e", precision, value);
        if (strtod(text, NULL) == value && precision < 16) return;
    }
    /* Just above a power of two the nearest text of 16 digits may fail and its neighbour not. */
    char near[40], *mark = strchr(text, 'e');
    unsigned long long digits = (unsigned long long)(text[0] - '0');
    for (const char *at = text + 2; at < mark; at++) digits = digits * 10 + (unsigned long long)(*at - '0');
    int exponent = atoi(mark + 1);
    for (unsigned long long up = 0; up < 2; up++) {
        snprintf(near, sizeof near, "%llue%d", digits / 10 + up, exponent - 15);
        if (strtod(near, NULL) == value) {
            snprintf(text, room, "%.15e", value); /* sets the form; the digits follow */
            char plain[24];
            snprintf(plain, sizeof plain, "%llu", digits / 10 + up);
            if (strlen(plain) != 16) continue;
            text[0] = plain[0];
            memcpy(text + 2, plain + 1, 15);
            snprintf(text + 17, room - 17, "e%+03d", exponent);
            return;
        }
    }
    snprintf(text, room, "%.16e", value);
}

size_t write_number(char *out, double value) {
    if (isnan(value)) return memcpy(out, "NaN", 3), 3;
    if (isinf(value)) return memcpy(out, value > 0 ? "+Inf" : "-Inf", 4), 4;
    char text[40], *at = out;
    if (signbit(value)) *at++ = '-';
    shortest(text, sizeof text, fabs(value));
    char *mark = strchr(text, 'e');
    int exponent = atoi(mark + 1);
    char digits[24];
    size_t length = 0;
    for (const char *from = text; from < mark; from++)
        if (*from != '.') digits[length++] = *from;
    while (length > 1 && digits[length - 1] == '0') length--;
    if (exponent < -4 || exponent >= 16) {
        *at++ = digits[0];
        if (length > 1) *at++ = '.';
        memcpy(at, digits + 1, length - 1);
        at += length - 1;
        return (size_t)(at - out) + (size_t)sprintf(at, "e%+03d", exponent);
    }
    if (exponent < 0) {
        *at++ = '0';
        *at++ = '.';
        memset(at, '0', (size_t)(-exponent - 1));
        at += -exponent - 1;
        memcpy(at, digits, length);
        return (size_t)(at + length - out);
    }
    size_t whole = (size_t)exponent + 1;
    for (size_t digit = 0; digit < whole; digit++) *at++ = digit < length ? digits[digit] : '0';
    if (length > whole) {
        *at++ = '.';
        memcpy(at, digits + whole, length - whole);
        at += length - whole;
    }
    return (size_t)(at - out);
}

double cleaned(double value) {
    char text[40];
    snprintf(text, sizeof text, "%.15g", value);
    return strtod(text, NULL);
}
