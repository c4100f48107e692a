// Gathers a session's memory plan and draws it.
#include "info_plan.h"

#include "base/mem.h"
#include "base/text.h"
#include "report/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 72, ROWS = 10, SHOWN = 16, WHAT_WIDTH = 36, LIFE_WIDTH = 24 };

static int by_size(const void *a, const void *b)
{
    const gb_store_info *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return (x->first > y->first) - (x->first < y->first);
}

// Bytes of the arena's stores that live during each launch, and the launches where most do.
static size_t find_peak(size_t *live, const gb_store_info *store, size_t n, size_t launches,
                        size_t *first, size_t *last)
{
    size_t peak = 0;
    for (size_t i = 0; i < n; i++) { // what begins less what has ended, modulo 2^64
        if (store[i].kind != GB_STORE_TEMP || store[i].first > store[i].last)
            continue;
        live[store[i].first] += store[i].bytes;
        live[store[i].last + 1] -= store[i].bytes;
    }
    for (size_t l = 1; l < launches; l++)
        live[l] += live[l - 1];
    *first = *last = 0;
    for (size_t l = 0; l < launches; l++) {
        if (live[l] > peak) {
            peak = live[l];
            *first = l;
        }
        if (live[l] == peak)
            *last = l;
    }
    return peak;
}

json_t *info_plan_json(const gb_session *s)
{
    static const char *const kind[] = {"value", "constant", "input or output"};
    const gb_session_stats *t = gb_session_get_stats(s);
    const size_t launches = t->launches_forward + t->launches_backward;
    const size_t most = gb_session_stores(s);
    gb_store_info *store = calloc(most + 1, sizeof *store);
    size_t *live = calloc(launches + 1, sizeof *live), n = 0, first, last;
    json_t *stores = json_array(), *levels = json_array(), *groups = json_object(), *plan = NULL;
    if (!store || !live)
        goto fail;
    for (size_t i = 0; i < most; i++)
        if ((store[n] = gb_session_store(s, i)).first >= 0)
            n++;
    qsort(store, n, sizeof *store, by_size);
    size_t peak = find_peak(live, store, n, launches, &first, &last);
    for (size_t i = 0; i < n; i++) {
        const gb_store_info *one = &store[i];
        bool at_peak = one->kind == GB_STORE_TEMP && (size_t)one->first <= first &&
                       (size_t)one->last >= first;
        json_array_append_new(
            stores, json_pack("{s:o, s:s, s:I, s:i, s:i, s:b}", "what",
                              gb_report_text_json(one->what), "kind", kind[one->kind], "bytes",
                              (json_int_t)one->bytes, "first", one->first, "last", one->last,
                              "at_peak", at_peak));
        if (one->kind == GB_STORE_CONST) {
            json_int_t sum = json_integer_value(json_object_get(groups, one->group));
            json_object_set_new(groups, one->group, json_integer(sum + (json_int_t)one->bytes));
        }
    }
    for (size_t l = 0; l < launches; l++)
        json_array_append_new(levels, json_integer((json_int_t)live[l]));
    plan = json_pack("{s:I, s:I, s:I, s:[I, I], s:O, s:O, s:O}", "launches", (json_int_t)launches,
                     "forward_launches", (json_int_t)t->launches_forward, "peak_bytes",
                     (json_int_t)peak, "peak_launches", (json_int_t)first, (json_int_t)last,
                     "live_bytes", levels, "constants", groups, "stores", stores);
fail:
    json_decref(stores);
    json_decref(levels);
    json_decref(groups);
    free(store);
    free(live);
    return plan;
}

static double number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

// A column for some launches, as high as the most that lives in them.
static void print_chart(const json_t *levels, double peak, size_t forward)
{
    const size_t launches = json_array_size(levels);
    const size_t columns = launches < COLUMNS ? launches : COLUMNS;
    double height[COLUMNS] = {0};
    for (size_t l = 0; l < launches; l++) {
        double v = json_number_value(json_array_get(levels, l));
        double *h = &height[l * columns / launches];
        *h = v > *h ? v : *h;
    }
    for (int row = ROWS; row > 0; row--) {
        char line[COLUMNS + 1] = {0};
        for (size_t c = 0; c < columns; c++)
            line[c] = height[c] > peak * (row - 0.5) / ROWS ? '#' : ' ';
        gb_say("%9.2f |%s\n", peak * row / ROWS / 0x1p20, line);
    }
    gb_say("%9s +", "MiB");
    for (size_t c = 0; c < columns; c++)
        putchar(c * launches / columns < forward ? '-' : '=');
    gb_say("\n%9s  launches 0 to %zu; - forward%s\n", "", launches - 1,
           forward < launches ? ", = backward" : "");
}

// Where in the schedule a store lives.
static void print_store(const json_t *store, double launches)
{
    char life[LIFE_WIDTH + 1] = {0};
    const char *what = json_string_value(json_object_get(store, "what"));
    double first = number(store, "first"), last = number(store, "last");
    memset(life, '.', LIFE_WIDTH);
    const int end = (int)(last * LIFE_WIDTH / launches);
    for (int i = (int)(first * LIFE_WIDTH / launches); i <= end; i++)
        life[i < LIFE_WIDTH ? i : LIFE_WIDTH - 1] = '#';
    gb_say("%10.2f  %4.0f to %4.0f %s %s %-.*s\n", number(store, "bytes") / 0x1p20, first, last,
           life, json_is_true(json_object_get(store, "at_peak")) ? "*" : " ", WHAT_WIDTH,
           what ? what : "");
}

void info_plan_print(const json_t *plan)
{
    const double peak = number(plan, "peak_bytes"), launches = number(plan, "launches");
    const json_t *at = json_object_get(plan, "peak_launches");
    const char *group;
    json_t *item;
    size_t i, shown = 0;
    printf("\nvalues that live at once, over the schedule of the gradient: %.2f MiB at most, at "
           "launch %lld\n", peak / 0x1p20,
           (long long)json_integer_value(json_array_get(at, 0)));
    if (peak > 0)
        print_chart(json_object_get(plan, "live_bytes"), peak,
                    (size_t)number(plan, "forward_launches"));
    gb_say("\nthe largest values (* lives at the peak)\n%10s  %-12s %-*s\n", "MiB", "launches",
           LIFE_WIDTH, "life");
    json_array_foreach(json_object_get(plan, "stores"), i, item)
    {
        if (strcmp(json_string_value(json_object_get(item, "kind")), "value") || shown++ >= SHOWN)
            continue;
        print_store(item, launches);
    }
    if (shown > SHOWN)
        gb_say("%10s  and %zu more (all with --json)\n", "", shown - SHOWN);
    printf("\nconstants\n");
    json_object_foreach(json_object_get(plan, "constants"), group, item)
        gb_say("%10.2f  %s\n", json_number_value(item) / 0x1p20, group);
}
