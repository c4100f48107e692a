// What an interrupted evaluation left: settings.txt, a byte of zero, and images.csv or a part.
#include "eval/record.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const gb_eval_setting setting[] = {{"version", "2"}, {"model", "abc"}};
    const gb_record record = {.folder = "fuzz", .setting = setting, .n_setting = 2};
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    const size_t head = zero ? (size_t)(zero - data) : size;
    gb_eval_rows rows = {0};
    gb_metrics metrics;
    gb_record_match(&record, data, head);
    if (zero && gb_eval_rows_decode(&rows, zero + 1, size - head - 1, "fuzz") == 0) {
        gb_eval_rows_sort(&rows);
        if (gb_metrics_reserve(&metrics, 10, rows.n) == 0) {
            gb_metrics_count(&metrics, rows.row, rows.n, true, true);
            gb_metrics_finish(&metrics);
        }
    }
    gb_eval_rows_finish(&rows);
    return 0;
}
