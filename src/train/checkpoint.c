// Writes and reads checkpoints.
//
// The file, in the machine's byte order: 8 bytes "gb-train"; uint32 byte order mark 0x01020304;
// uint32 version; uint64 hashes of model and data; int64 epoch, next batch, steps; double seconds;
// uint64 lengths of settings, parameters, state, tally and history; these five; uint64 hash of all
// before it.
#include "train/checkpoint.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/status.h"

#include <stdlib.h>
#include <string.h>

static const char magic[8] = {'g', 'b', '-', 't', 'r', 'a', 'i', 'n'};
enum { ORDER = 0x01020304, VERSION = 2, PARTS = 5 };

typedef struct head {
    char magic[8];
    uint32_t order, version;
    uint64_t model_hash, data_hash;
    int64_t epoch, next, steps;
    double seconds;
    uint64_t length[PARTS];
} head;

static const size_t unit[PARTS] = {1, sizeof(float), sizeof(float), sizeof(float),
                                   sizeof(gb_epoch)};

int gb_checkpoint_write(const char *path, const gb_checkpoint *c)
{
    const void *part[PARTS] = {c->settings, c->param, c->state, c->tally, c->history};
    head h = {.order = ORDER, .version = VERSION, .model_hash = c->model_hash,
              .data_hash = c->data_hash, .epoch = c->epoch, .next = c->next, .steps = c->steps,
              .seconds = c->seconds,
              .length = {strlen(c->settings), c->n_param, c->n_state, c->n_tally, c->n_history}};
    uint64_t hash;
    size_t size = sizeof h + sizeof hash, at = sizeof h;
    memcpy(h.magic, magic, sizeof magic);
    for (int i = 0; i < PARTS; i++)
        size += (size_t)h.length[i] * unit[i];
    unsigned char *bytes = malloc(size);
    if (!bytes)
        return gb_fail(GB_ERR_NOMEM, "%s: out of memory for a checkpoint of %zu bytes", path, size);
    memcpy(bytes, &h, sizeof h);
    for (int i = 0; i < PARTS; i++) {
        size_t length = (size_t)h.length[i] * unit[i];
        if (length)
            memcpy(bytes + at, part[i], length);
        at += length;
    }
    hash = gb_hash(GB_HASH_INIT, bytes, at);
    memcpy(bytes + at, &hash, sizeof hash);
    int err = gb_file_write(path, bytes, size);
    free(bytes);
    return err;
}

static int check_head(const head *h, size_t size, const char *path)
{
    uint64_t left = size;
    if (size < sizeof *h || memcmp(h->magic, magic, sizeof magic))
        return gb_fail(GB_ERR_FORMAT, "%s: not a checkpoint of gibbon", path);
    if (h->order != ORDER)
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: made on a machine of the other byte order", path);
    if (h->version != VERSION)
        return gb_fail(GB_ERR_UNSUPPORTED,
                       "%s: a checkpoint of version %u; this gibbon reads version %d", path,
                       (unsigned)h->version, VERSION);
    left -= sizeof *h;
    for (int i = 0; i < PARTS; i++) {
        if (h->length[i] > left / unit[i])
            return gb_fail(GB_ERR_FORMAT, "%s: cut off after %zu bytes", path, size);
        left -= h->length[i] * unit[i];
    }
    if (left != sizeof(uint64_t))
        return gb_fail(GB_ERR_FORMAT, "%s: cut off or grown, %zu bytes", path, size);
    return 0;
}

int gb_checkpoint_decode(gb_checkpoint *out, const void *file, size_t size, const char *path)
{
    void *part[PARTS] = {0};
    size_t at = sizeof(head);
    head h = {0};
    uint64_t hash;
    int err = 0;
    memcpy(&h, file, size < sizeof h ? size : sizeof h);
    GB_TRY(check_head(&h, size, path));
    memcpy(&hash, (const char *)file + size - sizeof hash, sizeof hash);
    if (hash != gb_hash(GB_HASH_INIT, file, size - sizeof hash)) {
        err = gb_fail(GB_ERR_FORMAT, "%s: damaged, its bytes do not match their checksum", path);
        goto fail;
    }
    for (int i = 0; i < PARTS; i++) {
        size_t length = (size_t)h.length[i] * unit[i];
        part[i] = calloc(1, length + 1); // settings end with a 0
        if (!part[i]) {
            err = gb_fail(GB_ERR_NOMEM, "%s: out of memory", path);
            goto fail;
        }
        memcpy(part[i], (const char *)file + at, length);
        at += length;
    }
    *out = (gb_checkpoint){
        .model_hash = h.model_hash, .data_hash = h.data_hash, .settings = part[0],
        .epoch = h.epoch, .next = h.next, .steps = h.steps, .seconds = h.seconds,
        .n_param = (size_t)h.length[1], .n_state = (size_t)h.length[2],
        .n_tally = (size_t)h.length[3], .n_history = (size_t)h.length[4],
        .param = part[1], .state = part[2], .tally = part[3], .history = part[4]};
    return 0;
fail:
    for (int i = 0; i < PARTS; i++)
        free(part[i]);
    return err;
}

int gb_checkpoint_read(gb_checkpoint *out, const char *path)
{
    void *file;
    size_t size;
    int err = gb_file_read(&file, &size, path);
    if (err < 0)
        return err;
    err = gb_checkpoint_decode(out, file, size, path);
    free(file);
    return err;
}

void gb_checkpoint_finish(gb_checkpoint *c)
{
    free(c->settings);
    free(c->param);
    free(c->state);
    free(c->tally);
    free(c->history);
    *c = (gb_checkpoint){0};
}

// The first line that differs: what the file says and what this run does.
static int fail_settings(const char *was, const char *is, const char *path)
{
    for (;;) {
        size_t n = strcspn(was, "\n"), m = strcspn(is, "\n");
        if (n != m || memcmp(was, is, n) || !*was || !*is) // or but for an empty last line
            return gb_fail(GB_ERR_ARG, "%s: made with %.*s, not %.*s: resume with the same options",
                           path, n ? (int)n : 7, n ? was : "nothing", m ? (int)m : 7,
                           m ? is : "nothing");
        was += n + (was[n] != 0);
        is += m + (is[m] != 0);
    }
}

int gb_checkpoint_match(const gb_checkpoint *found, const gb_checkpoint *want, const char *path)
{
    if (found->model_hash != want->model_hash)
        return gb_fail(GB_ERR_ARG, "%s: a checkpoint of another model", path);
    if (found->data_hash != want->data_hash)
        return gb_fail(GB_ERR_ARG, "%s: a checkpoint of a run on other data", path);
    if (strcmp(found->settings, want->settings))
        return fail_settings(found->settings, want->settings, path);
    if (found->n_param != want->n_param || found->n_state != want->n_state ||
        found->epoch < 0 || found->next < 0 ||
        found->n_history != (size_t)found->epoch)
        return gb_fail(GB_ERR_FORMAT, "%s: a checkpoint of another size", path);
    return 0;
}
