// Rows of an evaluation in CSV files, and the settings that they belong to.
#include "eval/record.h"

#include "base/file.h"
#include "base/number.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// --- rows in memory ---

int gb_eval_rows_add(gb_eval_rows *rows, const gb_eval_row *row, size_t n)
{
    int err = gb_grow(&rows->row, &rows->capacity, rows->n + n + 1, sizeof *row);
    if (err < 0)
        return err;
    if (n)
        memcpy(rows->row + rows->n, row, n * sizeof *row);
    rows->n += n;
    return 0;
}

static int by_item(const void *a, const void *b)
{
    int64_t x = ((const gb_eval_row *)a)->item, y = ((const gb_eval_row *)b)->item;
    return (x > y) - (x < y);
}

void gb_eval_rows_sort(gb_eval_rows *rows)
{
    size_t kept = 0;
    if (rows->n)
        qsort(rows->row, rows->n, sizeof *rows->row, by_item);
    for (size_t i = 0; i < rows->n; i++)
        if (!kept || rows->row[kept - 1].item != rows->row[i].item)
            rows->row[kept++] = rows->row[i];
    rows->n = kept;
}

void gb_eval_rows_finish(gb_eval_rows *rows)
{
    free(rows->row);
    *rows = (gb_eval_rows){0};
}

// --- rows as text ---

static const char header[] = "item,label,clean,probability,correct,adversarial,robust,robust_8bit,"
                             "iterations,zero_gradients,linf,l2,stamp,image\n";

enum { FIELDS = 13 }; // that are numbers

// Nine digits bring a float back as it was.
static void put_row(FILE *file, const gb_eval_row *r, bool attack, bool eight_bit,
                    const char *name)
{
    gb_print(file, "%lld,%d,%d,%.9g,%d,", (long long)r->item, r->label, r->clean,
             (double)r->probability, r->clean == r->label);
    if (attack) {
        fprintf(file, "%d,%d,", r->adversarial, r->robust);
        if (eight_bit)
            fprintf(file, "%d", r->robust_8bit);
        gb_print(file, ",%d,%d,%.9g,%.9g,", r->iterations, r->zero_gradients, (double)r->linf,
                 (double)r->l2);
    } else {
        fputs(",,,,,,,", file);
    }
    fprintf(file, "%lld,", (long long)r->stamp);
    bool quoted = name && strpbrk(name, ",\"") != NULL;
    if (quoted)
        fputc('"', file);
    for (const char *p = name; p && *p; p++) {
        if (*p == '"')
            fputc('"', file);
        fputc((unsigned char)*p < 32 ? '?' : *p, file); // a row is a line
    }
    fputs(quoted ? "\"\n" : "\n", file);
}

// The numbers of a line, an empty field being 0; what follows them is not read.
static bool parse_row(gb_eval_row *r, const char *line)
{
    double v[FIELDS];
    for (int i = 0; i < FIELDS; i++) {
        char *end = (char *)line;
        v[i] = *line == ',' ? 0 : gb_number(line, &end);
        if (*end != ',' || (i == 0 && end == line) || !isfinite(v[i]) || fabs(v[i]) > INT32_MAX)
            return false;
        line = end + 1;
    }
    *r = (gb_eval_row){.item = (int64_t)v[0], .label = (int32_t)v[1], .clean = (int32_t)v[2],
                       .probability = (float)v[3], .adversarial = (int32_t)v[5],
                       .robust = (int32_t)v[6], .robust_8bit = (int32_t)v[7],
                       .iterations = (int32_t)v[8], .zero_gradients = (int32_t)v[9],
                       .linf = (float)v[10], .l2 = (float)v[11], .stamp = (int64_t)v[12]};
    return v[0] >= 0 && v[1] >= 0 && v[2] >= 0;
}

// A last line without its end was being written when somebody pulled the plug.
int gb_eval_rows_decode(gb_eval_rows *rows, const void *text, size_t size, const char *name)
{
    const char *at = text, *const stop = at + size, *end;
    char line[512]; // the numbers of a row fit; its name does not matter
    int err = 0;
    for (size_t number = 1; at < stop && (end = memchr(at, '\n', (size_t)(stop - at)));
         at = end + 1, number++) {
        gb_eval_row row;
        const size_t length = (size_t)(end - at);
        if (number == 1 && length == sizeof header - 2 && !memcmp(at, header, length))
            continue;
        snprintf(line, sizeof line, "%.*s", length < sizeof line ? (int)length : 511, at);
        if (number == 1 || !parse_row(&row, line))
            return gb_fail(GB_ERR_FORMAT, "%s: line %zu is no row of an evaluation", name, number);
        GB_TRY(gb_eval_rows_add(rows, &row, 1));
    }
fail:
    return err;
}

static int read_rows(gb_eval_rows *rows, const char *path)
{
    void *data = NULL;
    size_t size = 0;
    int err = gb_file_read(&data, &size, path);
    if (err < 0)
        return err;
    err = gb_eval_rows_decode(rows, data, size, path);
    free(data);
    return err;
}

// --- a part ---

static int fail_file(const char *path)
{
    return gb_fail(GB_ERR_IO, "%s: %s", path, strerror(errno));
}

int gb_part_open(gb_part *out, const char *folder, int rank)
{
    int length = snprintf(out->path, sizeof out->path, "%s/part-%d.csv", folder, rank);
    if (length < 0 || (size_t)length >= sizeof out->path)
        return gb_fail(GB_ERR_IO, "%s: path too long", folder);
    int err = gb_file_create(&out->file, out->path);
    if (err < 0)
        return err;
    return fputs(header, out->file) < 0 ? fail_file(out->path) : gb_part_flush(out);
}

