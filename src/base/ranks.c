// The processes of one job through MPI, where it is compiled in and mpirun started them.
#include "base/ranks.h"

#include "base/status.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef GB_MPI
#include <mpi.h>
#endif

// What mpirun and its like tell their children; a process without it is alone, and starting MPI for
// it would only cost time.
static int launched(void)
{
    static const char *const size[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS"};
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        const char *text = getenv(size[i]);
        if (text && atoi(text) > 0)
            return atoi(text);
    }
    return 0;
}

static int gather_alone(void **all, size_t *total, const void *mine, size_t bytes)
{
    void *copy = malloc(bytes + 1);
    if (!copy)
        return gb_fail(GB_ERR_NOMEM, "out of memory for %zu bytes", bytes);
    if (bytes)
        memcpy(copy, mine, bytes);
    *all = copy;
    *total = bytes;
    return 0;
}

#ifdef GB_MPI

static bool alone(const gb_ranks *r)
{
    return !r || r->size <= 1;
}

int gb_ranks_start(gb_ranks *out)
{
    MPI_Comm local;
    int provided;
    *out = (gb_ranks){.size = 1};
    if (!launched())
        return 0;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS)
        return gb_fail(GB_ERR_UNSUPPORTED, "MPI does not start");
    MPI_Comm_rank(MPI_COMM_WORLD, &out->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &out->size);
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, out->rank, MPI_INFO_NULL, &local);
    MPI_Comm_rank(local, &out->local_rank);
    MPI_Comm_free(&local);
    return 0;
}

void gb_ranks_finish(void)
{
    int begun, ended;
    MPI_Initialized(&begun);
    MPI_Finalized(&ended);
    if (begun && !ended)
        MPI_Finalize();
}

int gb_ranks_agree(const gb_ranks *r, int err)
{
    char text[1024];
    int first, failed = err < 0, n_failed;
    if (alone(r))
        return err < 0 ? err : 0;
    int mine = failed ? r->rank : r->size;
    MPI_Allreduce(&mine, &first, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    if (first == r->size)
        return 0;
    MPI_Allreduce(&failed, &n_failed, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    snprintf(text, sizeof text, "%s", gb_last_error());
    MPI_Bcast(&err, 1, MPI_INT, first, MPI_COMM_WORLD);
    MPI_Bcast(text, sizeof text, MPI_CHAR, first, MPI_COMM_WORLD);
    if (n_failed == r->size)
        return gb_fail(err, "%s", text);
    return gb_fail(err, "rank %d: %s", first, text);
}

// MPI itself waits by asking without a rest: whom this rank waits for may need the processor.
static void wait_for(MPI_Request *request)
{
    const struct timespec rest = {.tv_nsec = 20000};
    int done = 0;
    MPI_Test(request, &done, MPI_STATUS_IGNORE);
    for (int i = 0; !done; i++) {
        if (i > 200)
            nanosleep(&rest, NULL);
        MPI_Test(request, &done, MPI_STATUS_IGNORE);
    }
}

// Each rank adds up its share of the values, then all get all shares: the traffic of a ring, but
// with an order of summation that no library decides. Pieces bound the memory it takes.
int gb_ranks_sum(const gb_ranks *r, float *values, size_t count)
{
    enum { PIECE = 1 << 20 };
    MPI_Request request;
    if (alone(r))
        return 0;
    size_t size = (size_t)r->size, most = (PIECE + size - 1) / size;
    float *send = malloc(2 * most * size * sizeof *send), *received = send + most * size;
    if (!send)
        return gb_fail(GB_ERR_NOMEM, "out of memory for a sum over %d ranks", r->size);
    for (size_t first = 0; first < count; first += most * size) {
        size_t n = count - first < most * size ? count - first : most * size;
        size_t share = (n + size - 1) / size;
        memcpy(send, values + first, n * sizeof *send);
        memset(send + n, 0, (share * size - n) * sizeof *send);
        MPI_Ialltoall(send, (int)share, MPI_FLOAT, received, (int)share, MPI_FLOAT, MPI_COMM_WORLD,
                      &request);
        wait_for(&request);
        for (size_t i = 0; i < share; i++) {
            double sum = 0;
            for (size_t k = 0; k < size; k++)
                sum += (double)received[k * share + i];
            send[i] = (float)sum;
        }
        MPI_Iallgather(send, (int)share, MPI_FLOAT, received, (int)share, MPI_FLOAT,
                       MPI_COMM_WORLD, &request);
        wait_for(&request);
        memcpy(values + first, received, n * sizeof *send);
    }
    free(send);
    return 0;
}

void gb_ranks_all(const gb_ranks *r, void *all, const void *mine, int bytes)
{
    MPI_Request request;
    if (alone(r)) {
        memcpy(all, mine, (size_t)bytes);
        return;
    }
    MPI_Iallgather(mine, bytes, MPI_BYTE, all, bytes, MPI_BYTE, MPI_COMM_WORLD, &request);
    wait_for(&request);
}

enum { MESSAGE = 1 << 26 }; // bytes a message: MPI counts in int

int gb_ranks_gather(const gb_ranks *r, void **all, size_t *total, const void *mine, size_t bytes)
{
    int err = 0;
    char *out = NULL;
    unsigned long long own = bytes, sum = 0;
    if (alone(r))
        return gather_alone(all, total, mine, bytes);
    unsigned long long *size = malloc((size_t)r->size * sizeof *size);
    *all = NULL;
    *total = 0;
    GB_TRY(gb_ranks_agree(r, size ? 0 : gb_fail(GB_ERR_NOMEM, "out of memory")));
    MPI_Gather(&own, 1, MPI_UNSIGNED_LONG_LONG, size, 1, MPI_UNSIGNED_LONG_LONG, 0, MPI_COMM_WORLD);
    for (int k = 0; k < r->size && !r->rank; k++)
        sum += size[k];
    if (!r->rank && !(out = malloc((size_t)sum + 1)))
        err = gb_fail(GB_ERR_NOMEM, "out of memory for %llu bytes", sum);
    GB_TRY(gb_ranks_agree(r, err));
    for (size_t at = 0; r->rank && at < bytes; at += MESSAGE) {
        int n = (int)(bytes - at < MESSAGE ? bytes - at : MESSAGE);
        MPI_Send((const char *)mine + at, n, MPI_BYTE, 0, 0, MPI_COMM_WORLD);
    }
    if (!r->rank) {
        size_t at = bytes;
        if (bytes)
            memcpy(out, mine, bytes);
        for (int k = 1; k < r->size; k++) {
            for (size_t end = at + (size_t)size[k]; at < end;) {
                int n = (int)(end - at < MESSAGE ? end - at : MESSAGE);
                MPI_Recv(out + at, n, MPI_BYTE, k, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
                at += (size_t)n;
            }
        }
        *all = out;
        *total = (size_t)sum;
    }
    free(size);
    return 0;
fail:
    free(size);
    free(out);
    return err;
}

void gb_ranks_share(const gb_ranks *r, void *data, size_t bytes)
{
    if (alone(r))
        return;
    for (size_t at = 0; at < bytes; at += MESSAGE) {
        int n = (int)(bytes - at < MESSAGE ? bytes - at : MESSAGE);
        MPI_Bcast((char *)data + at, n, MPI_BYTE, 0, MPI_COMM_WORLD);
    }
}

void gb_ranks_wait(const gb_ranks *r)
{
    if (!alone(r))
        MPI_Barrier(MPI_COMM_WORLD);
}

void gb_ranks_abort(const gb_ranks *r, int code)
{
    if (alone(r))
        return;
    fprintf(stderr, "gibbon: rank %d of %d: %s; the job ends\n", r->rank, r->size, gb_last_error());
    MPI_Abort(MPI_COMM_WORLD, code);
}

#else

int gb_ranks_start(gb_ranks *out)
{
    *out = (gb_ranks){.size = 1};
    if (launched() > 1)
        return gb_fail(GB_ERR_UNSUPPORTED,
                       "started as one of %d processes, but this gibbon was built without MPI "
                       "(meson setup -Dmpi=enabled)", launched());
    return 0;
}

void gb_ranks_finish(void)
{
}

int gb_ranks_agree(const gb_ranks *r, int err)
{
    (void)r;
    return err < 0 ? err : 0;
}

int gb_ranks_sum(const gb_ranks *r, float *values, size_t count)
{
    (void)r;
    (void)values;
    (void)count;
    return 0;
}

void gb_ranks_all(const gb_ranks *r, void *all, const void *mine, int bytes)
{
    (void)r;
    memcpy(all, mine, (size_t)bytes);
}

int gb_ranks_gather(const gb_ranks *r, void **all, size_t *total, const void *mine, size_t bytes)
{
    (void)r;
    return gather_alone(all, total, mine, bytes);
}

void gb_ranks_share(const gb_ranks *r, void *data, size_t bytes)
{
    (void)r;
    (void)data;
    (void)bytes;
}

void gb_ranks_wait(const gb_ranks *r)
{
    (void)r;
}

void gb_ranks_abort(const gb_ranks *r, int code)
{
    (void)r;
    (void)code;
}

#endif