int gb_part_add(gb_part *part, const gb_eval_row *row)
{
    put_row(part->file, row, true, true, "");
    return ferror(part->file) ? fail_file(part->path) : 0;
}

int gb_part_flush(gb_part *part)
{
    return fflush(part->file) ? fail_file(part->path) : 0;
}

int gb_part_close(gb_part *part)
{
    FILE *file = part->file;
    part->file = NULL;
    return file && fclose(file) ? fail_file(part->path) : 0;
}

// --- the folder ---

static bool is_part(const char *name)
{
    int rank, end = 0;
    return sscanf(name, "part-%d.csv%n", &rank, &end) == 1 && end && !name[end];
}

// Reads every part, or removes them.
static int for_parts(gb_eval_rows *rows, const char *folder, bool remove_them, size_t *count)
{
    char path[4096];
    int err = 0;
    DIR *dir = opendir(folder);
    if (!dir)
        return fail_file(folder);
    for (struct dirent *d; (d = readdir(dir));) {
        if (!is_part(d->d_name))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, d->d_name);
        if (remove_them)
            unlink(path);
        else
            GB_TRY(read_rows(rows, path));
        ++*count;
    }
fail:
    closedir(dir);
    return err;
}

static char *settings_text(const gb_record *r, size_t *size)
{
    char *text = NULL;
    FILE *file = open_memstream(&text, size);
    if (!file)
        return NULL;
    for (size_t i = 0; i < r->n_setting; i++)
        fprintf(file, "%s: %s\n", r->setting[i].key, r->setting[i].text);
    return fclose(file) ? NULL : text;
}

int gb_record_match(const gb_record *r, const void *text, size_t size)
{
    const char *line = text, *const stop = line + size;
    for (size_t i = 0; i < r->n_setting; i++) {
        const gb_eval_setting *s = &r->setting[i];
        const size_t key = strlen(s->key), want = strlen(s->text);
        const char *end = line < stop ? memchr(line, '\n', (size_t)(stop - line)) : NULL;
        if (!end || (size_t)(end - line) < key + 2 || memcmp(line, s->key, key) != 0 ||
            memcmp(line + key, ": ", 2) != 0)
            return gb_fail(GB_ERR_ARG, "%s/settings.txt: not of this version of gibbon; give "
                                       "another -o, or remove the folder", r->folder);
        line += key + 2;
        if ((size_t)(end - line) != want || memcmp(line, s->text, want) != 0)
            return gb_fail(GB_ERR_ARG, "%s holds an evaluation with another %s: '%.*s', now '%s'; "
                                       "give another -o, or remove the folder", r->folder, s->key,
                           (int)(end - line < 400 ? end - line : 400), line, s->text);
        line = end + 1;
    }
    if (line != stop)
        return gb_fail(GB_ERR_ARG, "%s/settings.txt: not of this version of gibbon; give another "
                                   "-o, or remove the folder", r->folder);
    return 0;
}

int gb_record_begin(gb_eval_rows *rows, const gb_record *r)
{
    char path[2][4096], *text = NULL;
    void *stored = NULL;
    size_t size = 0, had = 0, parts = 0;
    int err = 0;
    *rows = (gb_eval_rows){0};
    GB_TRY(gb_make_dirs(r->folder));
    snprintf(path[0], sizeof path[0], "%s/settings.txt", r->folder);
    snprintf(path[1], sizeof path[1], "%s/images.csv", r->folder);
    bool known = access(path[0], F_OK) == 0, filled = access(path[1], F_OK) == 0;
    if (known) {
        GB_TRY(gb_file_read(&stored, &had, path[0]));
        GB_TRY(gb_record_match(r, stored, had));
    } else if (filled) {
        err = gb_fail(GB_ERR_ARG, "%s has no settings.txt that says what it is of; give another -o",
                      path[1]);
        goto fail;
    } else {
        text = settings_text(r, &size);
        if (!text) {
            err = gb_fail(GB_ERR_NOMEM, "out of memory");
            goto fail;
        }
        GB_TRY(gb_file_write(path[0], text, size));
    }
    if (filled)
        GB_TRY(read_rows(rows, path[1]));
    GB_TRY(for_parts(rows, r->folder, false, &parts));
    gb_eval_rows_sort(rows);
    if (parts)
        GB_TRY(gb_record_end(r, rows));
fail:
    free(stored);
    free(text);
    if (err < 0)
        gb_eval_rows_finish(rows);
    return err;
}

int gb_record_end(const gb_record *r, const gb_eval_rows *rows)
{
    char path[4096], *text = NULL;
    size_t size = 0, parts = 0;
    int err = 0;
    snprintf(path, sizeof path, "%s/images.csv", r->folder);
    FILE *file = open_memstream(&text, &size);
    if (!file)
        return gb_fail(GB_ERR_NOMEM, "out of memory");
    fputs(header, file);
    for (size_t i = 0; i < rows->n; i++)
        put_row(file, &rows->row[i], r->attack, r->eight_bit,
                r->name(r->user, rows->row[i].item));
    if (fclose(file)) {
        err = gb_fail(GB_ERR_NOMEM, "out of memory for %zu rows", rows->n);
        goto fail;
    }
    GB_TRY(gb_file_write(path, text, size));
    GB_TRY(for_parts(NULL, r->folder, true, &parts));
fail:
    free(text);
    return err;
}
